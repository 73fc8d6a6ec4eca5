import { lettersOf } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { TrainConfig } from "./backend/types/TrainConfig";
import { classWeightsOf } from "./draft";
import { formatPercent } from "./format";
import { language, t, words } from "./i18n";

/** The settings of a run in words: what was left empty shows what that means. */
export function settingsOf(config: TrainConfig): [name: string, value: string][] {
  const locale = language();
  const number = (value: number) => new Intl.NumberFormat(locale, { maximumSignificantDigits: 12 }).format(value);
  const orDefault = (value: number | null, meaning: string) => (value === null ? meaning : number(value));
  const yesOrNo = (value: boolean) => (value ? t("yes") : t("no"));
  const values: Record<keyof TrainConfig, string> = {
    data: config.data,
    valid: config.valid ?? t("train_hold_out"),
    model: config.model,
    axes: config.axes.join(", "),
    epochs: number(config.epochs),
    max_steps: orDefault(config.max_steps, t("default_max_steps")),
    batch_size: number(config.batch_size),
    gradient_accumulation_steps: number(config.gradient_accumulation_steps),
    learning_rate: orDefault(config.learning_rate, t("default_learning_rate")),
    weight_decay: number(config.weight_decay),
    max_length: number(config.max_length),
    eval_steps: orDefault(config.eval_steps, t("default_eval_steps")),
    validation_fraction: formatPercent(locale, config.validation_fraction),
    // A seed is a name and not an amount, and takes no separators.
    seed: String(config.seed),
    device: deviceName(config.device),
    dtype: words().dtypes[config.dtype],
    trainable: words().trainables[config.trainable],
    lora_rank: number(config.lora_rank),
    lora_alpha: number(config.lora_alpha),
    lora_dropout: number(config.lora_dropout),
    lora_target_modules: config.lora_target_modules.join(", ") || t("default_target_modules"),
    use_rslora: yesOrNo(config.use_rslora),
    gradient_checkpointing: yesOrNo(config.gradient_checkpointing),
    class_weights: classWeightsText(config, number),
  };
  return (Object.keys(values) as (keyof TrainConfig)[])
    .filter((name) => name !== "validation_fraction" || config.valid === null)
    .filter((name) => !name.includes("lora") || config.trainable === "lora")
    .map((name) => [words().settings[name], values[name]]);
}

function classWeightsText({ class_weights, axes }: TrainConfig, number: (value: number) => string): string {
  if (class_weights === "balanced" || class_weights === "none") return words().class_weightings[class_weights];
  const weights = classWeightsOf(class_weights);
  if (weights === null) return class_weights;
  const [first, second] = lettersOfAll(axes);
  return t("class_weights_of", { first, first_weight: number(weights[0]), second, second_weight: number(weights[1]) });
}

/** The first letters of some axes, and the second ones. */
export function lettersOfAll(axes: readonly Axis[]): [first: string, second: string] {
  const letters = axes.map(lettersOf);
  const list = (place: 0 | 1) => letters.map((pair) => pair[place]).join(t("list_separator"));
  return [list(0), list(1)];
}

export function deviceName(device: string): string {
  if (device === "auto") return t("device_auto");
  if (device === "cpu") return t("device_cpu");
  return t("device_cuda", { index: device.replace("cuda:", "") });
}
