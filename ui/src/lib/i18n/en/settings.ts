import type { Dtype } from "../../backend/types/Dtype";
import type { GradientCheckpointing } from "../../backend/types/GradientCheckpointing";
import type { LrSchedulerType } from "../../backend/types/LrSchedulerType";
import type { Metric } from "../../backend/types/Metric";
import type { Optim } from "../../backend/types/Optim";
import type { Preset } from "../../backend/types/Preset";
import type { SplitBy } from "../../backend/types/SplitBy";
import type { TrainConfig } from "../../backend/types/TrainConfig";
import type { Quantization } from "../../backend/types/Quantization";
import type { Trainable } from "../../backend/types/Trainable";
import type { Unusable } from "../../backend/types/Unusable";
import type { ClassWeightingChoice } from "../../draft";
import type { SettingGroup, TokensPerPassChoice } from "../../settingGroups";

export const settings = {
  data: "Data set",
  valid: "Validation",
  model: "Model",
  axes: "Axes",
  sample_fraction: "Part of the texts used",
  validation_fraction: "Part held out",
  split_by: "What is held out whole",
  folds: "Folds of a cross-validation",
  fold: "Which of the folds",
  max_length: "Tokens of a text at most",
  num_train_epochs: "Passes over the texts (epochs)",
  max_steps: "Steps at most",
  per_device_train_batch_size: "Texts in one batch (batch size)",
  max_tokens_per_batch: "Tokens in one batch",
  per_device_eval_batch_size: "Texts in one pass of an evaluation",
  gradient_accumulation_steps: "Batches to one step (accumulation)",
  tokens_per_pass: "Tokens computed at once",
  learning_rate: "Learning rate",
  head_learning_rate_multiplier: "Learning rate of the head, as a multiple",
  lr_scheduler_type: "Course of the learning rate",
  warmup_steps: "Warmup, in steps",
  warmup_ratio: "Warmup, as a part of all steps",
  optim: "Optimizer",
  weight_decay: "Weight decay",
  adam_beta1: "Adam beta 1",
  adam_beta2: "Adam beta 2",
  adam_epsilon: "Adam epsilon",
  max_grad_norm: "Limit of the gradient's norm",
  class_weights: "Class weights",
  eval_steps: "Steps between evaluations",
  save_steps: "Steps between checkpoints",
  logging_steps: "Steps between points of the curve",
  save_total_limit: "Checkpoints kept",
  load_best_model_at_end: "End with the best weights",
  metric_for_best_model: "What makes an evaluation the best",
  early_stopping_patience: "Evaluations without progress before the end",
  early_stopping_threshold: "Progress that counts",
  seed: "Seed",
  device: "Device",
  dtype: "Precision",
  trainable: "What learns",
  quantization: "Quantization of the base",
  lora_rank: "LoRA rank",
  lora_alpha: "LoRA alpha",
  lora_dropout: "LoRA dropout",
  lora_target_modules: "Layers with LoRA (target modules)",
  use_rslora: "Rank-stabilized LoRA",
  gradient_checkpointing: "Gradient checkpointing",
  push_to_hub: "Push to the repository",
  hub_private_repo: "Private repository",
} as const satisfies Record<keyof TrainConfig, string>;

