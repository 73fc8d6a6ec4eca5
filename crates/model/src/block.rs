use candle_core::Tensor;

use crate::{
    Mode,
    error::Result,
    layers::{Linear, Norm},
    ops::{Activation, Heads, Span, activate, attention, attention_fused, dropout, glu, glu_fused, rope},
    packed::Packed,
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

impl Block {
    /// x and the result `[total, hidden]`.
    pub(crate) fn forward(&self, x: &Tensor, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let normed = |norm: &Option<Norm>, x: &Tensor| match norm {
            Some(norm) => norm.forward(x, mode),
            None => Ok(x.clone()),
        };
        let attend = |x: &Tensor| -> Result<Tensor> {
            let added = self.attention.forward(x, packed, mode.at(1))?;
            Ok(dropout(&added, self.attention_dropout, mode.at(2))?)
        };
        let feed_forward = |x: &Tensor| -> Result<Tensor> {
            let added = self.mlp.forward(x, mode.at(3))?;
            Ok(dropout(&added, self.mlp_dropout, mode.at(4))?)
        };
        match self.order {
            Order::NormFirst => {
                let x = (x + attend(&normed(&self.attention_norm, x)?)?)?;
                Ok((&x + feed_forward(&self.mlp_norm.forward(&x, mode)?)?)?)
            }
            Order::NormLast => {
                let x = normed(&self.attention_norm, &(attend(x)? + x)?)?;
                self.mlp_norm.forward(&(feed_forward(&x)? + &x)?, mode)
            }
        }
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let Heads { query, key_value, d } = self.heads;
        let (offsets, rotation) =
            (packed.offsets.clone(), self.rotation.map(|which| &packed.rotations[which]));
        let turned = |x: Tensor, heads: usize| match rotation {
            Some(rotation) => rope(&x, rotation, heads, d),
            None => Ok(x),
        };
        let attended = match &self.inputs {
            Projections::Fused(qkv) => {
                // Queries and keys stand before the values, which are not turned.
                let qkv = turned(qkv.forward(x, mode.at(1))?, query + key_value)?;
                attention_fused(&qkv, offsets, self.heads, self.span, self.dropout, mode.at(5))?
            }
            Projections::Apart(all) => {
                let [q, k, v] = &**all;
                let (mut q, mut k) = (q.forward(x, mode.at(1))?, k.forward(x, mode.at(2))?);
                if let Some([q_norm, k_norm]) = &self.head_norms {
                    q = by_head(&q, d, q_norm, mode)?;
                    k = by_head(&k, d, k_norm, mode)?;
                }
                let (q, k) = (turned(q, query)?, turned(k, key_value)?);
                let v = v.forward(x, mode.at(3))?;
                attention([&q, &k, &v], offsets, self.heads, self.span, self.dropout, mode.at(5))?
            }
        };
        self.output.forward(&attended, mode.at(4))
    }
}

/// Norms each head of `[total, heads · d]` by itself.
fn by_head(x: &Tensor, d: usize, norm: &Norm, mode: Mode) -> Result<Tensor> {
    let shape = x.dims2()?;
    Ok(norm.forward(&x.reshape(((), d))?, mode)?.reshape(shape)?)
}

impl Mlp {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let inner = match &self.inputs {
            MlpInputs::Plain(up) => activate(&up.forward(x, mode.at(1))?, self.activation)?,
            MlpInputs::Gated { gate, up } => {
                glu(&gate.forward(x, mode.at(1))?, &up.forward(x, mode.at(2))?, self.activation)?
            }
            MlpInputs::GatedFused(both) => glu_fused(&both.forward(x, mode.at(1))?, self.activation)?,
        };
        self.output.forward(&dropout(&inner, self.dropout, mode.at(3))?, mode.at(4))
    }
}
