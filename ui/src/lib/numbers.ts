import type { TrainConfig } from "./backend/types/TrainConfig";

interface Allowed {
  empty?: boolean;
  whole?: boolean;
  good: (value: number) => boolean;
}

const from = (least: number, greatest: number): Allowed => ({
  whole: true,
  good: (value) => value >= least && value <= greatest,
});
const emptyOrFrom = (least: number, greatest: number): Allowed => ({ ...from(least, greatest), empty: true });
/** 0 is among them, 1 is not. */
const part: Allowed = { good: (value) => value >= 0 && value < 1 };
const to = (greatest: number): Allowed => ({ good: (value) => value >= 0 && value <= greatest });
const aboveZeroTo = (greatest: number): Allowed => ({ good: (value) => value > 0 && value <= greatest });

const GREATEST_WHOLE = 2 ** 32 - 1;
const MOST_STEPS = 10_000_000;
const MOST_TEXTS = 65_536;

/** What `tokens_per_pass` may be where it is a number. */
const TOKENS_PER_PASS = from(4, 2 ** 24);

/** What may be typed; the same as the Rust side checks, which alone decides. */
const ALLOWED = {
  sample_fraction: aboveZeroTo(1),
  validation_fraction: { good: (value) => value > 0 && value < 1 },
  folds: emptyOrFrom(2, 100),
  seed: from(0, GREATEST_WHOLE),
  num_train_epochs: { ...aboveZeroTo(1000), empty: true },
  max_steps: emptyOrFrom(1, MOST_STEPS),
  max_length: from(4, 2 ** 20),
  per_device_train_batch_size: from(1, MOST_TEXTS),
  max_tokens_per_batch: emptyOrFrom(4, 2 ** 24),
  gradient_accumulation_steps: from(1, MOST_TEXTS),
  per_device_eval_batch_size: emptyOrFrom(1, MOST_TEXTS),
  learning_rate: { ...aboveZeroTo(1), empty: true },
  head_learning_rate_multiplier: aboveZeroTo(1000),
  warmup_steps: from(0, MOST_STEPS),
  warmup_ratio: part,
  weight_decay: to(1),
  max_grad_norm: to(1e6),
  adam_beta1: part,
  adam_beta2: part,
  adam_epsilon: aboveZeroTo(1),
  eval_steps: emptyOrFrom(1, MOST_STEPS),
  save_steps: emptyOrFrom(1, MOST_STEPS),
  logging_steps: from(1, MOST_STEPS),
  save_total_limit: from(0, MOST_STEPS),
  early_stopping_patience: from(0, MOST_STEPS),
  early_stopping_threshold: to(1000),
  lora_rank: from(1, 4096),
  lora_alpha: aboveZeroTo(10_000),
  lora_dropout: part,
} satisfies Partial<Record<keyof TrainConfig, Allowed>>;

/** The settings that are numbers. */
export type NumberSetting = keyof typeof ALLOWED;
export const ALL_NUMBERS = Object.keys(ALLOWED) as readonly NumberSetting[];

/** Those that are shown and count only where LoRA is chosen, and those that always do. */
export const LORA_NUMBERS = ["lora_rank", "lora_alpha", "lora_dropout"] as const satisfies readonly NumberSetting[];
export type LoraNumber = (typeof LORA_NUMBERS)[number];
export const NUMBER_SETTINGS = ALL_NUMBERS.filter((name) => !(LORA_NUMBERS as readonly string[]).includes(name));

export function isNumberSetting(name: string): name is NumberSetting {
  return Object.hasOwn(ALLOWED, name);
}

export function isAllowed(name: NumberSetting, text: string): boolean {
  return isWithin(ALLOWED[name], text);
}

export function isTokensPerPass(text: string): boolean {
  return isWithin(TOKENS_PER_PASS, text);
}

function isWithin({ empty = false, whole = false, good }: Allowed, text: string): boolean {
  const value = parse(text);
  if (value === null) return empty;
  if (whole && !Number.isInteger(value)) return false;
  return Number.isFinite(value) && good(value);
}

/** A number as it was typed; null where nothing was. */
export function parse(text: string): number | null {
  const simple = plain(text).replace("。", ".");
  return simple === "" ? null : Number(simple);
}

export function partsOf(text: string): string[] {
  return plain(text).split(/[,、]/).map((part) => part.trim());
}

function plain(text: string): string {
  // Chinese input methods type full-width digits and commas, which mean the same.
  return text.normalize("NFKC").trim();
}
