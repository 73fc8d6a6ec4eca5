//! Blocks of every kind, with weights that are random and the same in every run.

use candle_core::DType;

use crate::{
    block::{Attention, Block, Mlp, MlpInputs, Order, Projections},
    layers::{Linear, Lora, Norm, NormKind},
    ops::{Activation, Heads, Span, gradient_check::random},
    weights::{Weight, Weights},
};

// Large enough that products may be made in bf16.
pub(super) const HIDDEN: usize = 36;
pub(super) const INNER: usize = 34;
pub(super) const TOKENS: usize = 15;
pub(super) const OFFSETS: [u32; 4] = [0, 5, 6, TOKENS as u32];

#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) order: Order,
    pub(super) layer_norm: bool,
    pub(super) attention_norm: bool,
    pub(super) heads: Heads,
    pub(super) span: Span,
    pub(super) apart: bool,
    pub(super) bias: bool,
    pub(super) rotates: bool,
    /// None for no gate, else whether both are by one layer.
    pub(super) gate: Option<bool>,
    pub(super) activation: Activation,
    pub(super) dropout: f32,
    /// Norms over the heads of queries and keys.
    pub(super) head_norms: bool,
    /// LoRA beside all linear layers, with this dropout; only it learns then.
    pub(super) lora: Option<f32>,
}

pub(super) const BERT: Kind = Kind {
    order: Order::NormLast,
    layer_norm: true,
    attention_norm: true,
    heads: Heads { query: 3, key_value: 3, d: 4 },
    span: Span::ALL,
    apart: true,
    bias: true,
    rotates: false,
    gate: None,
    activation: Activation::Gelu,
    dropout: 0.0,
    head_norms: false,
    lora: None,
};

pub(super) const LLAMA: Kind = Kind {
    order: Order::NormFirst,
    layer_norm: false,
    attention_norm: true,
    heads: Heads { query: 4, key_value: 2, d: 2 },
    span: Span::CAUSAL,
    apart: true,
    bias: false,
    rotates: true,
    gate: Some(false),
    activation: Activation::Silu,
    dropout: 0.0,
    head_norms: false,
    lora: None,
};

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        BERT,
        Kind { dropout: 0.3, ..BERT },
        Kind { attention_norm: false, bias: false, ..BERT },
        LLAMA,
        // Phi-3, with sliding attention.
        Kind { apart: false, gate: Some(true), span: Span { before: 1, after: 0 }, dropout: 0.2, ..LLAMA },
        // Qwen2 has biases on its queries, keys and values.
        Kind { bias: true, ..LLAMA },
        // ModernBERT, its first layer without a norm before attention, and local attention.
        Kind { layer_norm: true, apart: false, gate: Some(true), activation: Activation::GeluTanh, ..LLAMA },
        Kind { attention_norm: false, layer_norm: true, span: Span { before: 1, after: 1 }, ..LLAMA },
        // Qwen3.
        Kind { head_norms: true, ..LLAMA },
        Kind { head_norms: true, lora: Some(0.0), dropout: 0.2, ..LLAMA },
        // LoRA, with dropout of its own and of the model's, with biases, and where layers are fused.
        Kind { lora: Some(0.0), ..BERT },
        Kind { lora: Some(0.4), dropout: 0.3, ..BERT },
        Kind { lora: Some(0.4), apart: false, gate: Some(true), dropout: 0.2, ..LLAMA },
        Kind { lora: Some(0.4), ..LLAMA },
    ]
}

pub(super) struct Builder {
    pub(super) weights: Weights,
    pub(super) seed: u64,
    pub(super) lora: Option<f32>,
    pub(super) dtype: DType,
}

impl Builder {
    pub(super) fn new(kind: Kind) -> Builder {
        Builder { weights: Weights::default(), seed: 0, lora: kind.lora, dtype: DType::F32 }
    }
}

impl Builder {
    pub(super) fn weight(&mut self, shape: &[usize], around: f64) -> Weight {
        self.seed += 1;
        let tensor = ((random(shape, self.seed) * 0.5).unwrap() + around).unwrap();
        let name = format!("w{}", self.seed);
        match self.lora {
            Some(_) => self.weights.freeze(name, tensor.to_dtype(self.dtype_of(shape)).unwrap()).unwrap(),
            None => self.weights.learn(name, &tensor).unwrap(),
        }
    }

