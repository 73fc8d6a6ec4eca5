import { AXES } from "../axes";
import { assess, type Held } from "./fake-metrics";
import type { Axis } from "./types/Axis";
import type { Comparison } from "./types/Comparison";
import type { CrossValidation } from "./types/CrossValidation";
import type { DataSetDetail } from "./types/DataSetDetail";
import type { Estimated } from "./types/Estimated";
import type { FoldFigures } from "./types/FoldFigures";
import type { JudgedTexts } from "./types/JudgedTexts";
import type { Judgement } from "./types/Judgement";
import type { Level } from "./types/Level";
import type { Run } from "./types/Run";
import type { RunComparison } from "./types/RunComparison";
import type { RunEvaluation } from "./types/RunEvaluation";

/** What the stand-in finds of a run on a data set: the run's own is largely what it learned from. */
export function evaluationOf(run: Run, { data_set, axes }: DataSetDetail): RunEvaluation {
  const own = data_set.name === run.config.data;
  const training = own ? (run.split?.train_examples ?? 0) : 0;
  const held = (share: number): Held =>
    new Map(
      run.config.axes.map((axis) => {
        const [first, second] = axes[axis] ?? [1, 1];
        return [axis, [Math.round(share * first), Math.round(share * second)] as const];
      }),
    );
  const judged = (texts: number): JudgedTexts => {
    const share = texts / data_set.examples;
    const authors = data_set.authors === null ? null : Math.max(2, Math.round(share * data_set.authors));
    const model = judgementOf(held(share), authors, false);
    const words = run.baseline ? judgementOf(held(share), authors, true) : null;
    return { texts, model, words, beside_words: words && differenceOf(model, words, texts, authors) };
  };
  return {
    run: run.id,
    data: data_set.name,
    made_up: data_set.made_up,
    texts: data_set.fingerprint ?? "",
    created_at: new Date().toISOString(),
    seconds: 12,
    temperatures: Object.fromEntries(run.config.axes.map((axis) => [axis, 1.3])),
    overlap: {
      texts: training,
      training_texts: training,
      exact_duplicates: 0,
      near_duplicates: 0,
      texts_of_shared_authors: 0,
      validation_texts: own ? data_set.examples - training : 0,
    },
    all: judged(data_set.examples),
    unseen: training > 0 ? judged(data_set.examples - training) : null,
  };
}

function judgementOf(held: Held, authors: number | null, words: boolean): Judgement {
  const { by_text, by_author } = assess(held, authors, 0, words);
  const known = Object.values(by_text.axes).map(({ metrics }) => metrics.balanced_accuracy ?? 0.5);
  const value = known.reduce((sum, one) => sum + one, 0) / known.length;
  return { mean_balanced_accuracy: around(value, authors ?? by_text.units), by_text, by_author };
}

/** What the stand-in finds in a cross-validation, all folds of which are alike. */
export function crossValidationOf(run: Run, held: Held, authors: number | null): CrossValidation {
  const model = judgementOf(held, authors, false);
  const words = run.config.model === "words" ? null : judgementOf(held, authors, true);
  const texts = model.by_text.units;
  const figures = (level: Level): FoldFigures => ({
    units: level.units,
    axes: Object.fromEntries(Object.entries(level.axes).map(([axis, { metrics }]) => [axis, metrics])),
  });
  const spread = (level: Level): CrossValidation["by_text"] =>
    Object.fromEntries(
      Object.entries(level.axes).map(([axis, { metrics }]) => {
        const mean = metrics.balanced_accuracy ?? 0.5;
        const of = { count: run.config.folds ?? 2, mean, standard_deviation: 0.031, lowest: mean - 0.04, highest: mean + 0.04 };
        return [axis, { balanced_accuracy: of }];
      }),
    );
  const { by_text, by_author } = model;
  return {
    run: run.id,
    pooled: { texts, model, words, beside_words: words && differenceOf(model, words, texts, authors) },
    folds: Array.from({ length: run.config.folds ?? 2 }, (_, place) => ({
      fold: place + 1,
      run: run.id + place + 1,
      by_text: figures(by_text),
      by_author: by_author && figures(by_author),
    })),
    by_text: spread(by_text),
    by_author: by_author && spread(by_author),
  };
}

/** The difference of two judgements on the same texts. */
function differenceOf(first: Judgement, second: Judgement, texts: number, authors: number | null): Comparison {
  const units = authors ?? texts;
  const axes = AXES.flatMap((axis): [Axis, Estimated][] => {
    const [one, other] = [first, second].map((judged) => judged.by_text.axes[axis]?.metrics.balanced_accuracy);
    return one == null || other == null ? [] : [[axis, around(one - other, units)]];
  });
  const [one, other] = [first, second].map(({ mean_balanced_accuracy }) => mean_balanced_accuracy.value ?? 0.5);
  return { texts, units, authors: authors !== null, axes: Object.fromEntries(axes), mean: around(one! - other!, units) };
}

function around(value: number, units: number): Estimated {
  const half = 0.6 / Math.sqrt(units);
  return { value, interval: [value - half, value + half] };
}

/** Two runs on the texts that neither of them learned from. */
export function comparisonOf(first: RunEvaluation, second: RunEvaluation): RunComparison {
  const [one, other] = [first, second].map((found) => found.unseen ?? found.all) as [JudgedTexts, JudgedTexts];
  const texts = Math.min(one.texts, other.texts);
  return {
    first: first.run,
    second: second.run,
    data: first.data,
    left_out: first.all.texts - texts,
    overlap_known: true,
    found: differenceOf(one.model, other.model, texts, one.model.by_author?.units ?? null),
  };
}