/** What stands below a setting in the form. */
export const setting_hints = {
  sample_fraction: "1 uses all. Less is drawn at random, each type in proportion, for a quick try.",
  validation_fraction: "Scores are measured on this part. Counts only where no data set to validate with is chosen.",
  folds: "Trains once for each fold and judges all answers together, each text by a model that learned nothing of its author. It takes so many trainings. With few authors (57 are few) it is the only honest figure. Counts only where no data set to validate with is chosen.",
  split_by: "By text, an author's texts may be on both sides; the model can recognize the author, and the scores are flattered.",
  seed: "The same seed gives the same split, order and first weights.",
  max_length: "Longer texts are cut. Memory and time grow with it.",
  num_train_epochs: "May be a fraction, such as 0.5. Empty: 4 for up to 1,200 texts, fewer for more, 1 above 3,000.",
  max_steps: "Ends the run early, whatever the number of passes.",
  per_device_train_batch_size: "A step learns from so many texts, times the accumulation.",
  max_tokens_per_batch: "Fills each batch up to so many tokens, in place of a fixed number of texts. Short texts then go together.",
  per_device_eval_batch_size: "Changes no score, only memory and time.",
  gradient_accumulation_steps: "Sums so many batches before each step: like a batch so many times larger, without its memory.",
  tokens_per_pass: "More are faster and need more memory; what is learned is the same. Automatic takes as many of a step as the memory of the GPU has room for, and one batch at a time on the processor.",
  learning_rate: "The highest one. Too high, and learning falls apart; too low, and it crawls.",
  head_learning_rate_multiplier: "The head begins with nothing and has more to learn than what lies below it. 1 lets all learn at the same rate. Does not count where the head alone learns.",
  lr_scheduler_type: "How the learning rate goes on after the warmup.",
  warmup_steps: "The learning rate rises from 0 over so many steps. Above 0, this counts in place of the part.",
  warmup_ratio: "0.1 lets it rise over the first tenth. Constant without warmup takes no notice of it.",
  optim: "In 8 bits its memory is a quarter; what is learned is nearly the same.",
  weight_decay: "Pulls weights towards 0 a little at each step, but for biases and norms.",
  adam_beta1: "How long the mean of the gradients remembers.",
  adam_beta2: "How long the mean of their squares remembers.",
  adam_epsilon: "Keeps the division from blowing up where gradients are tiny.",
  max_grad_norm: "Larger gradients are scaled down to this norm. 0 leaves them as they are.",
  class_weights: "How much each letter of an axis counts in learning. Balanced makes up for a letter that is rare.",
  eval_steps: "More evaluations find the best moment more exactly, and take time.",
  save_steps: "From a checkpoint a run can go on after a power cut.",
  logging_steps: "Each point has the mean loss of so many steps.",
  save_total_limit: "The best and the newest are always kept. 0 keeps all.",
  load_best_model_at_end: "Otherwise with those of the last step, even if it had begun to learn by heart.",
  metric_for_best_model: "All but the loss are the mean over the axes, on the held-out texts.",
  early_stopping_patience: "Ends the run after so many evaluations that are no better. 0 never does.",
  early_stopping_threshold: "An evaluation must be better by so much to count as progress.",
  device: "A graphics card is faster. One that cannot be used is refused before the run begins.",
  dtype: "Numbers of 16 bits are less exact. What has to be exact, such as sums and the head, keeps 32 bits.",
  gradient_checkpointing: "These layers keep less and compute it again when it is needed: less memory, up to a half more time. What is learned is the same. Automatic keeps what the memory of the GPU has room for, and everything on the processor.",
  trainable: "The head is the small last part, which turns what was read into letters. With LoRA or the head alone the base model stays as it is, and less memory is needed.",
  quantization: "Holds the base model in fewer bits while LoRA learns beside it: far less memory, a little less exact, and slower on a processor.",
  lora_rank: "The width of the small matrices. A larger one can learn more and takes more memory.",
  lora_alpha: "What the matrices add is multiplied by alpha over rank.",
  lora_dropout: "The part of their input that is left out at random, against learning by heart.",
  lora_target_modules: "The ends of the layers' names, parted by commas, such as query or q_proj.",
  use_rslora: "Multiplies by alpha over the root of the rank instead, which suits large ranks.",
  push_to_hub: "On Hugging Face, once the run is finished. Whether you may is asked before it begins.",
  hub_private_repo: "Only where the repository has to be made; one that is there stays as it is.",
} as const satisfies Record<Exclude<keyof TrainConfig, "data" | "valid" | "model" | "axes" | "fold">, string>;

/** What a setting means that is left empty. */
export const when_empty = {
  num_train_epochs: "by the number of texts",
  folds: "none, a part is held out once",
  max_steps: "no limit",
  max_tokens_per_batch: "a fixed number of texts",
  per_device_eval_batch_size: "as many as have 2,048 tokens",
  learning_rate: "the model's own",
  eval_steps: "four times in a run",
  save_steps: "after each evaluation",
  lora_target_modules: "all linear layers",
  push_to_hub: "not pushed",
} as const satisfies Partial<Record<keyof TrainConfig, string>>;

export const setting_groups = {
  data: "Data and split",
  length: "Length and batches",
  rate: "Learning rate",
  optimizer: "Optimizer and loss",
  evaluation: "Evaluation and checkpoints",
  precision: "Precision and memory",
  lora: "What learns, LoRA",
  hub: "Pushing to Hugging Face",
} as const satisfies Record<SettingGroup, string>;

