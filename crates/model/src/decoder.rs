//! The families that read from left to right: phi3, llama, mistral, qwen2 and qwen3.
//!
//! All are one architecture (Touvron et al., arXiv 2302.13971): root mean square norms before
//! attention and before a gated feed-forward block, rotary positions, causal attention, and a
//! head that reads the last token. In what they differ stands in [`Traits`].

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Error, Head,
    block::{Attention, Block, Mlp, MlpInputs, Order, Projections},
    classifier::{Classifier, Pool},
    embeddings::Embeddings,
    error::Result,
    limits::{LARGEST, check_dropouts},
    loader::{Loader, NormStyle},
    ops::{Activation, Heads, Span},
    rope_config::frequencies,
    transformer::{Learns, Transformer},
};

/// In what a family differs from the others.
pub(crate) struct Traits {
    /// The class in Transformers that reads what is saved.
    pub(crate) architecture: &'static str,
    /// Queries, keys and values by one layer, and gate and up by one layer.
    fused: bool,
    /// Biases of queries, keys and values, of attention's output, and of the feed-forward
    /// layers; where `None` they are as the config says.
    biases: Option<[bool; 3]>,
    /// Norms over each head's queries and keys.
    head_norms: bool,
    /// Which layers see a sliding window only.
    window: Window,
    /// The window where the config does not speak of one; null in it means none.
    default_window: Option<usize>,
    /// Features of a head where the config does not say; else hidden_size over heads.
    head_dim: Option<usize>,
    /// Heads of keys where the config does not say; else as many as of queries.
    key_value_heads: Option<usize>,
    /// ε of the norms where the config does not say.
    rms_norm_eps: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    None,
    /// All layers, where the config has a window.
    All,
    /// Those that `layer_types` names, or those from `max_window_layers` on, where
    /// `use_sliding_window` says so.
    Some,
}

/// The traits of a family by its `model_type`.
pub(crate) fn traits(family: &str) -> Option<Traits> {
    let llama = Traits {
        architecture: "LlamaForSequenceClassification",
        fused: false,
        biases: None,
        head_norms: false,
        window: Window::None,
        default_window: None,
        head_dim: None,
        key_value_heads: None,
        rms_norm_eps: 1e-6,
    };
    Some(match family {
        "llama" => llama,
        "mistral" => Traits {
            architecture: "MistralForSequenceClassification",
            biases: Some([false; 3]),
            window: Window::All,
            default_window: Some(4096),
            key_value_heads: Some(8),
            ..llama
        },
        "phi3" => Traits {
            architecture: "Phi3ForSequenceClassification",
            fused: true,
            biases: Some([false; 3]),
            window: Window::All,
            rms_norm_eps: 1e-5,
            ..llama
        },
        "qwen2" => Traits {
            architecture: "Qwen2ForSequenceClassification",
            biases: Some([true, false, false]),
            window: Window::Some,
            ..llama
        },
        "qwen3" => Traits {
            architecture: "Qwen3ForSequenceClassification",
            head_norms: true,
            window: Window::Some,
            head_dim: Some(128),
            ..llama
        },
        _ => return None,
    })
}

/// What stands before the names of the base model.
pub(crate) const PREFIX: &str = "model.";
/// The modules of the head, which PEFT saves whole.
pub(crate) const HEAD_MODULES: &[&str] = &["score"];

/// The part of a decoder's config.json that decides the arithmetic.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: Option<String>,
    max_position_embeddings: usize,
    rms_norm_eps: Option<f64>,
    initializer_range: Option<f64>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    attention_dropout: Option<f32>,
    resid_pdrop: Option<f32>,
}

/// Builds the transformer; `wrong` makes an error of what is wrong with the config.
pub(crate) fn load(
    loader: &mut Loader,
    traits: &Traits,
    json: &Map<String, Value>,
    head: &Head,
    learns: Learns,
    wrong: impl Fn(String) -> Error,
) -> Result<Transformer> {
    Shape::read(traits, json).map_err(wrong)?.load(loader, traits, head, learns)
}

/// The config, checked.
struct Shape {
    config: Config,
    heads: Heads,
    activation: Activation,
    eps: f64,
    frequencies: crate::rope_config::Frequencies,
}

impl Shape {
    fn read(traits: &Traits, json: &Map<String, Value>) -> std::result::Result<Shape, String> {
        let mut config: Config =
            serde_json::from_value(Value::Object(json.clone())).map_err(|error| error.to_string())?;
        if !json.contains_key("sliding_window") {
            config.sliding_window = traits.default_window;
        }
        let query = config.num_attention_heads;
        let key_value = config.num_key_value_heads.or(traits.key_value_heads).unwrap_or(query);
        if query == 0 || key_value == 0 || !query.is_multiple_of(key_value) {
            return Err(format!("{query} attention heads cannot share {key_value} heads of keys"));
        }
        let d = config.head_dim.or(traits.head_dim).unwrap_or(config.hidden_size / query);
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let sizes = [config.vocab_size, hidden, inner, config.max_position_embeddings, query, key_value, d];
        if sizes.iter().any(|&size| size == 0 || size >= LARGEST) {
            return Err(format!("its sizes {sizes:?} are not those of a model"));
        }
        let name = config.hidden_act.as_deref().unwrap_or("silu");
        let activation = Activation::by_name(name)
            .ok_or_else(|| format!("hidden_act is \"{name}\", which is not known here"))?;
        check_dropouts(&[config.attention_dropout, config.resid_pdrop].map(Option::unwrap_or_default))?;
        if config.layer_types.as_ref().is_some_and(|types| types.len() < config.num_hidden_layers) {
            return Err("layer_types has fewer entries than there are layers".to_owned());
        }
        let frequencies = frequencies(json, "full_attention", d, 10_000.0)?;
        let eps = config.rms_norm_eps.unwrap_or(traits.rms_norm_eps);
        Ok(Shape { heads: Heads { query, key_value, d }, activation, eps, frequencies, config })
    }

