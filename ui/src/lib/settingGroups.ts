import type { Dtype } from "./backend/types/Dtype";
import type { GradientCheckpointing } from "./backend/types/GradientCheckpointing";
import type { LrSchedulerType } from "./backend/types/LrSchedulerType";
import type { Metric } from "./backend/types/Metric";
import type { Optim } from "./backend/types/Optim";
import type { Quantization } from "./backend/types/Quantization";
import type { SplitBy } from "./backend/types/SplitBy";
import type { TrainConfig } from "./backend/types/TrainConfig";
import type { Trainable } from "./backend/types/Trainable";

/** The groups of the advanced settings, each with its settings in the order in which they stand. */
export const SETTING_GROUPS = {
  data: ["sample_fraction", "validation_fraction", "folds", "seed", "split_by"],
  length: [
    "num_train_epochs",
    "max_steps",
    "max_length",
    "per_device_train_batch_size",
    "max_tokens_per_batch",
    "gradient_accumulation_steps",
    "tokens_per_pass",
    "per_device_eval_batch_size",
  ],
  rate: ["learning_rate", "head_learning_rate_multiplier", "lr_scheduler_type", "warmup_steps", "warmup_ratio"],
  optimizer: [
    "optim",
    "weight_decay",
    "max_grad_norm",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "class_weights",
  ],
  evaluation: [
    "eval_steps",
    "save_steps",
    "logging_steps",
    "save_total_limit",
    "metric_for_best_model",
    "load_best_model_at_end",
    "early_stopping_patience",
    "early_stopping_threshold",
  ],
  precision: ["dtype", "device", "gradient_checkpointing"],
  lora: ["trainable", "quantization", "lora_rank", "lora_alpha", "lora_dropout", "lora_target_modules", "use_rslora"],
  hub: ["push_to_hub", "hub_private_repo"],
} as const satisfies Record<string, readonly (keyof TrainConfig)[]>;

export type SettingGroup = keyof typeof SETTING_GROUPS;
export const GROUPS = Object.keys(SETTING_GROUPS) as readonly SettingGroup[];

export const CLASS_WEIGHTINGS = ["balanced", "none", "given"] as const;
export type ClassWeightingChoice = (typeof CLASS_WEIGHTINGS)[number];

export const TOKENS_PER_PASS = ["auto", "none", "given"] as const;
export type TokensPerPassChoice = (typeof TOKENS_PER_PASS)[number];

/** The settings that are one of a few words, with these. */
export const CHOICES = {
  split_by: ["author", "text"] satisfies SplitBy[],
  lr_scheduler_type: ["linear", "cosine", "constant", "constant_with_warmup"] satisfies LrSchedulerType[],
  optim: ["adamw", "adamw_8bit"] satisfies Optim[],
  metric_for_best_model: [
    "loss",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "f1",
    "mcc",
    "roc_auc",
    "log_loss",
    "expected_calibration_error",
  ] satisfies Metric[],
  dtype: ["f32", "bf16", "bf16_mixed", "tf32"] satisfies Dtype[],
  trainable: ["all", "lora", "head"] satisfies Trainable[],
  quantization: ["none", "nf4", "int8"] satisfies Quantization[],
  gradient_checkpointing: ["auto", "none", "alternate", "all"] satisfies GradientCheckpointing[],
} as const;
export type ChoiceSetting = keyof typeof CHOICES;

/** The section of the dictionary that names the choices. */
export const CHOICE_WORDS = {
  split_by: "split_bys",
  lr_scheduler_type: "schedulers",
  optim: "optims",
  metric_for_best_model: "metrics",
  dtype: "dtypes",
  trainable: "trainables",
  quantization: "quantizations",
  gradient_checkpointing: "checkpointings",
} as const satisfies Record<ChoiceSetting, string>;

export const SWITCHES = ["load_best_model_at_end", "use_rslora", "hub_private_repo"] as const;
export type SwitchSetting = (typeof SWITCHES)[number];

export function isChoice(name: string): name is ChoiceSetting {
  return Object.hasOwn(CHOICES, name);
}

export function isSwitch(name: string): name is SwitchSetting {
  return (SWITCHES as readonly string[]).includes(name);
}
