use std::{fmt, str::FromStr};

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{
    ClassWeighting, Dtype, GradientCheckpointing, LrSchedulerType, Metric, Optim, Problem, ProblemCode,
    Quantization, SplitBy, TokensPerPass, Trainable, text::as_text,
};

/// What a run is asked to do. Written with the run, so that it can be repeated.
///
/// The names are those of Transformers' `TrainingArguments` and PEFT's `LoraConfig` where these
/// have the setting, and so are the defaults but for these: `num_train_epochs` by the number of
/// texts, `warmup_ratio` 0.1, `weight_decay` 0.01 and `load_best_model_at_end` as in the tutorial;
/// `logging_steps` 1, because a step is long here; `save_total_limit` 2, because disks are small;
/// `learning_rate` by the model's family. No option that may be absent has a default that is
/// something, so that a file without it says the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
#[ts(export)]
pub struct TrainConfig {
    /// Name of the data set to learn from.
    pub data: String,
    /// Name of the data set to validate with; without one, a part of `data` is held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<String>,
    /// Name of the model to start from.
    pub model: String,
    /// The axes learned at once.
    pub axes: Vec<Axis>,
    /// Part of the texts of `data` that is used at all, drawn with each type in proportion.
    pub sample_fraction: f64,
    /// Part of the authors, or of the texts, that is held out when `valid` is not given.
    pub validation_fraction: f64,
    /// What is held out whole.
    pub split_by: SplitBy,
    /// Cross-validates: so many runs, each validated with another part of the authors, or of the texts, in place of
    /// `validation_fraction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// Which of these runs this is, from 1; without it, the whole cross-validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<u32>,
    /// Texts are cut to so many tokens, the special ones included.
    pub max_length: u32,
    /// Passes over the training texts; may be a fraction. Without it, as their number asks for.
    #[serde(alias = "epochs", skip_serializing_if = "Option::is_none")]
    pub num_train_epochs: Option<f64>,
    /// Ends the run after so many optimizer steps, whatever `num_train_epochs` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// Texts of a batch. A step has so many, times `gradient_accumulation_steps`.
    #[serde(alias = "batch_size")]
    pub per_device_train_batch_size: u32,
    /// With this, a batch has as many texts as have so many tokens together, at least one, in
    /// place of a fixed number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_batch: Option<u32>,
    /// Texts in one forward pass of an evaluation; without it, as many as have 2,048 tokens,
    /// which bounds the memory, there being no padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_device_eval_batch_size: Option<u32>,
    /// Batches whose gradients are summed before one optimizer step.
    pub gradient_accumulation_steps: u32,
    /// How many tokens of a step go through the network at once. It changes neither which texts a step
    /// has nor their weights, so that it counts beside `max_tokens_per_batch`, too.
    pub tokens_per_pass: TokensPerPass,
    /// The highest learning rate; without one, the model family's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The head's learning rate as a multiple of `learning_rate`, where more than the head learns: the head begins with
    /// nothing, and what it does not read yet teaches the other weights little.
    ///
    /// Runs of versions before it had one rate for all.
    #[serde(default = "one")]
    pub head_learning_rate_multiplier: f64,
    pub lr_scheduler_type: LrSchedulerType,
    /// Steps over which the learning rate rises from 0; before `warmup_ratio` when above 0.
    pub warmup_steps: u32,
    /// The same as a part of all steps.
    pub warmup_ratio: f64,
    pub optim: Optim,
    /// Decoupled weight decay, on all but biases and norms.
    pub weight_decay: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    pub adam_epsilon: f64,
    /// Gradients are scaled down to this norm where theirs is larger; 0 leaves them as they are.
    pub max_grad_norm: f64,
    pub class_weights: ClassWeighting,
    /// Evaluates every so many optimizer steps; without it, four times in a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_steps: Option<u32>,
    /// Saves a checkpoint every so many optimizer steps; without it, after each evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_steps: Option<u32>,
    /// Writes a step down every so many optimizer steps, with the mean loss of these.
    pub logging_steps: u32,
    /// Checkpoints that are kept, the best and the newest always among them; 0 keeps all.
    pub save_total_limit: u32,
    /// Ends with the weights of the best evaluation rather than of the last step.
    pub load_best_model_at_end: bool,
    /// What makes an evaluation the best: the loss, or the mean of a metric over the axes. By default how well the letters
    /// are told apart (ROC AUC): the loss rises already where a model is only too sure of itself, which its temperature
    /// mends.
    pub metric_for_best_model: Metric,
    /// Ends the run after so many evaluations in a row that are no better; 0 never does.
    pub early_stopping_patience: u32,
    /// By how much an evaluation must be better to count as that.
    pub early_stopping_threshold: f64,
    /// Seed of split, new weights, order of the texts and dropout.
    pub seed: u32,
    pub device: Device,
    pub dtype: Dtype,
    /// Which weights learn.
    pub trainable: Trainable,
    /// In how many bits the base model's linear layers are held; with LoRA alone, since they are frozen then.
    pub quantization: Quantization,
    /// Rank r of LoRA's matrices: one of `[r, inputs]` and one of `[outputs, r]` a layer.
    pub lora_rank: u32,
    /// What LoRA adds is multiplied by `lora_alpha / lora_rank`.
    pub lora_alpha: f64,
    /// Dropout on what LoRA's matrices read.
    pub lora_dropout: f64,
    /// The linear layers that LoRA stands beside, by the ends of their names, such as `q_proj`;
    /// empty for all of them.
    pub lora_target_modules: Vec<String>,
    /// Divides by √`lora_rank` instead (rank-stabilised LoRA, Kalajdzievski, arXiv 2312.03732).
    pub use_rslora: bool,
    /// Which layers compute their activations again in the backward pass rather than keep them.
    pub gradient_checkpointing: GradientCheckpointing,
    /// The repository on the Hub, `user/name`, that the model is pushed to when the run is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_to_hub: Option<String>,
    /// Whether that is made for its owner's eyes only, where it has to be made.
    pub hub_private_repo: bool,
}

