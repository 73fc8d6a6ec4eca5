use std::{fmt, str::FromStr};

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{ClassWeighting, Dtype, Problem, ProblemCode, Trainable, text::as_text};

/// What a run is asked to do. Written with the run, so that it can be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
#[ts(export)]
pub struct TrainConfig {
    /// Name of the data set to learn from.
    pub data: String,
    /// Name of the data set to validate with; without one, a part of `data` is held out.
    pub valid: Option<String>,
    /// Name of the model to start from.
    pub model: String,
    /// The axes learned at once.
    pub axes: Vec<Axis>,
    /// Passes over the training texts; may be a fraction.
    pub epochs: f64,
    /// Ends the run after so many optimizer steps, whatever `epochs` says.
    pub max_steps: Option<u32>,
    /// Texts in one forward and backward pass.
    pub batch_size: u32,
    /// Passes whose gradients are summed before one optimizer step.
    pub gradient_accumulation_steps: u32,
    /// The highest learning rate; without one, the model family's own.
    pub learning_rate: Option<f64>,
    /// Decoupled weight decay, on all but biases and norms.
    pub weight_decay: f64,
    /// Texts are cut to so many tokens, the special ones included.
    pub max_length: u32,
    /// Evaluates every so many optimizer steps; without it, four times in a run.
    pub eval_steps: Option<u32>,
    /// Part of the authors that is held out when `valid` is not given.
    pub validation_fraction: f64,
    /// Seed of split, new weights, order of the texts and dropout.
    pub seed: u32,
    pub device: Device,
    pub dtype: Dtype,
    /// Which weights learn.
    pub trainable: Trainable,
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
    /// Keeps the activations of one layer at a time and computes the others again in the
    /// backward pass (Chen et al., arXiv 1604.06174): less memory, more time.
    pub gradient_checkpointing: bool,
    pub class_weights: ClassWeighting,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            data: String::new(),
            valid: None,
            model: String::new(),
            axes: Axis::ALL.to_vec(),
            epochs: 1.0,
            max_steps: None,
            batch_size: 8,
            gradient_accumulation_steps: 1,
            learning_rate: None,
            weight_decay: 0.01,
            max_length: 256,
            eval_steps: None,
            validation_fraction: 0.2,
            seed: 0,
            device: Device::Auto,
            dtype: Dtype::F32,
            trainable: Trainable::All,
            lora_rank: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            lora_target_modules: Vec::new(),
            use_rslora: false,
            gradient_checkpointing: false,
            class_weights: ClassWeighting::Balanced,
        }
    }
}

impl TrainConfig {
    /// Refuses values that no run can have, naming the setting and what is allowed.
    pub fn check(&self) -> Result<(), Problem> {
        let finite = |name, value: f64, allowed: &str, good: bool| {
            if good && value.is_finite() { Ok(()) } else { Err(bad_setting(name, value, allowed)) }
        };
        let at_least_one = |name, value: u32| {
            if value >= 1 { Ok(()) } else { Err(bad_setting(name, value, "a whole number from 1")) }
        };
        finite(
            "epochs",
            self.epochs,
            "a number above 0, at most 1000",
            self.epochs > 0.0 && self.epochs <= 1000.0,
        )?;
        at_least_one("max_steps", self.max_steps.unwrap_or(1))?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("gradient_accumulation_steps", self.gradient_accumulation_steps)?;
        at_least_one("eval_steps", self.eval_steps.unwrap_or(1))?;
        if let Some(rate) = self.learning_rate {
            finite("learning_rate", rate, "a number above 0, at most 1", rate > 0.0 && rate <= 1.0)?;
        }
        let decay = self.weight_decay;
        finite("weight_decay", decay, "a number from 0 to 1", (0.0..=1.0).contains(&decay))?;
        let fraction = self.validation_fraction;
        finite(
            "validation_fraction",
            fraction,
            "a number above 0, below 1",
            fraction > 0.0 && fraction < 1.0,
        )?;
        if !(1..=MAX_LORA_RANK).contains(&self.lora_rank) {
            return Err(bad_setting("lora_rank", self.lora_rank, "a whole number from 1 to 4096"));
        }
        let alpha = self.lora_alpha;
        finite("lora_alpha", alpha, "a number above 0, at most 10000", alpha > 0.0 && alpha <= 10_000.0)?;
        let dropout = self.lora_dropout;
        finite("lora_dropout", dropout, "a number from 0, below 1", (0.0..1.0).contains(&dropout))?;
        if self.max_length < 4 {
            return Err(bad_setting("max_length", self.max_length, "a whole number from 4"));
        }
        let distinct: std::collections::BTreeSet<_> = self.axes.iter().collect();
        if self.axes.is_empty() || distinct.len() != self.axes.len() {
            let given = self.axes.iter().map(|axis| axis.name()).collect::<Vec<_>>().join(",");
            return Err(bad_setting("axes", given, "one to four of E-I, N-S, F-T, J-P, each once"));
        }
        Ok(())
    }
}

