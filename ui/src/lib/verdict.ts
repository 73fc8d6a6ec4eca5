import { lettersOf } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { AxisMetrics } from "./backend/types/AxisMetrics";
import type { Letter } from "./backend/types/Letter";

/** What can honestly be said of one axis, before it is put into words. */
export type Verdict =
  | { kind: "no_value" }
  | { kind: "one_letter"; letter: Letter; texts: number }
  | { kind: "no_better"; letter: Letter; accuracy: number; majority: number }
  | { kind: "no_better_even"; accuracy: number }
  | { kind: "balanced"; letter: Letter; accuracy: number; majority: number; balanced: number }
  | { kind: "maybe_luck"; letter: Letter; accuracy: number; majority: number; texts: number }
  | { kind: "better"; letter: Letter; accuracy: number; majority: number };

/** How many standard errors a score must lie above the baseline to count as more than luck. */
const STANDARD_ERRORS = 2;

/**
 * Judges an axis against the one thing that every model must beat: always giving the commoner
 * letter. A higher accuracy alone is not enough where few texts were judged, and a lower one
 * may hide that the letters are told apart, which the balanced accuracy shows.
 */
export function verdict(axis: Axis, metrics: AxisMetrics | undefined): Verdict {
  if (!metrics || metrics.accuracy === null || metrics.majority_accuracy === null) return { kind: "no_value" };
  const { accuracy, majority_accuracy: majority, balanced_accuracy: balanced } = metrics;
  const [first, second] = metrics.confusion.map(([a, b]) => a + b) as [number, number];
  const texts = first + second;
  const letter = lettersOf(axis)[second > first ? 1 : 0];
  if (texts === 0) return { kind: "no_value" };
  if (first === 0 || second === 0) return { kind: "one_letter", letter, texts };
  if (accuracy <= majority) {
    if (balanced !== null && balanced > 0.5 + STANDARD_ERRORS * balancedError(metrics)) {
      return { kind: "balanced", letter, accuracy, majority, balanced };
    }
    if (first === second) return { kind: "no_better_even", accuracy };
    return { kind: "no_better", letter, accuracy, majority };
  }
  const error = Math.sqrt((majority * (1 - majority)) / texts);
  if (accuracy - majority < STANDARD_ERRORS * error) return { kind: "maybe_luck", letter, accuracy, majority, texts };
  return { kind: "better", letter, accuracy, majority };
}

/** Standard error of the balanced accuracy: the mean of two recalls, each over its own texts. */
function balancedError({ confusion }: AxisMetrics): number {
  const variances = confusion.map((row, truth) => {
    const texts = row[0] + row[1];
    const recall = row[truth]! / texts;
    return (recall * (1 - recall)) / texts;
  });
  return Math.sqrt(variances[0]! + variances[1]!) / 2;
}

/** Macro-F1 of always giving the commoner letter, which is what the macro-F1 must beat. */
export function majorityMacroF1(metrics: AxisMetrics): number | null {
  const share = metrics.majority_accuracy;
  // F1 of the letter that is always given is 2s/(1+s); the other letter's is 0.
  return share === null ? null : share / (1 + share);
}