    /// Which tokens a layer's attention sees. A window of w is the token itself and w − 1 before.
    fn span(&self, traits: &Traits, layer: usize) -> Span {
        let config = &self.config;
        let slides = match traits.window {
            Window::None => false,
            Window::All => true,
            Window::Some => match (config.use_sliding_window.unwrap_or(false), &config.layer_types) {
                (false, _) => false,
                (true, Some(types)) => types.get(layer).is_some_and(|kind| kind == "sliding_attention"),
                (true, None) => layer >= config.max_window_layers.unwrap_or(28),
            },
        };
        match config.sliding_window {
            Some(window) if slides => Span { before: window.saturating_sub(1), after: 0 },
            _ => Span::CAUSAL,
        }
    }

    fn load(self, loader: &mut Loader, traits: &Traits, head: &Head, learns: Learns) -> Result<Transformer> {
        let (hidden, vocab) = (self.config.hidden_size, self.config.vocab_size);
        let deviation = self.config.initializer_range.unwrap_or(0.02);
        loader.begin_piece();
        let words = loader.matrix("model.embed_tokens.weight", [vocab, hidden])?;
        let embeddings = Embeddings { words, positions: None, token_types: None, norm: None, dropout: 0.0 };
        let blocks = (0..self.config.num_hidden_layers)
            .map(|layer| self.block(loader, traits, layer))
            .collect::<Result<_>>()?;
        loader.begin_piece();
        let final_norm = loader.norm("model.norm", hidden, self.eps, NormStyle::RootMeanSquare)?;
        let keep = loader.keep_head;
        let output = loader.head_linear("score", [hidden, head.outputs()], false, keep, deviation)?;
        let classifier =
            Classifier { pool: Pool::Last, pooled_dropout: 0.0, dense: None, dropout: 0.0, output };
        Ok(Transformer {
            embeddings,
            blocks,
            final_norm: Some(final_norm),
            classifier,
            frequencies: vec![self.frequencies],
            max_tokens: self.config.max_position_embeddings,
            learns,
        })
    }

    fn block(&self, loader: &mut Loader, traits: &Traits, layer: usize) -> Result<Block> {
        let Heads { query, key_value, d } = self.heads;
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let config = &self.config;
        let [qkv_bias, output_bias, mlp_bias] =
            traits.biases.unwrap_or([config.attention_bias, config.attention_bias, config.mlp_bias]);
        let name = format!("model.layers.{layer}.");
        loader.begin_piece();
        let style = NormStyle::RootMeanSquare;
        let attention_norm = loader.norm(&format!("{name}input_layernorm"), hidden, self.eps, style)?;
        let inputs = if traits.fused {
            let width = (query + 2 * key_value) * d;
            Projections::Fused(loader.linear(&name, "self_attn.qkv_proj", [hidden, width], qkv_bias)?)
        } else {
            let mut linear = |module, heads| loader.linear(&name, module, [hidden, heads * d], qkv_bias);
            Projections::Apart(Box::new([
                linear("self_attn.q_proj", query)?,
                linear("self_attn.k_proj", key_value)?,
                linear("self_attn.v_proj", key_value)?,
            ]))
        };
        let head_norms = if traits.head_norms {
            let mut norm = |part| loader.norm(&format!("{name}self_attn.{part}"), d, self.eps, style);
            Some([norm("q_norm")?, norm("k_norm")?])
        } else {
            None
        };
        let output = loader.linear(&name, "self_attn.o_proj", [query * d, hidden], output_bias)?;
        let attention = Attention {
            inputs,
            output,
            heads: self.heads,
            span: self.span(traits, layer),
            rotation: Some(0),
            head_norms,
            dropout: config.attention_dropout.unwrap_or_default(),
        };
        let mlp_norm = loader.norm(&format!("{name}post_attention_layernorm"), hidden, self.eps, style)?;
        let inputs = if traits.fused {
            MlpInputs::GatedFused(loader.linear(&name, "mlp.gate_up_proj", [hidden, 2 * inner], mlp_bias)?)
        } else {
            let gate = loader.linear(&name, "mlp.gate_proj", [hidden, inner], mlp_bias)?;
            MlpInputs::Gated { gate, up: loader.linear(&name, "mlp.up_proj", [hidden, inner], mlp_bias)? }
        };
        let output = loader.linear(&name, "mlp.down_proj", [inner, hidden], mlp_bias)?;
        Ok(Block {
            order: Order::NormFirst,
            attention_norm: Some(attention_norm),
            attention,
            attention_dropout: config.resid_pdrop.unwrap_or_default(),
            mlp_norm,
            mlp: Mlp { inputs, activation: self.activation, dropout: 0.0, output },
            mlp_dropout: config.resid_pdrop.unwrap_or_default(),
        })
    }
}
