import { AXES } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { Dtype } from "./backend/types/Dtype";
import type { Problem } from "./backend/types/Problem";
import type { TrainConfig } from "./backend/types/TrainConfig";
import type { Trainable } from "./backend/types/Trainable";

/** The settings that are numbers and are always shown, in this order. */
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

/** Those that are shown and count only where LoRA is chosen. */
export const LORA_NUMBERS = [
  "lora_rank",
  "lora_alpha",
  "lora_dropout",
] as const satisfies readonly (keyof TrainConfig)[];
type LoraNumber = (typeof LORA_NUMBERS)[number];

const ALL_NUMBERS = [...NUMBER_SETTINGS, ...LORA_NUMBERS] as const;
export type NumberSetting = (typeof ALL_NUMBERS)[number];

export const DTYPES = ["f32", "bf16"] as const satisfies readonly Dtype[];
export const TRAINABLES = ["all", "lora", "head"] as const satisfies readonly Trainable[];
export const CLASS_WEIGHTINGS = ["balanced", "none", "given"] as const;
export type ClassWeightingChoice = (typeof CLASS_WEIGHTINGS)[number];

/** A config while it is being filled in: numbers are still the text that was typed. */
export interface Draft {
  data: string;
  /** Empty where a part is held out. */
  valid: string;
  model: string;
  axes: Record<Axis, boolean>;
  numbers: Record<NumberSetting, string>;
  /** What is sent for a number of LoRA's that was left wrong and is out of sight. */
  unseen: Pick<TrainConfig, LoraNumber>;
  device: string;
  dtype: Dtype;
  trainable: Trainable;
  /** Names parted by commas. */
  lora_target_modules: string;
  use_rslora: boolean;
  gradient_checkpointing: boolean;
  class_weights: ClassWeightingChoice;
  /** Two numbers parted by a comma, which count where `class_weights` is "given". */
  class_weights_given: string;
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
  lora_rank: { whole: true, good: (value) => value >= 1 && value <= 4096 },
  lora_alpha: { good: (value) => value > 0 && value <= 10_000 },
  lora_dropout: { good: (value) => value >= 0 && value < 1 },
};

const GREATEST_WHOLE = 2 ** 32 - 1;
const GREATEST_CLASS_WEIGHT = 1e6;
/** Both letters the same: where one begins who gives weights. */
const EQUAL_WEIGHTS = "1,1";

export function draftOf(config: TrainConfig): Draft {
  const text = (value: number | null) => (value === null ? "" : String(value));
  const weighting = config.class_weights;
  const named = weighting === "balanced" || weighting === "none";
  return {
    data: config.data,
    valid: config.valid ?? "",
    model: config.model,
    axes: Object.fromEntries(AXES.map((axis) => [axis, config.axes.includes(axis)])) as Draft["axes"],
    numbers: Object.fromEntries(ALL_NUMBERS.map((name) => [name, text(config[name])])) as Draft["numbers"],
    unseen: { lora_rank: config.lora_rank, lora_alpha: config.lora_alpha, lora_dropout: config.lora_dropout },
    device: config.device,
    dtype: config.dtype,
    trainable: config.trainable,
    lora_target_modules: config.lora_target_modules.join(", "),
    use_rslora: config.use_rslora,
    gradient_checkpointing: config.gradient_checkpointing,
    class_weights: named ? weighting : "given",
    class_weights_given: named ? EQUAL_WEIGHTS : weighting,
  };
}

/** The first setting that cannot be, or null. */
export function draftProblem(draft: Draft): Problem | null {
  const advanced = advancedProblem(draft);
  if (advanced) return advanced;
  if (!AXES.some((axis) => draft.axes[axis])) return badSetting("axes", "");
  return null;
}

/** The same among the advanced settings alone. What is out of sight is never wrong. */
export function advancedProblem(draft: Draft): Problem | null {
  const shown = draft.trainable === "lora" ? ALL_NUMBERS : NUMBER_SETTINGS;
  for (const name of shown) {
    if (!isAllowed(name, draft.numbers[name])) return badSetting(name, draft.numbers[name].trim());
  }
  if (draft.class_weights === "given" && classWeightsOf(draft.class_weights_given) === null) {
    return badSetting("class_weights", draft.class_weights_given.trim());
  }
  return null;
}

export function isAllowed(name: NumberSetting, text: string): boolean {
  const { empty = false, whole = false, good } = ALLOWED[name];
  const value = parse(text);
  if (value === null) return empty;
  if (whole && !(Number.isInteger(value) && value <= GREATEST_WHOLE)) return false;
  return Number.isFinite(value) && good(value);
}

/** Two weights from a text such as "0.6,0.4", or null if it is none. */
export function classWeightsOf(text: string): [number, number] | null {
  const [first, second, ...more] = partsOf(text).map(parse);
  if (!isClassWeight(first) || !isClassWeight(second) || more.length > 0) return null;
  return [first, second];
}

function isClassWeight(value: number | null | undefined): value is number {
  return typeof value === "number" && value > 0 && value <= GREATEST_CLASS_WEIGHT;
}

/** The config that a draft without a problem stands for. */
export function configOf(draft: Draft): TrainConfig {
  const numbers = Object.fromEntries(ALL_NUMBERS.map((name) => [name, parse(draft.numbers[name])]));
  const wrong = LORA_NUMBERS.filter((name) => !isAllowed(name, draft.numbers[name]));
  return {
    ...(numbers as Pick<TrainConfig, NumberSetting>),
    ...Object.fromEntries(wrong.map((name) => [name, draft.unseen[name]])),
    data: draft.data,
    valid: draft.valid === "" ? null : draft.valid,
    model: draft.model,
    axes: AXES.filter((axis) => draft.axes[axis]),
    device: draft.device,
    dtype: draft.dtype,
    trainable: draft.trainable,
    lora_target_modules: partsOf(draft.lora_target_modules).filter((name) => name !== ""),
    use_rslora: draft.use_rslora,
    gradient_checkpointing: draft.gradient_checkpointing,
    class_weights:
      draft.class_weights === "given"
        ? (classWeightsOf(draft.class_weights_given) ?? []).join(",")
        : draft.class_weights,
  };
}

function parse(text: string): number | null {
  const simple = plain(text).replace("。", ".");
  return simple === "" ? null : Number(simple);
}

function partsOf(text: string): string[] {
  return plain(text).split(/[,、]/).map((part) => part.trim());
}

function plain(text: string): string {
  // Chinese input methods type full-width digits and commas, which mean the same.
  return text.normalize("NFKC").trim();
}

function badSetting(name: keyof TrainConfig, value: string): Problem {
  return { code: "bad_setting", params: { name, value }, message: `${name} cannot be "${value}".` };
}
