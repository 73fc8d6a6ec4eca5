import { AXES } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { Comparison } from "./backend/types/Comparison";
import type { DataSet } from "./backend/types/DataSet";
import type { Estimated } from "./backend/types/Estimated";
import type { JudgedTexts } from "./backend/types/JudgedTexts";
import type { RunComparison } from "./backend/types/RunComparison";
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
  if (overlap.texts === 0 && overlap.validation_texts === 0) add(t("evaluation_clean"), false);
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
  notes: string[];
}

export function cellOf(found: RunEvaluation): Cell {
  const judged = found.unseen ?? found.all;
  return { text: estimatedText(judged.model.mean_balanced_accuracy), notes: notesOf(found) };
}

function notesOf(found: RunEvaluation): string[] {
  const { overlap, unseen } = found;
  const axes = axesOnly(axesOfMean(unseen ?? found.all));
  const notes = axes === null ? [] : [t("evaluation_cell_axes", { axes })];
  if (overlap === null) return [...notes, t("evaluation_cell_unknown")];
  if (overlap.texts > 0) notes.push(t(unseen === null ? "evaluation_cell_seen" : "evaluation_cell_unseen"));
  if (overlap.validation_texts > 0) notes.push(t("evaluation_cell_validation"));
  return notes;
}

/** The axes that count in a mean: those of which the texts have both letters. */
const axesOfMean = ({ model }: JudgedTexts): Axis[] =>
  AXES.filter((axis) => model.by_text.axes[axis]?.metrics.balanced_accuracy != null);

/** The names of axes that are some but not all: a mean over others is another figure. */
const axesOnly = (axes: readonly Axis[]): string | null =>
  axes.length === 0 || axes.length === AXES.length ? null : axes.join(", ");

/** The mean balanced accuracy in a sentence, or why there is none. */
export function meanText(judged: JudgedTexts): string {
  const { mean_balanced_accuracy } = judged.model;
  if (mean_balanced_accuracy.value === null) return t("evaluation_no_mean");
  const axes = axesOnly(axesOfMean(judged));
  const only = axes === null ? "" : ` (${t("evaluation_cell_axes", { axes })})`;
  return t("evaluation_mean", { value: estimatedText(mean_balanced_accuracy) + only });
}

/** The same texts under the same name: a data set that was made anew under an old name is another one. */
export interface Column {
  data: string;
  texts: string;
  title: string;
  /** Whether the data set was removed: none has these texts. */
  gone: boolean;
}

/** The columns of the table by name; the names of data sets that are alike are told apart by the number of texts. */
export function columnsOf(all: readonly RunEvaluation[], dataSets: readonly DataSet[]): Column[] {
  const columns = new Map<string, RunEvaluation>();
  for (const found of all) {
    const key = JSON.stringify([found.data, found.texts]);
    const newest = columns.get(key);
    if (!newest || newest.created_at < found.created_at) columns.set(key, found);
  }
  const kept = [...columns.values()];
  const named = (name: string) => kept.filter(({ data }) => data === name).length;
  return kept
    .map(({ data, texts, all, created_at }) => ({
      data,
      texts,
      title: named(data) > 1 ? t("evaluation_column", { data, n: all.texts }) : data,
      gone: !dataSets.some((one) => isThat(one, data, texts, created_at)),
    }))
    .sort((one, other) => one.title.localeCompare(other.title, undefined, { numeric: true }));
}

/** Whether a data set has the texts of an evaluation, under whatever name. One of an older version is known by name and time. */
function isThat({ fingerprint, name, created_at }: DataSet, data: string, texts: string, when: string): boolean {
  return fingerprint === null ? name === data && created_at <= when : fingerprint === texts;
}

/** Why no text is left to compare two runs on, or null where some are. */
export function nothingLeft(compared: RunComparison, all: readonly RunEvaluation[]): string | null {
  const { first, second, data, left_out, found } = compared;
  if (found.texts > 0) return null;
  const knewAll = (run: number) =>
    all.some((one) => one.run === run && one.data === data && one.overlap?.texts === one.all.texts);
  const run = [first, second].find(knewAll);
  return run === undefined
    ? t("compare_nothing", { data, n: left_out })
    : t("compare_nothing_one", { run: String(run), data, n: left_out });
}

/** On which axes two runs were compared, where they do not both have all. */
export function comparedOn(found: Comparison): string | null {
  const axes = axesOnly(comparedAxes(found));
  return axes === null ? null : t("compare_axes", { axes });
}

/** The data sets that two different runs were evaluated on, on the same texts, by name, each with these runs. */
export function comparable(all: readonly RunEvaluation[]): Map<string, number[]> {
  const newest = new Map<string, RunEvaluation>();
  for (const found of all) {
    const known = newest.get(found.data);
    if (!known || known.created_at < found.created_at) newest.set(found.data, found);
  }
  const runs = new Map<string, number[]>();
  for (const { data, run, texts } of all) {
    if (newest.get(data)?.texts === texts) runs.set(data, [...(runs.get(data) ?? []), run]);
  }
  const several = [...runs].filter(([, of]) => of.length > 1);
  return new Map(several.sort(([one], [other]) => one.localeCompare(other)));
}

/** The axes of a comparison in their usual order. */
export const comparedAxes = (found: Comparison): Axis[] => AXES.filter((axis) => found.axes[axis] !== undefined);
