import { AXES, lettersOf } from "../axes";
import { hash, problem } from "./fake-data";
import type { Prediction } from "./types/Prediction";
import type { Run } from "./types/Run";

/** Half the width of the interval that the stand-in gives a probability. */
const HALF = 0.11;

/** What a run's model would say of a text: by its hash, and of no meaning. */
export function predict(run: Run, text: string): Prediction {
  if (run.model_folder === null) throw problem("run_has_no_model", { run: String(run.id), status: run.status });
  const words = text.split(/\s+|(?=[\u4e00-\u9fff])/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (words.length === 0) throw problem("empty_text");
  const axes: Prediction["axes"] = {};
  let type = "";
  for (const axis of AXES) {
    if (!run.config.axes.includes(axis)) {
      type += "-";
      continue;
    }
    const value = hash(axis + text.trim());
    const letter = lettersOf(axis)[value % 2]!;
    const probability = 0.5 + ((value >>> 3) % 480) / 1000;
    const interval: [number, number] = [probability - HALF, Math.min(0.995, probability + HALF)];
    axes[axis] = { letter, probability, interval, unsure: interval[0] <= 0.5, refused: null, limited: false };
    type += letter;
  }
  const tokens = Math.min(words.length + 2, run.config.max_length);
  return {
    type,
    axes,
    sets: setsOf(run, axes),
    model: run.config.model,
    run: run.id,
    milliseconds: 1.4 + words.length / 100,
    tokens,
    truncated: words.length + 2 > run.config.max_length,
  };
}

/** Both letters where the model is unsure, one where it is not, and all types that these make. */
function setsOf(run: Run, axes: Prediction["axes"]): Prediction["sets"] {
  const sets = run.assessment?.sets;
  if (!sets) return null;
  const { coverage, calibration_units, least_units } = sets;
  const none = { coverage, calibration_units, least_units, axes: {}, types: [] };
  if (Object.keys(sets.axes).length === 0) return none;
  const letters = AXES.map((axis) => {
    const found = axes[axis];
    if (!found) return null;
    const other = lettersOf(axis).find((letter) => letter !== found.letter)!;
    return found.unsure ? [found.letter, other] : [found.letter];
  });
  const types = letters.reduce<string[]>(
    (begun, next) => begun.flatMap((type) => (next ?? ["-"]).map((letter) => type + letter)),
    [""],
  );
  return {
    ...none,
    axes: Object.fromEntries(AXES.flatMap((axis, place) => (letters[place] ? [[axis, letters[place]]] : []))),
    types: Object.keys(axes).length > 1 ? types : [],
  };
}
