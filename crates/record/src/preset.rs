use serde::Serialize;
use ts_rs::TS;

use crate::{
    ClassWeighting, Dtype, GradientCheckpointing, LrSchedulerType, Metric, Optim, SplitBy, TrainConfig,
    Trainable,
};

/// Settings that go together, by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Preset {
    /// The tutorial's run, every argument of it.
    Tutorial,
    /// A look at whether anything is learned at all, in a minute or so.
    QuickLook,
    /// Longer, with a warmup and the best of many evaluations.
    BestQuality,
    /// As little memory as there can be.
    SmallMemory,
}

/// A preset with the settings that it makes of the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[ts(export)]
pub struct PresetConfig {
    pub preset: Preset,
    pub config: TrainConfig,
}

impl Preset {
    pub const ALL: [Preset; 4] =
        [Preset::Tutorial, Preset::QuickLook, Preset::BestQuality, Preset::SmallMemory];

    pub fn name(self) -> &'static str {
        match self {
            Preset::Tutorial => "tutorial",
            Preset::QuickLook => "quick-look",
            Preset::BestQuality => "best-quality",
            Preset::SmallMemory => "small-memory",
        }
    }

    /// The defaults with what the preset changes, and no data set and model named yet.
    pub fn config(self) -> TrainConfig {
        let usual = TrainConfig::default();
        match self {
            // Its texts have 700 to 1,000 characters and are cut where the model's positions end;
            // the seed is Transformers' own.
            Preset::Tutorial => TrainConfig {
                axes: vec![mbti::Axis::JudgingPerceiving],
                sample_fraction: 0.1,
                validation_fraction: 0.2,
                split_by: SplitBy::Text,
                max_length: 4096,
                num_train_epochs: Some(1.0),
                per_device_train_batch_size: 4,
                gradient_accumulation_steps: 2,
                learning_rate: Some(2e-5),
                head_learning_rate_multiplier: 1.0,
                warmup_ratio: 0.0,
                optim: Optim::Adamw8bit,
                weight_decay: 0.01,
                class_weights: ClassWeighting::Given([0.6, 0.4]),
                eval_steps: Some(1000),
                save_steps: Some(1000),
                metric_for_best_model: Metric::Accuracy,
                seed: 42,
                dtype: Dtype::Tf32,
                ..usual
            },
            Preset::QuickLook => {
                TrainConfig { max_length: 128, max_steps: Some(100), eval_steps: Some(100), ..usual }
            }
            Preset::BestQuality => TrainConfig {
                num_train_epochs: Some(4.0),
                per_device_train_batch_size: 16,
                lr_scheduler_type: LrSchedulerType::Cosine,
                early_stopping_patience: 3,
                ..usual
            },
            Preset::SmallMemory => TrainConfig {
                max_length: 128,
                per_device_train_batch_size: 1,
                per_device_eval_batch_size: Some(1),
                gradient_accumulation_steps: 8,
                optim: Optim::Adamw8bit,
                dtype: Dtype::Bf16,
                trainable: Trainable::Lora,
                gradient_checkpointing: GradientCheckpointing::All,
                ..usual
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_preset_is_allowed_and_none_is_the_defaults() {
        for preset in Preset::ALL {
            preset.config().check().unwrap();
            assert_ne!(preset.config(), TrainConfig::default());
        }
    }
}
