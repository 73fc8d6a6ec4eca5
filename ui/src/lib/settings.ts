import { lettersOf } from "./axes";
import type { Axis } from "./backend/types/Axis";
import type { DeviceInfo } from "./backend/types/DeviceInfo";
import type { Estimate } from "./backend/types/Estimate";
import type { TrainConfig } from "./backend/types/TrainConfig";
import type { TokensPerPass } from "./backend/types/TokensPerPass";
import { classWeightsOf } from "./draft";
import { formatMemory, formatPercent } from "./format";
import { deviceCalled, language, t, unusableReason, words } from "./i18n";
import type { Dictionary } from "./i18n/en";
import { CHOICE_WORDS, type ChoiceSetting } from "./settingGroups";

/** The settings of a run in words: what was left empty shows what that means, and what was automatic what was chosen. */
export function settingsOf(config: TrainConfig, estimate?: Estimate | null): [name: string, value: string][] {
  const locale = language();
  const number = (value: number) => new Intl.NumberFormat(locale, { maximumSignificantDigits: 12 }).format(value);
  const orDefault = (name: Exclude<keyof Dictionary["when_empty"], "lora_target_modules" | "push_to_hub">) =>
    config[name] === null || config[name] === undefined ? words().when_empty[name] : number(config[name]);
  const yesOrNo = (value: boolean) => (value ? t("yes") : t("no"));
  const known = words();
  const values: Record<keyof TrainConfig, string> = {
    data: config.data,
    valid: config.valid ?? t(config.split_by === "text" ? "train_hold_out_text" : "train_hold_out"),
    model: config.model,
    axes: config.axes.join(", "),
    sample_fraction: formatPercent(locale, config.sample_fraction),
    validation_fraction: formatPercent(locale, config.validation_fraction),
    split_by: known.split_bys[config.split_by],
    folds: orDefault("folds"),
    fold: config.fold ? number(config.fold) : "",
    // A seed is a name and not an amount, and takes no separators.
    seed: String(config.seed),
    num_train_epochs: orDefault("num_train_epochs"),
    max_steps: orDefault("max_steps"),
    max_length: number(config.max_length),
    per_device_train_batch_size: number(config.per_device_train_batch_size),
    max_tokens_per_batch: orDefault("max_tokens_per_batch"),
    gradient_accumulation_steps: number(config.gradient_accumulation_steps),
    tokens_per_pass: tokensPerPassText(config.tokens_per_pass, estimate?.tokens_per_pass, number),
    per_device_eval_batch_size: orDefault("per_device_eval_batch_size"),
    learning_rate: orDefault("learning_rate"),
    head_learning_rate_multiplier: number(config.head_learning_rate_multiplier),
    lr_scheduler_type: known.schedulers[config.lr_scheduler_type],
    warmup_steps: number(config.warmup_steps),
    warmup_ratio: formatPercent(locale, config.warmup_ratio),
    optim: known.optims[config.optim],
    weight_decay: number(config.weight_decay),
    max_grad_norm: number(config.max_grad_norm),
    adam_beta1: number(config.adam_beta1),
    adam_beta2: number(config.adam_beta2),
    adam_epsilon: number(config.adam_epsilon),
    class_weights: classWeightsText(config, number),
    eval_steps: orDefault("eval_steps"),
    save_steps: orDefault("save_steps"),
    logging_steps: number(config.logging_steps),
    save_total_limit: number(config.save_total_limit),
    metric_for_best_model: known.metrics[config.metric_for_best_model],
    load_best_model_at_end: yesOrNo(config.load_best_model_at_end),
    early_stopping_patience: number(config.early_stopping_patience),
    early_stopping_threshold: number(config.early_stopping_threshold),
    device: deviceName(config.device),
    dtype: known.dtypes[config.dtype],
    gradient_checkpointing: known.checkpointings[config.gradient_checkpointing],
    trainable: known.trainables[config.trainable],
    quantization: known.quantizations[config.quantization],
    lora_rank: number(config.lora_rank),
    lora_alpha: number(config.lora_alpha),
    lora_dropout: number(config.lora_dropout),
    lora_target_modules: config.lora_target_modules.join(", ") || known.when_empty.lora_target_modules,
    use_rslora: yesOrNo(config.use_rslora),
    push_to_hub: config.push_to_hub ?? known.when_empty.push_to_hub,
    hub_private_repo: yesOrNo(config.hub_private_repo),
  };
  return (Object.keys(values) as (keyof TrainConfig)[])
    .filter((name) => !["validation_fraction", "split_by"].includes(name) || !config.valid)
    // The folds validate in place of a part that is held out.
    .filter((name) => name !== "validation_fraction" || !config.folds)
    .filter((name) => !["folds", "fold"].includes(name) || Boolean(config[name as "folds" | "fold"]))
    .filter((name) => name !== "hub_private_repo" || config.push_to_hub)
    .filter((name) => !(name.includes("lora") || name === "quantization") || config.trainable === "lora")
    .map((name) => [words().settings[name], values[name]]);
}

