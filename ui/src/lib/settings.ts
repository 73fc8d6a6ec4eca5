import type { TrainConfig } from "./backend/types/TrainConfig";
import { formatPercent } from "./format";
import { language, t, words } from "./i18n";

/** The settings of a run in words: what was left empty shows what that means. */
export function settingsOf(config: TrainConfig): [name: string, value: string][] {
  const locale = language();
  const number = (value: number) => new Intl.NumberFormat(locale, { maximumSignificantDigits: 12 }).format(value);
  const orDefault = (value: number | null, meaning: string) => (value === null ? meaning : number(value));
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
  };
  return (Object.keys(values) as (keyof TrainConfig)[])
    .filter((name) => name !== "validation_fraction" || config.valid === null)
    .map((name) => [words().settings[name], values[name]]);
}

export function deviceName(device: string): string {
  if (device === "auto") return t("device_auto");
  if (device === "cpu") return t("device_cpu");
  return t("device_cuda", { index: device.replace("cuda:", "") });
}
