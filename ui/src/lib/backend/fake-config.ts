import { AXES } from "../axes";
import { problem } from "./fake-data";
import type { DeviceInfo } from "./types/DeviceInfo";
import type { Estimate } from "./types/Estimate";
import type { Model } from "./types/Model";
import type { PresetConfig } from "./types/PresetConfig";
import type { TrainConfig } from "./types/TrainConfig";

export const FAKE_DEFAULTS: TrainConfig = {
  data: "",
  valid: null,
  model: "",
  axes: [...AXES],
  sample_fraction: 1,
  validation_fraction: 0.2,
  split_by: "author",
  folds: null,
  fold: null,
  max_length: 256,
  num_train_epochs: null,
  max_steps: null,
  per_device_train_batch_size: 8,
  max_tokens_per_batch: null,
  per_device_eval_batch_size: null,
  gradient_accumulation_steps: 1,
  tokens_per_pass: "auto",
  learning_rate: null,
  head_learning_rate_multiplier: 10,
  lr_scheduler_type: "linear",
  warmup_steps: 0,
  warmup_ratio: 0.1,
  optim: "adamw",
  weight_decay: 0.01,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  max_grad_norm: 1,
  class_weights: "balanced",
  eval_steps: null,
  save_steps: null,
  logging_steps: 1,
  save_total_limit: 2,
  load_best_model_at_end: true,
  metric_for_best_model: "roc_auc",
  early_stopping_patience: 0,
  early_stopping_threshold: 0,
  seed: 0,
  device: "auto",
  dtype: "f32",
  trainable: "all",
  quantization: "none",
  lora_rank: 8,
  lora_alpha: 16,
  lora_dropout: 0,
  lora_target_modules: [],
  use_rslora: false,
  gradient_checkpointing: "auto",
  push_to_hub: null,
  hub_private_repo: false,
};

/** The presets as the program has them. */
/** A processor, and a graphics card whose driver is too old. */
export const FAKE_DEVICES: DeviceInfo[] = [
  { device: "cpu", name: "Example processor, 8 threads", memory_mib: 16_384, free_mib: 9_216, unusable: null },
  {
    device: "cuda:0",
    name: "Example graphics card",
    memory_mib: null,
    free_mib: null,
    unusable: { kind: "old_driver", found: "535.183.01", needed: "580" },
  },
];

export const FAKE_PRESETS: readonly PresetConfig[] = [
  {
    preset: "tutorial",
    config: {
      ...FAKE_DEFAULTS,
      axes: ["J-P"],
      sample_fraction: 0.1,
      split_by: "text",
      max_length: 4096,
      per_device_train_batch_size: 4,
      gradient_accumulation_steps: 2,
      num_train_epochs: 1,
      learning_rate: 2e-5,
      head_learning_rate_multiplier: 1,
      warmup_ratio: 0,
      optim: "adamw_8bit",
      class_weights: "0.6,0.4",
      eval_steps: 1000,
      save_steps: 1000,
      metric_for_best_model: "accuracy",
      seed: 42,
      dtype: "tf32",
    },
  },
  { preset: "quick_look", config: { ...FAKE_DEFAULTS, max_length: 128, max_steps: 100, eval_steps: 100 } },
  {
    preset: "best_quality",
    config: {
      ...FAKE_DEFAULTS,
      num_train_epochs: 4,
      per_device_train_batch_size: 16,
      lr_scheduler_type: "cosine",
      early_stopping_patience: 3,
    },
  },
  {
    preset: "small_memory",
    config: {
      ...FAKE_DEFAULTS,
      max_length: 128,
      per_device_train_batch_size: 1,
      per_device_eval_batch_size: 1,
      gradient_accumulation_steps: 8,
      optim: "adamw_8bit",
      dtype: "bf16",
      trainable: "lora",
      gradient_checkpointing: "all",
    },
  },
];

/** Memory that the stand-in pretends to have, in MiB. */
const AVAILABLE = 7430;

/** What a run would need, or the problem that it does not fit. */
export function estimateOf(config: TrainConfig, model: Model, texts: number): Estimate {
  const bytes = config.dtype === "bf16" ? 2 : 4;
  const million = (model.parameters ?? 500_000) / 1e6;
  const learning = config.trainable === "all" ? million : million * 0.02;
  const { tokens_per_pass } = config;
  const batch = config.max_tokens_per_batch ?? config.per_device_train_batch_size * config.max_length;
  const tokens = typeof tokens_per_pass === "number" ? Math.max(tokens_per_pass, config.max_length) : batch;
  const weights_mib = million * bytes;
  const gradients_mib = learning * bytes;
  const optimizer_mib = learning * (config.optim === "adamw" ? 8 : 2);
  const activations_mib = ((tokens * bytes * million) / 400) * (config.gradient_checkpointing === "all" ? 0.15 : 1);
  const rest_mib = 96;
  const peak_mib = weights_mib + gradients_mib + optimizer_mib + activations_mib + rest_mib;
  if (peak_mib > AVAILABLE) {
    throw problem("cannot_fit", {
      needed: String(Math.round(peak_mib)),
      available: String(AVAILABLE),
      settings: config.gradient_checkpointing === "all" ? "" : "trainable=lora,gradient_checkpointing=all",
    });
  }
  const total_steps = stepsOf(config, texts);
  const learned = Math.round(texts * epochsOf(config) * 74);
  return {
    measured: true,
    weights_mib,
    gradients_mib,
    optimizer_mib,
    activations_mib,
    rest_mib,
    peak_mib,
    available_mib: AVAILABLE,
    total_steps,
    tokens: learned,
    training_seconds: learned / 7400,
    evaluation_seconds: learned / 60_000,
    checkpointing: config.gradient_checkpointing === "auto" ? "none" : config.gradient_checkpointing,
    // On the processor a pass is a batch, unless a number is given.
    ...(typeof tokens_per_pass === "number" ? { tokens_per_pass } : {}),
  };
}

/** Where no number is asked for, the stand-in goes over the texts once, however few there are. */
const epochsOf = (config: TrainConfig): number => config.num_train_epochs ?? 1;

/** Optimizer steps of a run over so many texts. */
export function stepsOf(config: TrainConfig, texts: number): number {
  const perStep = config.per_device_train_batch_size * config.gradient_accumulation_steps;
  const steps = Math.max(1, Math.ceil((texts * epochsOf(config)) / perStep));
  return Math.min(steps, config.max_steps ?? steps);
}