/// A rank past the width of any layer adds nothing but memory.
const MAX_LORA_RANK: u32 = 4096;

fn bad_setting(name: &str, value: impl fmt::Display, allowed: &str) -> Problem {
    Problem::new(
        ProblemCode::BadSetting,
        format!("{name} cannot be {value}: it must be {allowed}. Change it and start again."),
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
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                .ok_or_else(|| format!("\"{text}\" is not a device; allowed are auto, cpu and cuda:0")),
        }
    }
}

as_text!(Device);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        TrainConfig::default().check().unwrap();
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_name_and_what_is_allowed() {
        let wrong = [
            ("epochs", TrainConfig { epochs: 0.0, ..Default::default() }),
            ("epochs", TrainConfig { epochs: f64::NAN, ..Default::default() }),
            ("batch_size", TrainConfig { batch_size: 0, ..Default::default() }),
            ("max_steps", TrainConfig { max_steps: Some(0), ..Default::default() }),
            ("learning_rate", TrainConfig { learning_rate: Some(-1.0), ..Default::default() }),
            ("weight_decay", TrainConfig { weight_decay: f64::INFINITY, ..Default::default() }),
            ("max_length", TrainConfig { max_length: 2, ..Default::default() }),
            ("validation_fraction", TrainConfig { validation_fraction: 1.0, ..Default::default() }),
            ("lora_rank", TrainConfig { lora_rank: 0, ..Default::default() }),
            ("lora_rank", TrainConfig { lora_rank: 4097, ..Default::default() }),
            ("lora_alpha", TrainConfig { lora_alpha: 0.0, ..Default::default() }),
            ("lora_dropout", TrainConfig { lora_dropout: 1.0, ..Default::default() }),
            ("axes", TrainConfig { axes: vec![], ..Default::default() }),
            ("axes", TrainConfig { axes: vec![Axis::JudgingPerceiving; 2], ..Default::default() }),
        ];
        for (name, config) in wrong {
            let problem = config.check().unwrap_err();
            assert_eq!(problem.code, ProblemCode::BadSetting);
            assert_eq!(problem.params["name"], name);
            assert!(!problem.params["allowed"].is_empty());
        }
    }

    #[test]
    fn a_config_survives_json() {
        let config = TrainConfig { device: Device::Cuda(1), max_steps: Some(7), ..Default::default() };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        assert!(text.contains("\"cuda:1\"") && text.contains("\"J-P\""));
    }

    #[test]
    fn a_config_that_an_older_version_wrote_reads_with_the_defaults_for_what_is_new() {
        let text = r#"{"data": "posts", "valid": null, "model": "minilm", "axes": ["J-P"], "epochs": 2.0}"#;
        let config = serde_json::from_str::<TrainConfig>(text).unwrap();
        assert_eq!((config.epochs, config.trainable), (2.0, Trainable::All));
    }
}
