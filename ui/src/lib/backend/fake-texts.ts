import type { Cleaning } from "./types/Cleaning";
import type { CleaningStep } from "./types/CleaningStep";
import type { ImportPreview } from "./types/ImportPreview";
import type { ImportReport } from "./types/ImportReport";
import type { Leaks } from "./types/Leaks";
import type { SplitBy } from "./types/SplitBy";
import type { WorkProgress } from "./types/WorkProgress";

/** Where a piece of work tells how far it is. */
export const WORK_SHARES: readonly number[] = [0, 0.2, 0.4, 0.6, 0.8, 1];

export function bytesOf(total: number): (share: number) => WorkProgress {
  return (share) => ({ kind: "bytes", done: share * total, total, texts: Math.floor((share * total) / 210) });
}

/** What looking at a file finds; one whose path has "unmapped" in it needs its columns named. */
export function previewOf(path: string): ImportPreview {
  const unmapped = path.includes("unmapped");
  return {
    files: 1,
    format: "delimited",
    encoding: "UTF-8",
    delimiter: ",",
    columns: unmapped ? ["when", "note"] : ["author", "body", "mbti"],
    rows: unmapped
      ? [["Monday", "The list is done."]]
      : [
          ["a1", "The list is done, the car is packed, and we leave at eight.", "ESTJ"],
          ["a2", "昨晚又想了很久那个问题，也许前提本身就错了。", "INTP"],
        ],
    mapping: unmapped ? null : { text: "body", author: "author", mbti: "mbti", axes: {} },
  };
}

/** The report of a cleaning that leaves out a tenth of the texts. */
export function cleanedOf(report: ImportReport, cleaning: Cleaning): ImportReport {
  const { examples } = report.data_set;
  const dropped = Math.floor(examples / 10);
  const wanted: [CleaningStep, boolean][] = [
    ["authors_of_several_types", cleaning.authors_of_several_types],
    ["invisible", cleaning.invisible],
    ["urls", cleaning.urls !== "keep"],
    ["reddit_links", cleaning.reddit_links !== "keep"],
    ["type_words", cleaning.type_words !== "keep"],
    ["exact_duplicates", cleaning.exact_duplicates !== "none"],
    ["near_duplicates", cleaning.near_duplicates !== "none"],
    ["shortest", cleaning.shortest !== null],
  ];
  const steps = wanted.filter(([, is]) => is).map(([step], place) => ({
    step,
    changed: step === "type_words" ? 12 : 0,
    dropped: place === 0 ? dropped : 0,
    examples:
      step === "type_words" ? [{ before: "As an INFP I never finish lists.", after: "As an [TYPE] I never finish lists." }] : [],
  }));
  const data_set = { ...report.data_set, examples: examples - (steps.length > 0 ? dropped : 0), skipped: 0 };
  const cleaned = { texts_before: examples, texts_after: data_set.examples, steps };
  return { ...report, data_set, rows: examples, skipped: [], skipped_by_reason: {}, cleaning: cleaned };
}

/** The report of a sample, each type in proportion. */
export function sampledOf(report: ImportReport, fraction: number): ImportReport {
  const kept = Object.entries(report.data_set.types).map(([type, texts]) => [type, Math.floor(texts * fraction)] as const);
  const examples = kept.reduce((sum, [, texts]) => sum + texts, 0);
  const data_set = { ...report.data_set, types: Object.fromEntries(kept), examples, skipped: 0 };
  return { ...report, data_set, rows: examples, skipped: [], skipped_by_reason: {} };
}

/** What the names of the parts end in. */
export function partNames(testFraction: number, folds: number | null): string[] {
  if (folds === null) return ["train", "valid", ...(testFraction > 0 ? ["test"] : [])];
  return Array.from({ length: folds }, (_, fold) => [`fold${fold + 1}-train`, `fold${fold + 1}-valid`]).flat();
}

export const TYPE_WORDS_ALONE: NonNullable<Leaks["type_words_alone"]> = {
  "E-I": 0.612,
  "N-S": 0.548,
  "F-T": 0.577,
  "J-P": 0.531,
};

export function leaksOf(report: ImportReport, by: SplitBy): Leaks {
  const valid = Math.floor(report.data_set.examples / 5);
  const shared = by === "text" && report.data_set.authors !== null ? Math.floor(valid * 0.9) : 0;
  return {
    split: {
      method: by === "author" ? "by_author" : "by_text",
      seed: 0,
      train_examples: report.data_set.examples - valid,
      valid_examples: valid,
      train_authors: null,
      valid_authors: null,
      shared_authors: shared > 0 ? 5 : 0,
    },
    leaking_texts: shared + 2,
    texts_of_shared_authors: shared,
    exact_duplicates: 1,
    near_duplicates: 0,
    own_type_named: 1,
    type_words: 3,
    type_words_alone: null,
  };
}