fn one() -> f64 {
    1.0
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            data: String::new(),
            valid: None,
            model: String::new(),
            axes: Axis::ALL.to_vec(),
            sample_fraction: 1.0,
            validation_fraction: 0.2,
            split_by: SplitBy::Author,
            folds: None,
            fold: None,
            max_length: 256,
            num_train_epochs: None,
            max_steps: None,
            per_device_train_batch_size: 8,
            max_tokens_per_batch: None,
            per_device_eval_batch_size: None,
            gradient_accumulation_steps: 1,
            tokens_per_pass: TokensPerPass::Auto,
            learning_rate: None,
            head_learning_rate_multiplier: 10.0,
            lr_scheduler_type: LrSchedulerType::Linear,
            warmup_steps: 0,
            warmup_ratio: 0.1,
            optim: Optim::Adamw,
            weight_decay: 0.01,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            class_weights: ClassWeighting::Balanced,
            eval_steps: None,
            save_steps: None,
            logging_steps: 1,
            save_total_limit: 2,
            load_best_model_at_end: true,
            metric_for_best_model: Metric::RocAuc,
            early_stopping_patience: 0,
            early_stopping_threshold: 0.0,
            seed: 0,
            device: Device::Auto,
            dtype: Dtype::F32,
            trainable: Trainable::All,
            quantization: Quantization::None,
            lora_rank: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            lora_target_modules: Vec::new(),
            use_rslora: false,
            gradient_checkpointing: GradientCheckpointing::Auto,
            push_to_hub: None,
            hub_private_repo: false,
        }
    }
}