    /// Matrices alone are held in fewer bits.
    pub(super) fn dtype_of(&self, shape: &[usize]) -> DType {
        if shape.len() == 2 { self.dtype } else { DType::F32 }
    }

    pub(super) fn linear(&mut self, inputs: usize, outputs: usize, bias: bool) -> Linear {
        let weight = self.weight(&[outputs, inputs], 0.0);
        let bias = bias.then(|| self.weight(&[outputs], 0.0));
        let lora = self.lora.map(|dropout| {
            let mut matrix = |shape: &[usize]| {
                self.seed += 1;
                let tensor = (random(shape, self.seed) * 0.5).unwrap();
                self.weights.learn(format!("lora{}", self.seed), &tensor).unwrap()
            };
            Lora { a: matrix(&[3, inputs]), b: matrix(&[outputs, 3]), scale: 1.5, dropout }
        });
        Linear { weight, bias, lora }
    }

    pub(super) fn head_norm(&mut self, d: usize) -> Norm {
        Norm { weight: self.weight(&[d], 1.0), eps: 1e-5, kind: NormKind::RootMeanSquare }
    }

    pub(super) fn norm(&mut self, kind: Kind) -> Norm {
        let weight = self.weight(&[HIDDEN], 1.0);
        let bias = (kind.layer_norm && kind.bias).then(|| self.weight(&[HIDDEN], 0.0));
        let kind = if kind.layer_norm { NormKind::Layer { bias } } else { NormKind::RootMeanSquare };
        Norm { weight, eps: 1e-5, kind }
    }

    pub(super) fn block(&mut self, kind: Kind) -> Block {
        let Heads { query, key_value, d } = kind.heads;
        let inputs = if kind.apart {
            Projections::Apart(Box::new(
                [query, key_value, key_value].map(|heads| self.linear(HIDDEN, heads * d, kind.bias)),
            ))
        } else {
            Projections::Fused(self.linear(HIDDEN, (query + 2 * key_value) * d, kind.bias))
        };
        let mlp = match kind.gate {
            None => MlpInputs::Plain(self.linear(HIDDEN, INNER, kind.bias)),
            Some(false) => {
                let [gate, up] = [(); 2].map(|()| self.linear(HIDDEN, INNER, kind.bias));
                MlpInputs::Gated { gate, up }
            }
            Some(true) => MlpInputs::GatedFused(self.linear(HIDDEN, 2 * INNER, kind.bias)),
        };
        Block {
            order: kind.order,
            attention_norm: kind.attention_norm.then(|| self.norm(kind)),
            attention: Attention {
                inputs,
                output: self.linear(query * d, HIDDEN, kind.bias),
                heads: kind.heads,
                span: kind.span,
                rotation: kind.rotates.then_some(0),
                head_norms: kind.head_norms.then(|| [self.head_norm(d), self.head_norm(d)]),
                dropout: kind.dropout,
            },
            attention_dropout: kind.dropout,
            mlp_norm: self.norm(kind),
            mlp: Mlp {
                inputs: mlp,
                activation: kind.activation,
                dropout: kind.dropout,
                output: self.linear(INNER, HIDDEN, kind.bias),
            },
            mlp_dropout: kind.dropout,
        }
    }
}

/// Holds all matrices in `f32`.
pub(super) fn widen(block: &mut Block) {
    let mut layers = vec![&mut block.attention.output, &mut block.mlp.output];
    match &mut block.attention.inputs {
        Projections::Fused(layer) => layers.push(layer),
        Projections::Apart(all) => layers.extend(all.iter_mut()),
    }
    match &mut block.mlp.inputs {
        MlpInputs::Plain(layer) | MlpInputs::GatedFused(layer) => layers.push(layer),
        MlpInputs::Gated { gate, up } => layers.extend([gate, up]),
    }
    for layer in layers {
        let tensor = layer.weight.values().unwrap().to_dtype(DType::F32).unwrap();
        layer.weight = Weights::default().freeze("w".into(), tensor).unwrap();
    }
}