export const presets = {
  tutorial: "Tutorial",
  quick_look: "Quick look",
  best_quality: "Best quality",
  small_memory: "Small memory",
} as const satisfies Record<Preset, string>;

export const preset_hints = {
  tutorial: "The tutorial's own settings: J-P alone, a tenth of the texts, split by text.",
  quick_look: "A hundred steps on short texts, to see whether anything is learned.",
  best_quality: "Four passes with a warmup; stops when it gets no better.",
  small_memory: "LoRA in 16 bits, one text at a time; slower.",
} as const satisfies Record<Preset, string>;

export const dtypes = {
  f32: "32 bits (f32)",
  bf16: "16 bits (bf16): half the memory for weights and activations",
  bf16_mixed: "32 bits, multiplied in 16 where faster (bf16_mixed)",
  tf32: "32 bits, multiplied with less precision on a GPU (tf32)",
} as const satisfies Record<Dtype, string>;

export const trainables = {
  all: "Everything",
  lora: "LoRA: small matrices beside the layers, and the head",
  head: "The head alone",
} as const satisfies Record<Trainable, string>;

export const quantizations = {
  none: "None: as the precision says",
  nf4: "4 bits (NF4, as QLoRA)",
  int8: "8 bits (int8)",
} as const satisfies Record<Quantization, string>;

export const checkpointings = {
  auto: "Automatic",
  none: "Keep everything",
  alternate: "Every other layer",
  all: "Every layer",
} as const satisfies Record<GradientCheckpointing, string>;

export const tokens_per_passes = {
  auto: "Automatic",
  none: "One batch at a time",
  given: "A number of tokens",
} as const satisfies Record<TokensPerPassChoice, string>;

export const unusables = {
  no_engine: "the GPU engine mbti-cuda is not installed: install the package mbti-tuner-cuda",
  no_driver: "the system has no NVIDIA driver: install version 580 or newer",
  old_driver: "its driver is {found}: install {needed} or newer",
  no_libraries: "cuBLAS and cuRAND of CUDA 13 were not found: install the package mbti-tuner-cuda, or CUDA 13",
  library_missing: "mbti-cuda needs {library}, which was not found: install the package mbti-tuner-cuda, or all of CUDA 13",
  not_executable: "{path} may not be executed: install the package mbti-tuner-cuda again, or make the file executable",
  old_card: "its compute capability is {capability}: 8.0 or newer is needed (Ampere, 2020)",
  no_card: "no NVIDIA graphics card was found in this computer",
  folder_missing: "MBTI_CUDA_LIBRARIES names {folder}, and there is no such folder",
  folder_not_absolute: "MBTI_CUDA_LIBRARIES names {folder}, which is not an absolute path: it must begin with /",
  folder_lacks: "MBTI_CUDA_LIBRARIES names {folder}, which lacks {library}: let it name the one folder that has both cuBLAS and cuRAND of CUDA 13, or install the package mbti-tuner-cuda and unset it",
  folder_name:
    "no library can be loaded from {folder}, as its path has a colon, a semicolon or a dollar sign: rename or move the folder",
  unsafe:
    "{path} was not loaded, since other users can change it: it must belong to you or to root, and not be writable for everybody",
  too_little_memory: "this run needs at least {needed} and {free} of its memory are free",
  not_listed: "the driver does not list it: see with nvidia-smi which graphics cards it lists, and whether CUDA_VISIBLE_DEVICES hides one",
  words_model: "the bag of words is computed on the processor",
  failed: "it does not work: {reason}",
} as const satisfies Record<Unusable["kind"], string>;

export const optims = {
  adamw: "AdamW, in 32 bits",
  adamw_8bit: "AdamW, in 8 bits",
} as const satisfies Record<Optim, string>;

export const schedulers = {
  linear: "Linear: down a straight line to 0",
  cosine: "Cosine: down half a wave to 0",
  constant: "Constant, without warmup",
  constant_with_warmup: "Constant after the warmup",
} as const satisfies Record<LrSchedulerType, string>;

export const split_bys = {
  author: "Authors: none is on both sides",
  text: "Single texts",
} as const satisfies Record<SplitBy, string>;

