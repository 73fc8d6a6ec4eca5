use std::{path::Path, sync::Arc};

use candle_core::Tensor;
use data::Batch;
use serde::Deserialize;

use crate::{
    Error, Head, Mode,
    error::Result,
    ops::{attention, dropout, embedding, gelu, layer_norm, linear},
    weights::{Loader, Weight},
};

/// The part of a BERT config.json that decides the arithmetic (Devlin et al., arXiv 1810.04805).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    #[serde(default = "tenth")]
    hidden_dropout_prob: f32,
    #[serde(default = "tenth")]
    attention_probs_dropout_prob: f32,
    classifier_dropout: Option<f32>,
    pub(crate) max_position_embeddings: usize,
    type_vocab_size: usize,
    #[serde(default = "two_hundredths")]
    initializer_range: f64,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
}

fn tenth() -> f32 {
    0.1
}

fn two_hundredths() -> f64 {
    0.02
}

fn epsilon() -> f64 {
    1e-12
}

impl Config {
    fn check(&self, path: &Path) -> Result<()> {
        let wrong = |reason: String| Err(Error::Config { path: path.to_owned(), reason });
        if self.hidden_act != "gelu" {
            return wrong(format!("hidden_act is \"{}\", but only \"gelu\" is known", self.hidden_act));
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (heads, hidden) = (self.num_attention_heads, self.hidden_size);
            return wrong(format!("hidden_size {hidden} cannot be parted among {heads} attention heads"));
        }
        let classifier = self.classifier_dropout.unwrap_or(0.0);
        for p in [self.hidden_dropout_prob, self.attention_probs_dropout_prob, classifier] {
            if !(0.0..1.0).contains(&p) {
                return wrong(format!("a dropout probability is {p}, but must be from 0 to below 1"));
            }
        }
        Ok(())
    }
}

struct Linear {
    weight: Weight,
    bias: Weight,
}

impl Linear {
    fn load(loader: &mut Loader, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let weight = loader.load(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = loader.load(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear { weight, bias })
    }

    fn new(loader: &mut Loader, name: &str, inputs: usize, outputs: usize, deviation: f64) -> Result<Linear> {
        let weight = loader.new_normal(&format!("{name}.weight"), &[outputs, inputs], deviation)?;
        let bias = loader.new_zeros(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear { weight, bias })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(linear(x, self.weight.get(mode), self.bias.get(mode))?)
    }
}

struct Norm {
    weight: Weight,
    bias: Weight,
    eps: f64,
}

impl Norm {
    fn load(loader: &mut Loader, name: &str, width: usize, eps: f64) -> Result<Norm> {
        let weight = loader.load(&format!("{name}.weight"), &[width])?;
        let bias = loader.load(&format!("{name}.bias"), &[width])?;
        Ok(Norm { weight, bias, eps })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(layer_norm(x, self.weight.get(mode), self.bias.get(mode), self.eps)?)
    }
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

/// BERT with a classifier, as Transformers' `BertForSequenceClassification`: the first token of
/// a text goes through the pooler (a dense layer and tanh), dropout and the classifier.
pub(crate) struct Bert {
    pub(crate) config: Config,
    words: Weight,
    positions: Weight,
    token_types: Weight,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
}

impl Bert {
    /// What stands before the names of the base model.
    pub(crate) const PREFIX: &'static str = "bert.";
    pub(crate) const ARCHITECTURE: &'static str = "BertForSequenceClassification";

