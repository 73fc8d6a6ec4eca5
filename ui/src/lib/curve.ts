import type { Evaluation } from "./backend/types/Evaluation";
import type { RunProgress } from "./backend/types/RunProgress";
import type { Step } from "./backend/types/Step";

/** What is known of a run's course so far, each list in the order of the steps. */
export interface Curve {
  steps: readonly Step[];
  evaluations: readonly Evaluation[];
}

export const EMPTY_CURVE: Curve = { steps: [], evaluations: [] };

/**
 * The step to ask from. It is one before the last known, as the evaluation of a step is
 * written down after the step itself and would otherwise be missed for good.
 */
export function nextAfterStep(curve: Curve): number {
  const last = curve.steps.at(-1)?.step ?? 0;
  return Math.max(0, last - 1);
}

/** The curve with what a poll has brought, each point once however often it was sent. */
export function extended(curve: Curve, progress: RunProgress): Curve {
  return {
    steps: appended(curve.steps, progress.steps),
    evaluations: appended(curve.evaluations, progress.evaluations),
  };
}

function appended<Point extends { step: number }>(known: readonly Point[], sent: readonly Point[]): readonly Point[] {
  const last = known.at(-1)?.step ?? -1;
  const fresh = sent.filter((point) => point.step > last);
  return fresh.length === 0 ? known : [...known, ...fresh];
}

/**
 * An exponential mean that starts without the pull towards zero. It reaches further back in a
 * long run, where the mean of ten steps would look as rough as the steps themselves.
 */
export function smoothed(values: readonly number[]): number[] {
  const weight = 1 - 1 / Math.max(10, values.length / 40);
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}