export const metrics = {
  loss: "Loss",
  accuracy: "Accuracy",
  f1: "F1 of the second letter",
  macro_f1: "Macro-F1",
  balanced_accuracy: "Balanced accuracy",
  mcc: "MCC",
  roc_auc: "AUC",
  log_loss: "Log loss",
  expected_calibration_error: "Calibration error (ECE)",
} as const satisfies Record<Metric, string>;

/** What a metric tells, and what its best value is. */
export const metric_hints = {
  loss: "What learning makes small, with the class weights.",
  accuracy: "Part of the answers that are right. 100 % is best.",
  f1: "Precision and recall of the second letter in one. 1 is best.",
  macro_f1: "The mean of both letters' F1, so that a rare letter counts as much. 1 is best.",
  balanced_accuracy: "The mean of the right part of each letter. Guessing gives 50 %.",
  mcc: "Correlation of answer and truth. Guessing gives 0, 1 is best.",
  roc_auc: "How often the likelier of two texts, one of each letter, is told right. Guessing gives 0.5.",
  log_loss: "How much the right letter surprises the model. Lower is better.",
  expected_calibration_error: "How far the probabilities are from how often they come true. 0 is best.",
} as const satisfies Record<Metric, string>;

export const class_weightings = {
  balanced: "Balanced: both letters count the same in all",
  none: "None: every text counts the same",
  given: "Given: two numbers",
} as const satisfies Record<ClassWeightingChoice, string>;

const from = { zero: "a whole number from 0 to 4294967295", one: "a whole number from 1", four: "a whole number from 4" };
const orEmpty = { one: "a whole number from 1, or empty", four: "a whole number from 4, or empty" };
const part = "a number from 0, below 1";

export const allowed = {
  data: "the name of a data set",
  valid: "the name of another data set",
  model: "the name of a model",
  axes: "at least one axis",
  sample_fraction: "a number above 0, at most 1",
  validation_fraction: "a number above 0, below 1",
  split_by: "author or text",
  folds: "a whole number from 2 to 100, or empty; beside no data set to validate with and no push to Hugging Face",
  fold: "a whole number from 1 to the number of folds",
  max_length: from.four,
  num_train_epochs: "a number above 0, at most 1000, or empty",
  max_steps: orEmpty.one,
  per_device_train_batch_size: from.one,
  max_tokens_per_batch: orEmpty.four,
  per_device_eval_batch_size: orEmpty.one,
  gradient_accumulation_steps: from.one,
  tokens_per_pass: "a whole number from 4 to 16,777,216",
  learning_rate: "a number above 0, at most 1, or empty",
  head_learning_rate_multiplier: "a number above 0, at most 1000",
  lr_scheduler_type: "linear, cosine, constant or constant_with_warmup",
  warmup_steps: from.zero,
  warmup_ratio: part,
  optim: "adamw or adamw_8bit",
  weight_decay: "a number from 0 to 1",
  adam_beta1: part,
  adam_beta2: part,
  adam_epsilon: "a number above 0, at most 1",
  max_grad_norm: "a number from 0 to 1000000",
  class_weights: "two numbers above 0, at most 1000000, such as 0.6,0.4",
  eval_steps: orEmpty.one,
  save_steps: orEmpty.one,
  logging_steps: from.one,
  save_total_limit: from.zero,
  load_best_model_at_end: "true or false",
  metric_for_best_model: "the name of a metric, such as loss or log_loss",
  early_stopping_patience: from.zero,
  early_stopping_threshold: "a number from 0 to 1000",
  seed: from.zero,
  device: "auto, cpu, cuda:0, cuda:1 …",
  dtype: "f32, bf16, bf16_mixed or tf32",
  trainable: "all, lora or head",
  quantization: "none, nf4 or int8; other than none with LoRA alone",
  lora_rank: "a whole number from 1 to 4096",
  lora_alpha: "a number above 0, at most 10000",
  lora_dropout: part,
  lora_target_modules: "ends of the names of linear layers in the model, parted by commas, or empty",
  use_rslora: "true or false",
  gradient_checkpointing: "auto, none, alternate or all",
  push_to_hub: "the name of a repository, such as user/name, or empty",
  hub_private_repo: "true or false",
} as const satisfies Record<keyof TrainConfig, string>;
