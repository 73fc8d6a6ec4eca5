import { AXES } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { Comparison } from "./backend/types/Comparison";
import type { Estimated } from "./backend/types/Estimated";
import type { JudgedTexts } from "./backend/types/JudgedTexts";
import type { RunEvaluation } from "./backend/types/RunEvaluation";
import { formatNumber, formatPercent } from "./format";
import { language, t } from "./i18n";
import { levelOf, type AxisJudgement, type LevelName } from "./report";

/** The axes that a run was judged on, with what the model and the bag of words made of them. */
export function judgementsIn(judged: JudgedTexts, level: LevelName): AxisJudgement[] {
  const mine = levelOf(judged.model, level);
  const words = judged.words ? levelOf(judged.words, level) : null;
  return AXES.filter((axis) => mine.axes[axis] !== undefined).map((axis) => ({
    axis,
    model: mine.axes[axis],
    words: words?.axes[axis],
  }));
}

/** What has to be known before any figure is believed, the worst first. */
export function warningsOf(found: RunEvaluation): { text: string; bad: boolean }[] {
  const warnings: { text: string; bad: boolean }[] = [];
  const add = (text: string, bad = true) => void warnings.push({ text, bad });
  const { overlap } = found;
  if (found.made_up) add(t("evaluation_made_up"));
  if (overlap === null) {
    add(t("evaluation_unknown_overlap"));
    return warnings;
  }
  if (overlap.training_texts > 0) add(t("evaluation_training", { n: overlap.training_texts }));
  if (overlap.exact_duplicates > 0) add(t("evaluation_exact", { n: overlap.exact_duplicates }));
  if (overlap.near_duplicates > 0) add(t("evaluation_near", { n: overlap.near_duplicates }));
  if (overlap.texts_of_shared_authors > 0) add(t("evaluation_authors", { n: overlap.texts_of_shared_authors }));
  if (overlap.validation_texts > 0) add(t("evaluation_validation", { n: overlap.validation_texts }));
  if (overlap.texts > 0 && found.unseen === null) add(t("evaluation_nothing_left"));
  if (overlap.texts === 0) add(t("evaluation_clean"), false);
  return warnings;
}

const percent = (value: number) => formatPercent(language(), value, 1);

/** A share with its interval, such as "61.2% (57.0% to 65.1%)". */
export function estimatedText({ value, interval }: Estimated): string {
  if (value === null) return t("no_value");
  if (interval === null) return percent(value);
  return `${percent(value)} (${t("interval", { low: percent(interval[0]), high: percent(interval[1]) })})`;
}

export type Better = "first" | "second" | null;

/** Which of two models is better, and that only where the interval excludes that there is no difference. */
export function betterOf({ mean }: Comparison): Better {
  if (mean.interval === null) return null;
  if (mean.interval[0] > 0) return "first";
  return mean.interval[1] < 0 ? "second" : null;
}

/** Points between two shares, such as "3.1 points (0.4 to 5.8)", turned round where the second is the better one. */
export function differenceText({ value, interval }: Estimated, sign: 1 | -1 = 1): string {
  if (value === null) return t("no_value");
  const points = (share: number) => formatNumber(language(), 100 * sign * share, 1);
  const ends = interval && (sign === 1 ? interval : ([interval[1], interval[0]] as const));
  const range = ends ? ` (${t("interval", { low: points(ends[0]), high: points(ends[1]) })})` : "";
  return t("points", { value: points(value) }) + range;
}

/** Whether one of two runs is better, in a sentence. */
export function verdictOf(found: Comparison, first: number, second: number): string {
  const n = found.units;
  const better = betterOf(found);
  if (better === null) return undecided(found);
  const of = better === "first" ? { better: String(first), other: String(second) } : { better: String(second), other: String(first) };
  const value = differenceText(found.mean, better === "first" ? 1 : -1);
  return t(found.authors ? "better_run" : "better_run_texts", { ...of, value, n });
}

/** Whether a run is better than the bag of words, in a sentence. */
export function besideWordsOf(found: Comparison): string {
  const n = found.units;
  switch (betterOf(found)) {
    case "first":
      return t(found.authors ? "better_than_words" : "better_than_words_texts", { value: differenceText(found.mean), n });
    case "second":
      return t(found.authors ? "worse_than_words" : "worse_than_words_texts", { value: differenceText(found.mean, -1), n });
    case null:
      return undecided(found);
  }
}

function undecided(found: Comparison): string {
  return t(found.authors ? "no_difference" : "no_difference_texts", { value: differenceText(found.mean), n: found.units });
}

/** What the table says of one run on one data set: on the texts that the run did not learn from, where there are any. */
export interface Cell {
  text: string;
  note: string | null;
}

export function cellOf(found: RunEvaluation): Cell {
  const judged = found.unseen ?? found.all;
  return { text: estimatedText(judged.model.mean_balanced_accuracy), note: noteOf(found) };
}

function noteOf({ overlap, unseen }: RunEvaluation): string | null {
  if (overlap === null) return t("evaluation_cell_unknown");
  if (overlap.texts === 0) return null;
  return t(unseen === null ? "evaluation_cell_seen" : "evaluation_cell_unseen");
}

/** The data sets that two different runs were evaluated on, by name, each with these runs. */
export function comparable(all: readonly RunEvaluation[]): Map<string, number[]> {
  const runs = new Map<string, number[]>();
  for (const { data, run } of all) runs.set(data, [...(runs.get(data) ?? []), run]);
  const several = [...runs].filter(([, of]) => of.length > 1);
  return new Map(several.sort(([one], [other]) => one.localeCompare(other)));
}

/** The axes of a comparison in their usual order. */
export const comparedAxes = (found: Comparison): Axis[] => AXES.filter((axis) => found.axes[axis] !== undefined);