impl TrainConfig {
    /// Refuses values that no run can have, naming the setting and what is allowed.
    pub fn check(&self) -> Result<(), Problem> {
        let within = |name, value: f64, allowed: &str, good: bool| {
            if good && value.is_finite() { Ok(()) } else { Err(bad_setting(name, value, allowed)) }
        };
        let whole = |name, value: u32, least: u32, most: u32| {
            let allowed = format!("a whole number from {least} to {most}");
            if (least..=most).contains(&value) { Ok(()) } else { Err(bad_setting(name, value, &allowed)) }
        };
        let share =
            |name, value: f64| within(name, value, "a number from 0, below 1", (0.0..1.0).contains(&value));
        let epochs = self.num_train_epochs.unwrap_or(1.0);
        within(
            "num_train_epochs",
            epochs,
            "a number above 0, at most 1000",
            epochs > 0.0 && epochs <= 1000.0,
        )?;
        whole("max_steps", self.max_steps.unwrap_or(1), 1, MAX_STEPS)?;
        whole("per_device_train_batch_size", self.per_device_train_batch_size, 1, MAX_BATCH)?;
        whole("max_tokens_per_batch", self.max_tokens_per_batch.unwrap_or(4), 4, MAX_TOKENS)?;
        whole("per_device_eval_batch_size", self.per_device_eval_batch_size.unwrap_or(1), 1, MAX_BATCH)?;
        whole("gradient_accumulation_steps", self.gradient_accumulation_steps, 1, MAX_BATCH)?;
        let [least, most] = TokensPerPass::LIMITS;
        if let TokensPerPass::Tokens(tokens) = self.tokens_per_pass
            && !(least..=most).contains(&tokens)
        {
            return Err(bad_setting("tokens_per_pass", tokens, TokensPerPass::ALLOWED));
        }
        whole("warmup_steps", self.warmup_steps, 0, MAX_STEPS)?;
        whole("eval_steps", self.eval_steps.unwrap_or(1), 1, MAX_STEPS)?;
        whole("save_steps", self.save_steps.unwrap_or(1), 1, MAX_STEPS)?;
        whole("logging_steps", self.logging_steps, 1, MAX_STEPS)?;
        whole("save_total_limit", self.save_total_limit, 0, MAX_STEPS)?;
        whole("early_stopping_patience", self.early_stopping_patience, 0, MAX_STEPS)?;
        whole("max_length", self.max_length, 4, MAX_LENGTH)?;
        if let Some(rate) = self.learning_rate {
            within("learning_rate", rate, "a number above 0, at most 1", rate > 0.0 && rate <= 1.0)?;
        }
        let multiplier = self.head_learning_rate_multiplier;
        within(
            "head_learning_rate_multiplier",
            multiplier,
            "a number above 0, at most 1000",
            multiplier > 0.0 && multiplier <= 1000.0,
        )?;
        share("warmup_ratio", self.warmup_ratio)?;
        let decay = self.weight_decay;
        within("weight_decay", decay, "a number from 0 to 1", (0.0..=1.0).contains(&decay))?;
        share("adam_beta1", self.adam_beta1)?;
        share("adam_beta2", self.adam_beta2)?;
        let epsilon = self.adam_epsilon;
        within("adam_epsilon", epsilon, "a number above 0, at most 1", epsilon > 0.0 && epsilon <= 1.0)?;
        let norm = self.max_grad_norm;
        within("max_grad_norm", norm, "a number from 0 to 1000000", (0.0..=1e6).contains(&norm))?;
        let threshold = self.early_stopping_threshold;
        within(
            "early_stopping_threshold",
            threshold,
            "a number from 0 to 1000",
            (0.0..=1e3).contains(&threshold),
        )?;
        let sample = self.sample_fraction;
        within("sample_fraction", sample, "a number above 0, at most 1", sample > 0.0 && sample <= 1.0)?;
        let fraction = self.validation_fraction;
        within(
            "validation_fraction",
            fraction,
            "a number above 0, below 1",
            fraction > 0.0 && fraction < 1.0,
        )?;
        whole("folds", self.folds.unwrap_or(2), 2, MAX_FOLDS)?;
        whole("fold", self.fold.unwrap_or(1), 1, MAX_FOLDS)?;
        whole("lora_rank", self.lora_rank, 1, MAX_LORA_RANK)?;
        let alpha = self.lora_alpha;
        within("lora_alpha", alpha, "a number above 0, at most 10000", alpha > 0.0 && alpha <= 10_000.0)?;
        share("lora_dropout", self.lora_dropout)?;
        let is_layer =
            |name: &String| (1..=200).contains(&name.len()) && !name.contains(crate::is_unprintable);
        if self.lora_target_modules.len() > 200 || !self.lora_target_modules.iter().all(is_layer) {
            let given = self.lora_target_modules.join(",");
            return Err(bad_setting(
                "lora_target_modules",
                given,
                "at most 200 names of layers, such as q_proj",
            ));
        }
        if let Some(repo) = self.push_to_hub.as_ref().filter(|repo| !crate::is_repo_name(repo)) {
            return Err(bad_setting("push_to_hub", repo, "the name of a repository, such as user/name"));
        }
        let distinct: std::collections::BTreeSet<_> = self.axes.iter().collect();
        if self.axes.is_empty() || distinct.len() != self.axes.len() {
            let given = self.axes.iter().map(|axis| axis.name()).collect::<Vec<_>>().join(",");
            return Err(bad_setting("axes", given, "one to four of E-I, N-S, F-T, J-P, each once"));
        }
        Ok(())
    }

