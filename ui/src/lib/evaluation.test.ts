import { describe, expect, it } from "vitest";
import type { Comparison } from "./backend/types/Comparison";
import { besideWordsOf, betterOf, differenceText, verdictOf } from "./evaluation";

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
