import { AXES } from "./axes";
import type { Assessment } from "./backend/types/Assessment";
import type { Axis } from "./backend/types/Axis";
import type { AxisAssessment } from "./backend/types/AxisAssessment";
import type { AxisMetrics } from "./backend/types/AxisMetrics";
import type { Level } from "./backend/types/Level";
import type { Run } from "./backend/types/Run";
import { formatNumber, formatPercent } from "./format";
import { majorityMacroF1 } from "./verdict";

/** The measures of the report, in the order in which they stand. */
export const REPORT_METRICS = [
  "accuracy",
  "balanced_accuracy",
  "macro_f1",
  "mcc",
  "roc_auc",
  "log_loss",
  "expected_calibration_error",
] as const satisfies readonly (keyof AxisMetrics)[];
export type ReportMetric = (typeof REPORT_METRICS)[number];

export const LEVELS = ["text", "author"] as const;
export type LevelName = (typeof LEVELS)[number];

export type Interval = readonly [low: number, high: number];

/** What was judged by text or by author; by text where no authors are named. */
export function levelOf(judged: Pick<Assessment, "by_text" | "by_author">, name: LevelName): Level {
  return (name === "author" ? judged.by_author : null) ?? judged.by_text;
}

export function intervalOf(of: AxisAssessment | undefined, metric: ReportMetric): Interval | null {
  return of?.intervals[metric] ?? null;
}

/**
 * What always giving the commoner letter reaches, which a model must beat. Of the log loss it is
 * what always giving the letters' shares reaches, as a wrong certainty would cost infinitely much.
 * MCC has no value for a constant answer, and the calibration error of the shares is 0, which is
 * nothing to beat.
 */
export function majorityOf(metrics: AxisMetrics | undefined, metric: ReportMetric): number | null {
  const share = metrics?.majority_accuracy ?? null;
  if (!metrics || share === null) return null;
  const two = metrics.confusion.every(([first, second]) => first + second > 0);
  switch (metric) {
    case "accuracy":
      return share;
    case "macro_f1":
      return two ? majorityMacroF1(metrics) : null;
    case "balanced_accuracy":
    case "roc_auc":
      return two ? 0.5 : null;
    case "log_loss":
      return entropy(share);
    case "mcc":
    case "expected_calibration_error":
      return null;
  }
}

function entropy(share: number): number {
  const part = (value: number) => (value === 0 ? 0 : -value * Math.log(value));
  return part(share) + part(1 - share);
}

export function formatMetric(locale: string, metric: ReportMetric, value: number | null): string {
  const percent = metric === "accuracy" || metric === "balanced_accuracy";
  return percent ? formatPercent(locale, value, 1) : formatNumber(locale, value, 3);
}

/** From where to where the bar of a metric reaches: the same for all axes, so that they compare. */
export function scaleOf(metric: ReportMetric, values: readonly (number | null)[]): Interval {
  const known = values.filter((value) => value !== null);
  const usual: Record<ReportMetric, Interval> = {
    accuracy: [0.4, 1],
    balanced_accuracy: [0.4, 1],
    macro_f1: [0.3, 1],
    mcc: [-0.2, 1],
    roc_auc: [0.4, 1],
    log_loss: [0, 1],
    expected_calibration_error: [0, 0.3],
  };
  const [low, high] = usual[metric];
  return [Math.min(low, ...known), Math.max(high, ...known)];
}

/** Whether a run ended because its evaluations became no better. */
export function endedEarly(run: Run): boolean {
  const { early_stopping_patience, logging_steps } = run.config;
  if (run.status !== "finished" || early_stopping_patience === 0) return false;
  if (run.total_steps === null || run.last_step === null) return false;
  // The last step may lie up to so many steps behind the one that was written down.
  return run.total_steps - run.last_step.step >= logging_steps;
}

export interface AxisJudgement {
  axis: Axis;
  model: AxisAssessment | undefined;
  words: AxisAssessment | undefined;
}

/** The learned axes with what the model and the bag of words made of them. */
export function judgementsOf(run: Run, assessment: Assessment, level: LevelName): AxisJudgement[] {
  const mine = levelOf(assessment, level);
  const words = run.baseline ? levelOf(run.baseline.assessment, level) : null;
  return AXES.filter((axis) => run.config.axes.includes(axis)).map((axis) => ({
    axis,
    model: mine.axes[axis],
    words: words?.axes[axis],
  }));
}
