import type { Letter } from "./backend/types/Letter";
import { intervalOf, type AxisJudgement, type Interval } from "./report";
import { verdict } from "./verdict";

/** What the intervals allow to be said of one axis, before it is put into words. */
export interface ReportVerdict {
  /** Against always giving the commoner letter, by accuracy. */
  line:
    | { kind: "no_value" }
    | { kind: "one_letter"; letter: Letter; texts: number }
    | { kind: "better" | "not_shown" | "worse"; letter: Letter; accuracy: number; interval: Interval; majority: number };
  /** That the letters are told apart though the line is not beaten. */
  apart: { balanced: number; interval: Interval } | null;
  /** Against the bag of words, by balanced accuracy; null where there is nothing to compare. */
  words: { kind: "better" | "unclear" | "no_better"; model: number; words: number } | null;
}

export function reportVerdict(judged: AxisJudgement): ReportVerdict {
  const { axis, model } = judged;
  const simple = verdict(axis, model?.metrics);
  const interval = intervalOf(model, "accuracy");
  if (simple.kind === "one_letter") return { line: simple, apart: null, words: null };
  const accuracy = model?.metrics.accuracy ?? null;
  const majority = model?.metrics.majority_accuracy ?? null;
  if (!model || !interval || accuracy === null || majority === null) {
    return { line: { kind: "no_value" }, apart: null, words: null };
  }
  const [first, second] = model.metrics.confusion.map(([a, b]) => a + b) as [number, number];
  const [one, other] = axis.split("-") as [Letter, Letter];
  const kind = interval[0] > majority ? "better" : interval[1] < majority ? "worse" : "not_shown";
  const letter = second > first ? other : one;
  return {
    line: { kind, letter, accuracy, interval, majority },
    apart: kind === "better" ? null : apartOf(judged),
    words: wordsOf(judged),
  };
}

function apartOf({ model }: AxisJudgement): ReportVerdict["apart"] {
  const balanced = model?.metrics.balanced_accuracy ?? null;
  const interval = intervalOf(model, "balanced_accuracy");
  return balanced !== null && interval && interval[0] > 0.5 ? { balanced, interval } : null;
}

function wordsOf({ model, words }: AxisJudgement): ReportVerdict["words"] {
  const [mine, theirs] = [model, words].map((of) => of?.metrics.balanced_accuracy ?? null) as [
    number | null,
    number | null,
  ];
  if (mine === null || theirs === null) return null;
  const found = { model: mine, words: theirs };
  if (mine <= theirs) return { kind: "no_better", ...found };
  const [low] = intervalOf(model, "balanced_accuracy") ?? [0];
  const [, high] = intervalOf(words, "balanced_accuracy") ?? [0, 1];
  // Intervals that part leave no doubt; where they overlap, there is some.
  return { kind: low > high ? "better" : "unclear", ...found };
}
