import { AXES } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { Problem } from "./backend/types/Problem";
import type { TrainConfig } from "./backend/types/TrainConfig";

/** The settings that are numbers, in the order in which they are shown. */
export const NUMBER_SETTINGS = [
  "epochs",
  "max_steps",
  "batch_size",
  "gradient_accumulation_steps",
  "learning_rate",
  "weight_decay",
  "max_length",
  "eval_steps",
  "validation_fraction",
  "seed",
] as const satisfies readonly (keyof TrainConfig)[];
export type NumberSetting = (typeof NUMBER_SETTINGS)[number];

/** A config while it is being filled in: numbers are still the text that was typed. */
export interface Draft {
  data: string;
  /** Empty where a part is held out. */
  valid: string;
  model: string;
  axes: Record<Axis, boolean>;
  numbers: Record<NumberSetting, string>;
  device: string;
}

/** What may be typed; the same as the Rust side checks, which alone decides. */
const ALLOWED: Record<NumberSetting, { empty?: boolean; whole?: boolean; good: (value: number) => boolean }> = {
  epochs: { good: (value) => value > 0 && value <= 1000 },
  max_steps: { empty: true, whole: true, good: (value) => value >= 1 },
  batch_size: { whole: true, good: (value) => value >= 1 },
  gradient_accumulation_steps: { whole: true, good: (value) => value >= 1 },
  learning_rate: { empty: true, good: (value) => value > 0 && value <= 1 },
  weight_decay: { good: (value) => value >= 0 && value <= 1 },
  max_length: { whole: true, good: (value) => value >= 4 },
  eval_steps: { empty: true, whole: true, good: (value) => value >= 1 },
  validation_fraction: { good: (value) => value > 0 && value < 1 },
  seed: { whole: true, good: (value) => value >= 0 },
};

const GREATEST_WHOLE = 2 ** 32 - 1;

export function draftOf(config: TrainConfig): Draft {
  const text = (value: number | null) => (value === null ? "" : String(value));
  return {
    data: config.data,
    valid: config.valid ?? "",
    model: config.model,
    axes: Object.fromEntries(AXES.map((axis) => [axis, config.axes.includes(axis)])) as Draft["axes"],
    numbers: Object.fromEntries(NUMBER_SETTINGS.map((name) => [name, text(config[name])])) as Draft["numbers"],
    device: config.device,
  };
}

/** The first setting that cannot be, or null. */
export function draftProblem(draft: Draft): Problem | null {
  for (const name of NUMBER_SETTINGS) {
    if (!isAllowed(name, draft.numbers[name])) return badSetting(name, draft.numbers[name].trim());
  }
  if (!AXES.some((axis) => draft.axes[axis])) return badSetting("axes", "");
  return null;
}

export function isAllowed(name: NumberSetting, text: string): boolean {
  const { empty = false, whole = false, good } = ALLOWED[name];
  const value = parse(text);
  if (value === null) return empty;
  if (whole && !(Number.isInteger(value) && value <= GREATEST_WHOLE)) return false;
  return Number.isFinite(value) && good(value);
}

/** The config that a draft without a problem stands for. */
export function configOf(draft: Draft): TrainConfig {
  const numbers = Object.fromEntries(NUMBER_SETTINGS.map((name) => [name, parse(draft.numbers[name])]));
  return {
    ...(numbers as Pick<TrainConfig, NumberSetting>),
    data: draft.data,
    valid: draft.valid === "" ? null : draft.valid,
    model: draft.model,
    axes: AXES.filter((axis) => draft.axes[axis]),
    device: draft.device,
  };
}

function parse(text: string): number | null {
  // Chinese input methods type full-width digits, which mean the same.
  const plain = text.normalize("NFKC").trim().replace("。", ".");
  return plain === "" ? null : Number(plain);
}

function badSetting(name: keyof TrainConfig, value: string): Problem {
  return { code: "bad_setting", params: { name, value }, message: `${name} cannot be "${value}".` };
}
