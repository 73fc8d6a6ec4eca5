import { AXES } from "../axes";
import type { Assessment } from "./types/Assessment";
import type { Axis } from "./types/Axis";
import type { AxisAssessment } from "./types/AxisAssessment";
import type { AxisMetrics } from "./types/AxisMetrics";
import type { Level } from "./types/Level";
import type { Metric } from "./types/Metric";
import type { PredictionSets } from "./types/PredictionSets";
import type { SetThreshold } from "./types/SetThreshold";

/** How many texts, or authors, of each letter of an axis are held out. */
export type Held = ReadonlyMap<Axis, readonly [number, number]>;

/** The metrics of one axis from its confusion counts, null where one has no value. */
export function metricsOf(confusion: AxisMetrics["confusion"]): AxisMetrics {
  const [[a, b], [c, d]] = confusion;
  const texts = a + b + c + d;
  const ratio = (part: number, whole: number) => (whole === 0 ? null : part / whole);
  const f1First = ratio(2 * a, 2 * a + b + c);
  const f1Second = ratio(2 * d, 2 * d + b + c);
  const recalls = [ratio(a, a + b), ratio(d, c + d)];
  const root = Math.sqrt((a + b) * (c + d) * (a + c) * (b + d));
  const mean = (left: number | null, right: number | null) =>
    left === null || right === null ? null : (left + right) / 2;
  const balanced = mean(recalls[0]!, recalls[1]!);
  return {
    accuracy: ratio(a + d, texts),
    f1: f1Second,
    macro_f1: mean(f1First, f1Second),
    balanced_accuracy: balanced,
    mcc: ratio(a * d - b * c, root),
    // The counts do not tell these; what stands here only looks like them.
    roc_auc: balanced === null ? null : Math.min(0.99, 0.5 + (balanced - 0.5) * 1.25),
    log_loss: balanced === null ? null : 0.69 - 0.7 * (balanced - 0.5),
    expected_calibration_error: texts === 0 ? null : 0.062,
    majority_accuracy: ratio(Math.max(a + b, c + d), texts),
    confusion,
  };
}

/** The answers of a model with some skill: from 0, which only knows the shares, to 1. */
export function confusionOf([first, second]: readonly [number, number], skill: number): AxisMetrics["confusion"] {
  const lean = second / (first + second);
  // Who can tell nothing always gives the commoner letter.
  if (skill === 0) return second > first ? [[0, first], [0, second]] : [[first, 0], [second, 0]];
  const right = (texts: number, recall: number) => Math.round(texts * recall);
  const [one, two] = [right(first, 1 - lean + skill * lean), right(second, lean + skill * (1 - lean))];
  return [[one, first - one], [second - two, two]];
}

/** Each axis is learned to another degree: E-I well, N-S not at all. */
export const SKILLS: Readonly<Record<Axis, number>> = { "E-I": 0.75, "N-S": 0, "F-T": 0.5, "J-P": 0.12 };
const WORDS_SKILLS: Readonly<Record<Axis, number>> = { "E-I": 0.3, "N-S": 0, "F-T": 0.45, "J-P": 0.2 };

export function assess(held: Held, authors: number | null, step: number, words = false): Assessment {
  const skills = words ? WORDS_SKILLS : SKILLS;
  const part = (count: number, of: number) => Math.max(1, Math.round((count * (authors ?? 0)) / of));
  const texts = Math.max(...[...held.values()].map(([first, second]) => first + second));
  const byAuthor: Held = new Map([...held].map(([axis, [one, two]]) => [axis, [part(one, texts), part(two, texts)]]));
  const learned = AXES.filter((axis) => held.has(axis));
  return {
    step,
    by_text: levelOf(held, skills, texts),
    by_author: authors === null ? null : levelOf(byAuthor, skills, authors),
    calibration: Object.fromEntries(
      learned.map((axis) => [
        axis,
        {
          temperature: 1 + 0.9 * skills[axis],
          at_limit: false,
          refused: skills[axis] === 0 ? { temperature: 0.12, why: "nothing_told" } : null,
          fitted_texts: Math.ceil(texts / 2),
          judged_texts: Math.floor(texts / 2),
          log_loss: 0.71 - 0.3 * skills[axis],
          calibrated_log_loss: 0.68 - 0.32 * skills[axis],
          expected_calibration_error: 0.04 + 0.08 * skills[axis],
          calibrated_expected_calibration_error: 0.03,
          band: { logits: [-2, 0, 2], lower: [0.1, 0.4, 0.7], upper: [0.3, 0.6, 0.9] },
        },
      ]),
    ),
    sets: setsOf(learned, skills, authors ?? texts),
  };
}

/** Sets of answers of which one half of the authors or texts promises 90 %, and too few nothing. */
function setsOf(learned: readonly Axis[], skills: Readonly<Record<Axis, number>>, units: number): PredictionSets {
  const [calibration_units, least_units] = [Math.ceil(units / 2), 11];
  const set = (mean_size: number): SetThreshold => ({
    threshold: 1,
    coverage: { value: 0.912, interval: [0.86, 0.96] },
    mean_size,
  });
  const promised = calibration_units >= least_units;
  const sizes = learned.map((axis) => 1.9 - 0.7 * skills[axis]);
  return {
    coverage: 0.9,
    calibration_units,
    judged_units: units - calibration_units,
    least_units,
    axes: promised ? Object.fromEntries(learned.map((axis, place) => [axis, set(sizes[place]!)])) : {},
    types: promised && learned.length > 1 ? set(sizes.reduce((product, size) => product * size, 1)) : null,
  };
}

function levelOf(held: Held, skills: Readonly<Record<Axis, number>>, units: number): Level {
  const axes = [...held].map(([axis, counts]): [Axis, AxisAssessment] => {
    const metrics = metricsOf(confusionOf(counts, skills[axis]));
    return [axis, { metrics, intervals: intervalsOf(metrics, units) }];
  });
  const share = (pick: (metrics: AxisMetrics) => number | null) =>
    axes.map(([, { metrics }]) => pick(metrics) ?? 0).reduce((sum, value) => sum + value, 0);
  const exact = axes.reduce((product, [, { metrics }]) => product * (metrics.accuracy ?? 0), 1);
  const right = share((metrics) => metrics.accuracy);
  const wide = 1.4 / Math.sqrt(units);
  return {
    units,
    axes: Object.fromEntries(axes),
    exact_match: { value: exact, interval: [Math.max(0, exact - wide / 2), exact + wide / 2] },
    right_letters: { value: right, interval: [right - wide, right + wide] },
    majority_right_letters: share((metrics) => metrics.majority_accuracy),
  };
}

const WIDTHS: readonly [Metric, number][] = [
  ["accuracy", 0.95],
  ["f1", 1.2],
  ["macro_f1", 1.1],
  ["balanced_accuracy", 1],
  ["mcc", 2],
  ["roc_auc", 1],
  ["log_loss", 0.8],
  ["expected_calibration_error", 0.3],
];

function intervalsOf(metrics: AxisMetrics, units: number): AxisAssessment["intervals"] {
  const found: AxisAssessment["intervals"] = {};
  for (const [metric, width] of WIDTHS) {
    const value = metric === "loss" ? null : metrics[metric];
    const half = width / Math.sqrt(units);
    if (value !== null) found[metric] = [Math.max(metric === "mcc" ? -1 : 0, value - half), Math.min(1, value + half)];
  }
  return found;
}
