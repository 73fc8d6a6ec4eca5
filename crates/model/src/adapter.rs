use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use files::JSON_LIMIT;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Error, LoraSetup,
    error::Result,
    source::{Source, enclosed},
    weights::Weights,
};

pub(crate) const CONFIG: &str = "adapter_config.json";
pub(crate) const WEIGHTS: &str = "adapter_model.safetensors";
/// What stands before a name of Transformers' in an adapter that PEFT has written.
pub(crate) const PREFIX: &str = "base_model.model.";

/// An adapter as PEFT lays it out: LoRA's matrices and the whole head, without the base model.
pub(crate) struct Adapter {
    pub(crate) config: Config,
    source: Source,
}

/// The part of adapter_config.json that decides the arithmetic.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    peft_type: String,
    pub(crate) base_model_name_or_path: Option<String>,
    r: u32,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    rank_pattern: serde_json::Map<String, Value>,
    #[serde(default)]
    alpha_pattern: serde_json::Map<String, Value>,
}

impl Adapter {
    /// Whether a folder holds an adapter.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(CONFIG).exists()
    }

    pub(crate) fn open(folder: &Path) -> Result<Adapter> {
        let path = folder.join(CONFIG);
        let text = enclosed(folder)?.read(CONFIG, JSON_LIMIT).map_err(|error| Error::read(&path, error))?;
        let wrong = |reason: String| Error::Config { path: path.clone(), reason };
        let config: Config = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let plain_bias = config.bias.as_deref().is_none_or(|bias| bias == "none");
        let patterns = !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty();
        if config.peft_type != "LORA" || config.use_dora || config.fan_in_fan_out || !plain_bias || patterns {
            return Err(wrong("it is not a plain LoRA, the only kind of adapter that is read".to_owned()));
        }
        if config.r == 0 || !config.lora_alpha.is_finite() || !(0.0..1.0).contains(&config.lora_dropout) {
            return Err(wrong("its rank, alpha or dropout is out of range".to_owned()));
        }
        let weights = folder.join(WEIGHTS);
        let source = Source::of_files(weights.clone(), &[weights])?;
        Ok(Adapter { config, source })
    }

    /// What LoRA was set to when the adapter was made.
    pub(crate) fn setup(&self) -> LoraSetup {
        LoraSetup {
            rank: self.config.r,
            alpha: self.config.lora_alpha,
            dropout: self.config.lora_dropout,
            target_modules: Vec::new(),
            use_rslora: self.config.use_rslora,
        }
    }

    /// Whether it has a weight of this name in Transformers.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.has(&format!("{PREFIX}{name}"))
    }

    pub(crate) fn load(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let name = format!("{PREFIX}{name}");
        self.source.check_shape(&name, shape)?;
        self.source.load(&name, DType::F32)
    }
}

/// The adapter_config.json that PEFT reads, for LoRA as it stands in these weights.
/// `head_modules` are the modules of the head, which are saved whole.
pub(crate) fn describe(weights: &Weights, lora: &LoraSetup, base: &Path, head_modules: &[&str]) -> Value {
    let mut modules: Vec<&str> = weights.adapted.iter().map(|adapted| adapted.module.as_str()).collect();
    modules.sort_unstable();
    modules.dedup();
    let base: PathBuf = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    json!({
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base.display().to_string(),
        "inference_mode": true,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "use_rslora": lora.use_rslora,
        "target_modules": modules,
        "modules_to_save": head_modules,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
    })
}