    /// The same, and what settings must not be together, which is judged once all are said.
    pub fn check_together(&self) -> Result<(), Problem> {
        self.check()?;
        if self.quantization != Quantization::None && self.trainable != Trainable::Lora {
            let allowed = "none, unless trainable is lora: what is held in few bits cannot learn";
            return Err(bad_setting("quantization", self.quantization.name(), allowed));
        }
        self.check_folds()
    }

    fn check_folds(&self) -> Result<(), Problem> {
        if let Some(fold) = self.fold.filter(|&fold| fold > self.folds.unwrap_or(0)) {
            let allowed = match self.folds {
                Some(folds) => format!("a whole number from 1 to {folds}, as there are so many folds"),
                None => "none without folds".to_owned(),
            };
            return Err(bad_setting("fold", fold, &allowed));
        }
        let Some(folds) = self.folds else { return Ok(()) };
        if self.valid.is_some() {
            let allowed = "none beside a validation set of its own (valid): it is the folds that validate";
            return Err(bad_setting("folds", folds, allowed));
        }
        if self.is_cross_validation() && self.push_to_hub.is_some() {
            let allowed = "none beside push_to_hub: a cross-validation has no model of its own to push";
            return Err(bad_setting("folds", folds, allowed));
        }
        Ok(())
    }

    /// Passes over so many training texts.
    pub fn epochs(&self, texts: usize) -> f64 {
        self.num_train_epochs.unwrap_or_else(|| epochs_for(texts))
    }

    /// Whether these are the settings of a whole cross-validation, rather than those of one training.
    pub fn is_cross_validation(&self) -> bool {
        self.folds.is_some() && self.fold.is_none()
    }

    /// The settings of one fold of this cross-validation, from 1.
    pub fn of_fold(&self, fold: u32) -> TrainConfig {
        TrainConfig { fold: Some(fold), ..self.clone() }
    }

    /// Optimizer steps over which the learning rate rises, of `total`.
    pub fn warmup(&self, total: u32) -> u32 {
        match self.warmup_steps {
            0 => (f64::from(total) * self.warmup_ratio).ceil() as u32,
            steps => steps,
        }
    }
}

/// Texts that a model is to have learned from in all, each counted as often as it is.
const TEXTS_LEARNED: f64 = 4500.0;
/// More passes over few texts teach their authors rather than their types.
const MOST_EPOCHS: f64 = 4.0;

/// Passes over so many texts by which a model learns without learning them by heart: the fewer texts, the more, up to 4, and
/// 1 for some thousand and more.
fn epochs_for(texts: usize) -> f64 {
    (TEXTS_LEARNED / texts.max(1) as f64).round().clamp(1.0, MOST_EPOCHS)
}

/// More optimizer steps than anybody has time for; a run of so many can still be planned and written down.
pub const MAX_STEPS: u32 = 10_000_000;
/// Texts in a pass, and passes in a step: more would not even be a gradient of another kind.
const MAX_BATCH: u32 = 65_536;
/// Tokens in a batch.
const MAX_TOKENS: u32 = TokensPerPass::LIMITS[1];
/// Tokens of a text, past the positions of any model.
const MAX_LENGTH: u32 = 1 << 20;
/// More folds than this cost more than they tell.
const MAX_FOLDS: u32 = 100;
/// A rank past the width of any layer adds nothing but memory.
const MAX_LORA_RANK: u32 = 4096;

/// Characters of a value that a message quotes.
const QUOTED: usize = 200;

/// A setting that is not allowed, with what would be.
pub fn bad_setting(name: &str, value: impl fmt::Display, allowed: &str) -> Problem {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(QUOTED) {
        value.truncate(end);
        value.push('…');
    }
    Problem::new(
        ProblemCode::BadSetting,
        format!("{name} cannot be {value}. Allowed: {allowed}. Change it and start again."),
    )
    .with("name", name)
    .with("value", value)
    .with("allowed", allowed)
}

/// Where the arithmetic is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, TS)]
#[ts(export, type = "string")]
pub enum Device {
    /// The best device that this build and this machine have.
    #[default]
    Auto,
    Cpu,
    /// A CUDA device by its number.
    Cuda(u32),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase();
        match name.as_str() {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                // "cuda:00" and "cuda:+0" are no names that a GPU has.
                .filter(|device| device.to_string() == name)
                .ok_or_else(|| format!("\"{text}\" is no device; allowed are auto, cpu, cuda:0, cuda:1 …")),
        }
    }
}

as_text!(Device);

#[cfg(test)]
mod tests;
