import { describe, expect, it } from "vitest";
import type { Comparison } from "./backend/types/Comparison";
import type { DataSet } from "./backend/types/DataSet";
import type { RunEvaluation } from "./backend/types/RunEvaluation";
import { besideWordsOf, betterOf, cellOf, columnsOf, comparable, comparedOn, differenceText, nothingLeft, verdictOf, warningsOf } from "./evaluation";

const compared = (value: number, interval: [number, number] | null, authors = true): Comparison => ({
  texts: 400,
  units: 57,
  authors,
  axes: {},
  mean: { value, interval },
});

describe("a comparison", () => {
  it("says better only where the interval excludes that there is no difference", () => {
    expect(betterOf(compared(0.05, [0.01, 0.09]))).toBe("first");
    expect(betterOf(compared(-0.05, [-0.09, -0.01]))).toBe("second");
    expect(betterOf(compared(0.05, [0, 0.09]))).toBeNull();
    expect(betterOf(compared(0.05, null))).toBeNull();
  });

  it("names the better run, by how much, and on how many authors or texts", () => {
    expect(verdictOf(compared(0.05, [0.01, 0.09]), 1, 2)).toBe(
      "Run 1 is better than run 2: its mean balanced accuracy is higher by 5.0 points (1.0 to 9.0), on 57 authors.",
    );
    expect(verdictOf(compared(-0.05, [-0.09, -0.01], false), 1, 2)).toBe(
      "Run 2 is better than run 1: its mean balanced accuracy is higher by 5.0 points (1.0 to 9.0), on 57 texts.",
    );
    expect(verdictOf(compared(0.05, [-0.01, 0.11]), 1, 2)).toBe(
      "No difference can be told from these 57 authors: 5.0 points (-1.0 to 11.0).",
    );
    expect(besideWordsOf(compared(-0.05, [-0.09, -0.01]))).toContain("The bag of words is better");
  });

  it("shows what has no value as such", () => {
    expect(differenceText({ value: null, interval: null })).toBe("no value");
    expect(differenceText({ value: 0.012, interval: null })).toBe("1.2 points");
  });
});

const overlap = { texts: 0, training_texts: 0, exact_duplicates: 0, near_duplicates: 0, texts_of_shared_authors: 0, validation_texts: 0 };

/** A run on 400 texts, judged on J-P alone. */
function judged(run: number, texts: string, created_at: string, more: Partial<typeof overlap> = {}): RunEvaluation {
  const axes = { "J-P": { metrics: { balanced_accuracy: 0.6 }, intervals: {} } };
  const model = { mean_balanced_accuracy: { value: 0.6, interval: null }, by_text: { units: 400, axes }, by_author: null };
  const all = { texts: 400, model, words: null, beside_words: null };
  const found = { run, data: "d", texts, created_at, made_up: false, overlap: { ...overlap, ...more }, all, unseen: null };
  return found as unknown as RunEvaluation;
}

describe("the table", () => {
  const anew = { name: "d", created_at: "2026-01-02T00:00:00Z", fingerprint: null } as DataSet;

  it("keeps texts apart that bear the same name, and marks what is gone", () => {
    const all = [judged(2, "new", "2026-01-03T00:00:00Z"), judged(1, "old", "2026-01-01T00:00:00Z")];
    const columns = columnsOf(all, [anew]);
    expect(columns.map(({ texts, title, gone }) => [texts, title, gone])).toEqual([
      ["new", "d (400 texts)", false],
      ["old", "d (400 texts)", true],
    ]);
    expect(comparable(all).size).toBe(0);
  });

  it("knows a data set by its texts, whatever it is called and whenever it was imported", () => {
    const all = [judged(2, "new", "2026-01-01T00:00:00Z"), judged(1, "old", "2026-01-03T00:00:00Z")];
    const renamed: DataSet = { ...anew, name: "e", fingerprint: "new" };
    const other: DataSet = { ...anew, fingerprint: "other" };
    const gone = columnsOf(all, [renamed, other]).map(({ texts, gone }) => [texts, gone]);
    expect(gone).toEqual([
      ["new", false],
      ["old", true],
    ]);
  });

  it("marks a mean over some axes only, and texts that the run was validated with", () => {
    const found = judged(1, "a", "2026-01-03T00:00:00Z", { validation_texts: 400 });
    expect(cellOf(found).notes).toEqual(["J-P only", "the run was validated with texts of these"]);
    expect(warningsOf(found)).toHaveLength(1);
  });

  it("says why nothing is left to compare", () => {
    const all = [judged(1, "a", "2026-01-03T00:00:00Z", { texts: 400 }), judged(4, "a", "2026-01-03T00:00:00Z")];
    const found = { ...compared(0, null), texts: 0, axes: { "J-P": { value: null, interval: null } } };
    const none = { first: 1, second: 4, data: "d", left_out: 400, overlap_known: true, found };
    expect(nothingLeft(none, all)).toBe(
      "Nothing to compare: run 1 learned from all 400 texts of d. Evaluate both on texts that neither knows.",
    );
    expect(comparedOn(found)).toContain("J-P only");
  });
});
