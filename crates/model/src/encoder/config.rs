use serde_json::{Map, Value};

use super::{HeadStyle, Style, Traits};
use crate::{
    classifier::Pool,
    limits::{LARGEST, check_dropouts},
    ops::Activation,
    rope_config::{Frequencies, frequencies},
};

/// An encoder's config.json under names of its own, since DistilBERT's and ModernBERT's differ.
pub(super) struct Config {
    pub(super) vocab: usize,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) positions: usize,
    pub(super) position_offset: usize,
    pub(super) token_types: usize,
    pub(super) eps: f64,
    pub(super) deviation: f64,
    pub(super) norm_bias: bool,
    pub(super) attention_bias: bool,
    pub(super) mlp_bias: bool,
    pub(super) embedding_dropout: f32,
    /// On the attention's probabilities.
    pub(super) probability_dropout: f32,
    pub(super) attention_dropout: f32,
    pub(super) inner_dropout: f32,
    pub(super) mlp_dropout: f32,
    pub(super) classifier_dropout: f32,
    pub(super) classifier_bias: bool,
    pub(super) classifier_activation: Activation,
    pub(super) pool: Pool,
    /// For each layer how many tokens to either side it sees, where it does not see all.
    pub(super) windows: Vec<Option<usize>>,
    pub(super) frequencies: Vec<Frequencies>,
}

/// Reads typed values out of a config.json.
struct Reader<'a>(&'a Map<String, Value>);

impl Reader<'_> {
    fn get<T>(&self, name: &str, as_type: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => as_type(value).map(Some).ok_or_else(|| format!("{name} is {value}")),
        }
    }

    fn size(&self, name: &str) -> Result<usize, String> {
        let size = self.get(name, Value::as_u64)?.map(|size| size as usize);
        let size = size.filter(|&size| size > 0 && size < LARGEST);
        size.ok_or_else(|| format!("{name} is missing or no size"))
    }

    fn number(&self, name: &str, default: f64) -> Result<f64, String> {
        Ok(self.get(name, Value::as_f64)?.unwrap_or(default))
    }

    fn dropout(&self, name: &str, default: f64) -> Result<f32, String> {
        let p = self.number(name, default)? as f32;
        check_dropouts(&[p])?;
        Ok(p)
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.get(name, Value::as_bool)?.unwrap_or(default))
    }

    fn activation(&self, name: &str) -> Result<Activation, String> {
        let found = self.get(name, |value| value.as_str().map(str::to_owned))?.unwrap_or("gelu".to_owned());
        Activation::by_name(&found).ok_or_else(|| format!("{name} is \"{found}\", which is not known here"))
    }
}

impl Config {
    pub(super) fn read(traits: &Traits, json: &Map<String, Value>) -> Result<Config, String> {
        let config = match (traits.style, traits.head) {
            (Style::Modern, _) => Config::modern(json),
            (_, HeadStyle::Distil) => Config::distil(json),
            (Style::Bert { offset_positions, .. }, _) => Config::bert(json, offset_positions),
        }?;
        if !config.hidden.is_multiple_of(config.heads) {
            let (heads, hidden) = (config.heads, config.hidden);
            return Err(format!("hidden_size {hidden} cannot be parted among {heads} attention heads"));
        }
        if config.position_offset >= config.positions {
            return Err("there are no positions after the offset".to_owned());
        }
        Ok(config)
    }

