//! The families that read in both directions: bert, roberta, xlm-roberta, distilbert and
//! modernbert. In what they differ stands in [`Traits`] and in the names of their weights.

mod config;

use serde_json::{Map, Value};

use config::Config;

use crate::{
    Error, Head,
    block::{Attention, Block, Mlp, MlpInputs, Order, Projections},
    classifier::{Classifier, Dense},
    embeddings::{Embeddings, Positions},
    layers::Norm,
    loader::{Loader, New, NormStyle},
    ops::{Heads, Span},
    transformer::{Learns, Transformer},
};

/// In what a family differs from the others.
pub(crate) struct Traits {
    /// The class in Transformers that reads what is saved.
    pub(crate) architecture: &'static str,
    /// What stands before the names of the base model.
    pub(crate) prefix: &'static str,
    /// The modules of the head, which PEFT saves whole.
    pub(crate) head_modules: &'static [&'static str],
    names: Names,
    style: Style,
    head: HeadStyle,
}

/// The names of a layer's parts, after the name of the layer.
struct Names {
    /// Of the layers, with `{}` for the number.
    layer: &'static str,
    words: &'static str,
    embedding_norm: &'static str,
    /// One for a fused layer, or three.
    attention_inputs: &'static [&'static str],
    attention_output: &'static str,
    attention_norm: &'static str,
    mlp_input: &'static str,
    mlp_output: &'static str,
    mlp_norm: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Norms last, learned positions (Devlin et al., arXiv 1810.04805).
    Bert { token_types: bool, offset_positions: bool },
    /// Norms first, rotary positions, gated feed-forward, local and global attention in turn
    /// (Warner et al., arXiv 2412.13663).
    Modern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadStyle {
    /// A pooler of the base model, tanh, and the classifier.
    Pooler,
    /// Dropout, dense, tanh, dropout, projection.
    Roberta,
    /// Dense, relu, dropout, classifier.
    Distil,
    /// Dense, activation, norm, dropout, classifier, on the first token or on the mean.
    Modern,
}