    /// Loads the base, and the classifier too where `keep_head` says that it is for these labels.
    /// A base without a pooler gets a new one.
    pub(crate) fn load(
        loader: &mut Loader,
        config: Config,
        config_path: &Path,
        head: &Head,
        keep_head: bool,
    ) -> Result<Bert> {
        config.check(config_path)?;
        let (hidden, eps, deviation) = (config.hidden_size, config.layer_norm_eps, config.initializer_range);
        let embeddings = |name: &str| format!("bert.embeddings.{name}");
        let words = loader.load(&embeddings("word_embeddings.weight"), &[config.vocab_size, hidden])?;
        let positions = loader
            .load(&embeddings("position_embeddings.weight"), &[config.max_position_embeddings, hidden])?;
        let token_types =
            loader.load(&embeddings("token_type_embeddings.weight"), &[config.type_vocab_size, hidden])?;
        let embedding_norm = Norm::load(loader, &embeddings("LayerNorm"), hidden, eps)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let name = |part: &str| format!("bert.encoder.layer.{index}.{part}");
                Ok(Layer {
                    query: Linear::load(loader, &name("attention.self.query"), hidden, hidden)?,
                    key: Linear::load(loader, &name("attention.self.key"), hidden, hidden)?,
                    value: Linear::load(loader, &name("attention.self.value"), hidden, hidden)?,
                    attention_output: Linear::load(loader, &name("attention.output.dense"), hidden, hidden)?,
                    attention_norm: Norm::load(loader, &name("attention.output.LayerNorm"), hidden, eps)?,
                    intermediate: Linear::load(
                        loader,
                        &name("intermediate.dense"),
                        hidden,
                        config.intermediate_size,
                    )?,
                    output: Linear::load(loader, &name("output.dense"), config.intermediate_size, hidden)?,
                    output_norm: Norm::load(loader, &name("output.LayerNorm"), hidden, eps)?,
                })
            })
            .collect::<Result<_>>()?;
        let pooler = if loader.has("bert.pooler.dense.weight") {
            Linear::load(loader, "bert.pooler.dense", hidden, hidden)?
        } else {
            Linear::new(loader, "bert.pooler.dense", hidden, hidden, deviation)?
        };
        let classifier = if keep_head && loader.has("classifier.weight") {
            Linear::load(loader, "classifier", hidden, head.outputs())?
        } else {
            Linear::new(loader, "classifier", hidden, head.outputs(), deviation)?
        };
        Ok(Bert { config, words, positions, token_types, embedding_norm, layers, pooler, classifier })
    }

    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        let offsets: Arc<[u32]> = batch.offsets.as_slice().into();
        let mut x = self.embed(batch, mode)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = self.layer(layer, &x, &offsets, mode.at(1 + index as u64))?;
        }
        let first_tokens: Arc<[u32]> = offsets.iter().take(batch.len()).copied().collect();
        let first = embedding(&x, first_tokens)?;
        let pooled = self.pooler.forward(&first, mode)?.tanh()?;
        let p = self.config.classifier_dropout.unwrap_or(self.config.hidden_dropout_prob);
        self.classifier.forward(&dropout(&pooled, p, mode.at(u64::MAX))?, mode)
    }

    /// `[total, hidden]`: the sum of word, position and token type, normed.
    fn embed(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        let lengths = batch.offsets.windows(2).map(|range| range[1] - range[0]);
        let positions: Arc<[u32]> = lengths.flat_map(|length| 0..length).collect();
        let words = embedding(self.words.get(mode), batch.ids.as_slice().into())?;
        let positions = embedding(self.positions.get(mode), positions)?;
        let token_type = embedding(self.token_types.get(mode), [0].into())?;
        let sum = (words + positions)?.broadcast_add(&token_type)?;
        let normed = self.embedding_norm.forward(&sum, mode)?;
        Ok(dropout(&normed, self.config.hidden_dropout_prob, mode.at(0))?)
    }

    fn layer(&self, layer: &Layer, x: &Tensor, offsets: &Arc<[u32]>, mode: Mode) -> Result<Tensor> {
        let hidden_dropout = self.config.hidden_dropout_prob;
        let q = layer.query.forward(x, mode)?;
        let k = layer.key.forward(x, mode)?;
        let v = layer.value.forward(x, mode)?;
        let (heads, p) = (self.config.num_attention_heads, self.config.attention_probs_dropout_prob);
        let attended = attention([&q, &k, &v], offsets.clone(), heads, p, mode.at(1))?;
        let attended = layer.attention_output.forward(&attended, mode)?;
        let attended = dropout(&attended, hidden_dropout, mode.at(2))?;
        let x = layer.attention_norm.forward(&(attended + x)?, mode)?;

        let inner = gelu(&layer.intermediate.forward(&x, mode)?)?;
        let output = layer.output.forward(&inner, mode)?;
        let output = dropout(&output, hidden_dropout, mode.at(3))?;
        layer.output_norm.forward(&(output + x)?, mode)
    }
}