    fn bert(json: &Map<String, Value>, offset_positions: bool) -> Result<Config, String> {
        let reader = Reader(json);
        let kind = reader.get("position_embedding_type", |value| value.as_str().map(str::to_owned))?;
        if kind.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(format!("position_embedding_type is {kind:?}; only \"absolute\" is known"));
        }
        let hidden_dropout = reader.dropout("hidden_dropout_prob", 0.1)?;
        let classifier_dropout = reader.dropout("classifier_dropout", f64::from(hidden_dropout))?;
        // RoBERTa counts positions from the one after that of padding.
        let padding = reader.get("pad_token_id", Value::as_u64)?.unwrap_or(1) as usize;
        if padding >= LARGEST {
            return Err(format!("pad_token_id is {padding}"));
        }
        Ok(Config {
            vocab: reader.size("vocab_size")?,
            hidden: reader.size("hidden_size")?,
            intermediate: reader.size("intermediate_size")?,
            layers: reader.size("num_hidden_layers")?,
            heads: reader.size("num_attention_heads")?,
            activation: reader.activation("hidden_act")?,
            positions: reader.size("max_position_embeddings")?,
            position_offset: if offset_positions { padding + 1 } else { 0 },
            token_types: reader.size("type_vocab_size")?,
            eps: reader.number("layer_norm_eps", 1e-12)?,
            deviation: reader.number("initializer_range", 0.02)?,
            norm_bias: true,
            attention_bias: true,
            mlp_bias: true,
            embedding_dropout: hidden_dropout,
            probability_dropout: reader.dropout("attention_probs_dropout_prob", 0.1)?,
            attention_dropout: hidden_dropout,
            inner_dropout: 0.0,
            mlp_dropout: hidden_dropout,
            classifier_dropout,
            classifier_bias: true,
            classifier_activation: Activation::Tanh,
            pool: Pool::First,
            windows: Vec::new(),
            frequencies: Vec::new(),
        })
    }

    fn distil(json: &Map<String, Value>) -> Result<Config, String> {
        let reader = Reader(json);
        let dropout = reader.dropout("dropout", 0.1)?;
        Ok(Config {
            vocab: reader.size("vocab_size")?,
            hidden: reader.size("dim")?,
            intermediate: reader.size("hidden_dim")?,
            layers: reader.size("n_layers")?,
            heads: reader.size("n_heads")?,
            activation: reader.activation("activation")?,
            positions: reader.size("max_position_embeddings")?,
            position_offset: 0,
            token_types: 0,
            eps: 1e-12,
            deviation: reader.number("initializer_range", 0.02)?,
            norm_bias: true,
            attention_bias: true,
            mlp_bias: true,
            embedding_dropout: dropout,
            probability_dropout: reader.dropout("attention_dropout", 0.1)?,
            attention_dropout: 0.0,
            inner_dropout: 0.0,
            mlp_dropout: dropout,
            classifier_dropout: reader.dropout("seq_classif_dropout", 0.2)?,
            classifier_bias: true,
            classifier_activation: Activation::Relu,
            pool: Pool::First,
            windows: Vec::new(),
            frequencies: Vec::new(),
        })
    }

    fn modern(json: &Map<String, Value>) -> Result<Config, String> {
        let reader = Reader(json);
        let (hidden, heads) = (reader.size("hidden_size")?, reader.size("num_attention_heads")?);
        let layers = reader.size("num_hidden_layers")?;
        let half = reader.number("local_attention", 128.0)? as usize / 2;
        let every = (reader.number("global_attn_every_n_layers", 3.0)? as usize).max(1);
        let types = json.get("layer_types").and_then(Value::as_array);
        let is_local = |layer: usize| match types {
            Some(types) => types.get(layer).and_then(Value::as_str) == Some("sliding_attention"),
            None => !layer.is_multiple_of(every),
        };
        let pooling = json.get("classifier_pooling").and_then(Value::as_str).unwrap_or("cls");
        let pool = match pooling {
            "cls" => Pool::First,
            "mean" => Pool::Mean,
            other => return Err(format!("classifier_pooling is \"{other}\", which is neither cls nor mean")),
        };
        let theta = |name, default| reader.number(name, default);
        let d = hidden / heads;
        let attention_dropout = reader.dropout("attention_dropout", 0.0)?;
        Ok(Config {
            vocab: reader.size("vocab_size")?,
            hidden,
            intermediate: reader.size("intermediate_size")?,
            layers,
            heads,
            activation: reader.activation("hidden_activation")?,
            positions: reader.size("max_position_embeddings")?,
            position_offset: 0,
            token_types: 0,
            eps: reader.number("norm_eps", 1e-5)?,
            deviation: reader.number("initializer_range", 0.02)?,
            norm_bias: reader.flag("norm_bias", false)?,
            attention_bias: reader.flag("attention_bias", false)?,
            mlp_bias: reader.flag("mlp_bias", false)?,
            embedding_dropout: reader.dropout("embedding_dropout", 0.0)?,
            probability_dropout: attention_dropout,
            attention_dropout,
            inner_dropout: reader.dropout("mlp_dropout", 0.0)?,
            mlp_dropout: 0.0,
            classifier_dropout: reader.dropout("classifier_dropout", 0.0)?,
            classifier_bias: reader.flag("classifier_bias", false)?,
            classifier_activation: reader.activation("classifier_activation")?,
            pool,
            windows: (0..layers).map(|layer| is_local(layer).then_some(half)).collect(),
            frequencies: vec![
                frequencies(json, "full_attention", d, theta("global_rope_theta", 160_000.0)?)?,
                frequencies(json, "sliding_attention", d, theta("local_rope_theta", 10_000.0)?)?,
            ],
        })
    }
}