function classWeightsText({ class_weights, axes }: TrainConfig, number: (value: number) => string): string {
  if (class_weights === "balanced" || class_weights === "none") return words().class_weightings[class_weights];
  const weights = classWeightsOf(class_weights);
  if (weights === null) return class_weights;
  const [first, second] = lettersOfAll(axes);
  return t("class_weights_of", { first, first_weight: number(weights[0]), second, second_weight: number(weights[1]) });
}

function tokensPerPassText(
  // Absent in runs of older versions.
  tokens: TokensPerPass | undefined,
  chosen: number | undefined,
  number: (value: number) => string,
): string {
  if (typeof tokens === "number") return number(tokens);
  const name = words().tokens_per_passes[tokens ?? "auto"];
  return tokens === "none" || chosen === undefined ? name : t("setting_value", { name, value: number(chosen) });
}

/** The first letters of some axes, and the second ones. */
export function lettersOfAll(axes: readonly Axis[]): [first: string, second: string] {
  const letters = axes.map(lettersOf);
  const list = (place: 0 | 1) => letters.map((pair) => pair[place]).join(t("list_separator"));
  return [list(0), list(1)];
}

/** What one of the words that a setting can be is called. */
export function choiceName(name: ChoiceSetting, choice: string): string {
  const names: Readonly<Record<string, string>> = words()[CHOICE_WORDS[name]];
  return names[choice] ?? choice;
}

/** One device that can be chosen, or that is there and cannot be. */
export interface DeviceChoice {
  device: string;
  text: string;
  usable: boolean;
  /** Why it cannot be chosen. */
  why: string | null;
}

/** The best there is, what the engine has listed, and what is chosen, be it there or not. */
export function deviceChoices(listed: readonly DeviceInfo[], chosen: string): DeviceChoice[] {
  const plain = (device: string): DeviceChoice => ({ device, text: deviceName(device), usable: true, why: null });
  const known = listed.map(({ device, name, memory_mib, unusable }) => ({
    device,
    text: memory_mib === null ? listedName(device, name) : t("device_option", { name: listedName(device, name), memory: formatMemory(language(), memory_mib) }),
    usable: unusable === null,
    why: unusable === null ? null : unusableReason(unusable),
  }));
  const choices = [plain("auto"), ...(known.length > 0 ? known : [plain("cpu")])];
  return choices.some(({ device }) => device === chosen) ? choices : [...choices, plain(chosen)];
}

/** With its number, by which reasons and messages name it. A graphics card that nothing has shown has no name. */
function listedName(device: string, name: string): string {
  return name === "" || device === "cpu" ? deviceCalled(name) || deviceName(device) : t("device_numbered", { device, name });
}

export function deviceName(device: string): string {
  if (device === "auto") return t("device_auto");
  if (device === "cpu") return t("device_cpu");
  return t("device_numbered", { device, name: t("device_cuda") });
}