const BERT: Names = Names {
    layer: "encoder.layer.{}.",
    words: "embeddings.word_embeddings.weight",
    embedding_norm: "embeddings.LayerNorm",
    attention_inputs: &["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    mlp_input: "intermediate.dense",
    mlp_output: "output.dense",
    mlp_norm: "output.LayerNorm",
};

/// The traits of a family by its `model_type`.
pub(crate) fn traits(family: &str) -> Option<Traits> {
    let roberta = |architecture| Traits {
        architecture,
        prefix: "roberta.",
        head_modules: &["classifier"],
        names: BERT,
        style: Style::Bert { token_types: true, offset_positions: true },
        head: HeadStyle::Roberta,
    };
    Some(match family {
        "bert" => Traits {
            architecture: "BertForSequenceClassification",
            prefix: "bert.",
            head_modules: &["pooler", "classifier"],
            names: BERT,
            style: Style::Bert { token_types: true, offset_positions: false },
            head: HeadStyle::Pooler,
        },
        "roberta" => roberta("RobertaForSequenceClassification"),
        "xlm-roberta" => roberta("XLMRobertaForSequenceClassification"),
        "distilbert" => Traits {
            architecture: "DistilBertForSequenceClassification",
            prefix: "distilbert.",
            head_modules: &["pre_classifier", "classifier"],
            names: Names {
                layer: "transformer.layer.{}.",
                attention_inputs: &["attention.q_lin", "attention.k_lin", "attention.v_lin"],
                attention_output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                mlp_input: "ffn.lin1",
                mlp_output: "ffn.lin2",
                mlp_norm: "output_layer_norm",
                ..BERT
            },
            style: Style::Bert { token_types: false, offset_positions: false },
            head: HeadStyle::Distil,
        },
        "modernbert" => Traits {
            architecture: "ModernBertForSequenceClassification",
            prefix: "model.",
            head_modules: &["head", "classifier"],
            names: Names {
                layer: "layers.{}.",
                words: "embeddings.tok_embeddings.weight",
                embedding_norm: "embeddings.norm",
                attention_inputs: &["attn.Wqkv"],
                attention_output: "attn.Wo",
                attention_norm: "attn_norm",
                mlp_input: "mlp.Wi",
                mlp_output: "mlp.Wo",
                mlp_norm: "mlp_norm",
            },
            style: Style::Modern,
            head: HeadStyle::Modern,
        },
        _ => return None,
    })
}

/// Builds the transformer; `wrong` makes an error of what is wrong with the config.
pub(crate) fn load(
    loader: &mut Loader,
    traits: &Traits,
    json: &Map<String, Value>,
    head: &Head,
    learns: Learns,
    wrong: impl Fn(String) -> Error,
) -> Result<Transformer, Error> {
    let config = Config::read(traits, json).map_err(wrong)?;
    let (hidden, prefix) = (config.hidden, traits.prefix);
    let style = NormStyle::Layer { bias: config.norm_bias };
    loader.begin_piece();
    let words = loader.matrix(&format!("{prefix}{}", traits.names.words), [config.vocab, hidden])?;
    let (positions, token_types) = match traits.style {
        Style::Modern => (None, None),
        Style::Bert { token_types, .. } => {
            let name = format!("{prefix}embeddings.position_embeddings.weight");
            let table = loader.matrix(&name, [config.positions, hidden])?;
            let name = format!("{prefix}embeddings.token_type_embeddings.weight");
            let types =
                token_types.then(|| loader.matrix(&name, [config.token_types, hidden])).transpose()?;
            (Some(Positions { table, offset: config.position_offset as u32 }), types)
        }
    };
    let norm = loader.norm(&format!("{prefix}{}", traits.names.embedding_norm), hidden, config.eps, style)?;
    let dropout = config.embedding_dropout;
    let embeddings = Embeddings { words, positions, token_types, norm: Some(norm), dropout };
    let blocks =
        (0..config.layers).map(|layer| block(loader, traits, &config, layer)).collect::<Result<_, _>>()?;
    loader.begin_piece();
    let final_norm = match traits.style {
        Style::Bert { .. } => None,
        Style::Modern => Some(loader.norm(&format!("{prefix}final_norm"), hidden, config.eps, style)?),
    };
    Ok(Transformer {
        embeddings,
        blocks,
        final_norm,
        classifier: classifier(loader, traits, &config, head)?,
        max_tokens: config.positions - config.position_offset,
        frequencies: config.frequencies,
        learns,
    })
}

fn block(loader: &mut Loader, traits: &Traits, config: &Config, layer: usize) -> Result<Block, Error> {
    let (hidden, inner, names) = (config.hidden, config.intermediate, &traits.names);
    let name = format!("{}{}", traits.prefix, names.layer.replace("{}", &layer.to_string()));
    loader.begin_piece();
    let modern = traits.style == Style::Modern;
    let style = NormStyle::Layer { bias: config.norm_bias };
    let norm = |loader: &mut Loader, part: &str| -> Result<Norm, Error> {
        loader.norm(&format!("{name}{part}"), hidden, config.eps, style)
    };
    let attention_norm = match modern && layer == 0 {
        // The embeddings were normed already.
        true => None,
        false => Some(norm(loader, names.attention_norm)?),
    };
    let mut linear = |module: &str, width, bias| loader.linear(&name, module, width, bias);
    let bias = config.attention_bias;
    let inputs = match names.attention_inputs {
        [q, k, v] => Projections::Apart(Box::new([
            linear(q, [hidden, hidden], bias)?,
            linear(k, [hidden, hidden], bias)?,
            linear(v, [hidden, hidden], bias)?,
        ])),
        names => Projections::Fused(linear(names.first().unwrap_or(&""), [hidden, 3 * hidden], bias)?),
    };
    let output = linear(names.attention_output, [hidden, hidden], bias)?;
    let window = config.windows.get(layer).copied().flatten();
    let attention = Attention {
        inputs,
        output,
        heads: Heads { query: config.heads, key_value: config.heads, d: hidden / config.heads },
        span: window.map_or(Span::ALL, |half| Span { before: half, after: half }),
        rotation: modern.then_some(usize::from(window.is_some())),
        head_norms: None,
        dropout: config.probability_dropout,
    };
    let inputs = if modern {
        MlpInputs::GatedFused(linear(names.mlp_input, [hidden, 2 * inner], config.mlp_bias)?)
    } else {
        MlpInputs::Plain(linear(names.mlp_input, [hidden, inner], config.mlp_bias)?)
    };
    let output = linear(names.mlp_output, [inner, hidden], config.mlp_bias)?;
    Ok(Block {
        order: if modern { Order::NormFirst } else { Order::NormLast },
        attention_norm,
        attention,
        attention_dropout: config.attention_dropout,
        mlp_norm: norm(loader, names.mlp_norm)?,
        mlp: Mlp { inputs, activation: config.activation, dropout: config.inner_dropout, output },
        mlp_dropout: config.mlp_dropout,
    })
}

fn classifier(
    loader: &mut Loader,
    traits: &Traits,
    config: &Config,
    head: &Head,
) -> Result<Classifier, Error> {
    let (hidden, deviation, keep) = (config.hidden, config.deviation, loader.keep_head);
    // A dense layer that the folder has is kept whatever its labels were.
    let mut dense_layer =
        |name: &str, bias| loader.head_linear(name, [hidden, hidden], bias, true, deviation);
    let (linear, output) = match traits.head {
        HeadStyle::Pooler => (dense_layer("bert.pooler.dense", true)?, "classifier"),
        HeadStyle::Roberta => (dense_layer("classifier.dense", true)?, "classifier.out_proj"),
        HeadStyle::Distil => (dense_layer("pre_classifier", true)?, "classifier"),
        HeadStyle::Modern => (dense_layer("head.dense", config.classifier_bias)?, "classifier"),
    };
    let norm = match traits.head {
        HeadStyle::Modern => Some(head_norm(loader, config)?),
        _ => None,
    };
    let output = loader.head_linear(output, [hidden, head.outputs()], true, keep, deviation)?;
    let pooled_dropout = if traits.head == HeadStyle::Roberta { config.classifier_dropout } else { 0.0 };
    let dense = Some(Dense { linear, activation: config.classifier_activation, norm });
    Ok(Classifier { pool: config.pool, pooled_dropout, dense, dropout: config.classifier_dropout, output })
}

fn head_norm(loader: &mut Loader, config: &Config) -> Result<Norm, Error> {
    let weight = loader.head_weight("head.norm.weight", &[config.hidden], true, New::Ones)?;
    let bias = config
        .norm_bias
        .then(|| loader.head_weight("head.norm.bias", &[config.hidden], true, New::Zeros))
        .transpose()?;
    Ok(Norm { weight, eps: config.eps, kind: crate::layers::NormKind::Layer { bias } })
}
