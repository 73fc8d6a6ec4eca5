use crate::{
    layers::{Linear, Norm},
    ops::{Activation, Heads, Span},
};

/// One layer of a transformer, of whatever family: attention and a feed-forward block, each with
/// its norm and its residual connection. What a family is like is said by the parts that it has.
pub(crate) struct Block {
    pub(crate) order: Order,
    /// Absent in the first layer of ModernBERT, whose embeddings are normed already.
    pub(crate) attention_norm: Option<Norm>,
    pub(crate) attention: Attention,
    /// Dropout on what attention adds.
    pub(crate) attention_dropout: f32,
    pub(crate) mlp_norm: Norm,
    pub(crate) mlp: Mlp,
    /// Dropout on what the feed-forward block adds.
    pub(crate) mlp_dropout: f32,
}

impl Block {
    /// The norm that the block begins with, if it does.
    pub(crate) fn first_norm(&self) -> Option<&Norm> {
        self.attention_norm.as_ref().filter(|_| self.order == Order::NormFirst)
    }

    /// The layer, or the first of those, that reads what the block reads, or its norm.
    pub(crate) fn first_layer(&self) -> &Linear {
        match &self.attention.inputs {
            Projections::Fused(qkv) => qkv,
            Projections::Apart(all) => &all[0],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// x + f(norm(x)), as all newer families.
    NormFirst,
    /// norm(x + f(x)), as BERT.
    NormLast,
}

pub(crate) struct Attention {
    pub(crate) inputs: Projections,
    pub(crate) output: Linear,
    pub(crate) heads: Heads,
    pub(crate) span: Span,
    /// Which of the batch's rotations turns queries and keys.
    pub(crate) rotation: Option<usize>,
    /// Norms over each head's queries and keys (Qwen3).
    pub(crate) head_norms: Option<[Norm; 2]>,
    /// Dropout on the probabilities.
    pub(crate) dropout: f32,
}

/// Queries, keys and values by one linear layer or by three.
pub(crate) enum Projections {
    Fused(Linear),
    Apart(Box<[Linear; 3]>),
}

pub(crate) struct Mlp {
    pub(crate) inputs: MlpInputs,
    pub(crate) activation: Activation,
    /// Dropout on what the output layer reads.
    pub(crate) dropout: f32,
    pub(crate) output: Linear,
}

pub(crate) enum MlpInputs {
    /// f(up(x))
    Plain(Linear),
    /// f(gate(x)) up(x)
    Gated { gate: Linear, up: Linear },
    /// The same with both by one layer, the gate first.
    GatedFused(Linear),
}
