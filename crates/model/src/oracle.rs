//! A transformer in candle's single operations, each with a backward of its own that is held to finite differences: what
//! the pass is compared with.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{
    Mode,
    block::{Attention, Block, Mlp, MlpInputs, Order, Projections},
    classifier::{Classifier, Pool},
    embeddings::{Embeddings, Positions},
    error::Result,
    layers::{Linear, Norm, NormKind},
    ops::{
        Heads, activate, adapted, attention, attention_fused, bag, dropout, embedding, glu, glu_fused,
        layer_norm, linear, mean, rms_norm, rope,
    },
    packed::Packed,
    transformer::Transformer,
    weights::Weight,
    words::Words,
};

impl Weight {
    /// The weight as candle's operations take it: where no graph is wanted detached, so that no activation is kept.
    fn get(&self, mode: Mode) -> candle_core::Result<Tensor> {
        match &self.tracked {
            Some(tracked) if mode.tracks() => Ok(tracked.clone()),
            _ => self.values(),
        }
    }
}

impl Linear {
    /// x `[n, in]`, result `[n, out]` in the precision of x.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let weight = &self.weight.get(mode)?;
        let bias = self.bias.as_ref().map(|bias| bias.get(mode)).transpose()?;
        let bias = bias.as_ref();
        let Some(lora) = &self.lora else { return Ok(linear(x, weight, bias, mode.products())?) };
        let low = linear(&dropout(x, lora.dropout, mode)?, &lora.a.get(mode)?, None, mode.products())?;
        // Scaled here, where it is the least work.
        Ok(adapted(x, &(low * lora.scale)?, &lora.b.get(mode)?, weight, bias, mode.products())?)
    }
}

impl Norm {
    /// x `[n, d]`.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let weight = &self.weight.get(mode)?;
        Ok(match &self.kind {
            NormKind::Layer { bias } => {
                let bias = bias.as_ref().map(|bias| bias.get(mode)).transpose()?;
                layer_norm(x, weight, bias.as_ref(), self.eps)?
            }
            NormKind::RootMeanSquare => rms_norm(x, weight, self.eps)?,
        })
    }
}

impl Embeddings {
    /// `[total, hidden]`
    pub(crate) fn forward(&self, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let mut x = embedding(&self.words.get(mode)?, packed.ids.clone())?;
        if let Some(Positions { table, offset }) = &self.positions {
            let lengths = packed.offsets.windows(2).map(|range| range[1] - range[0]);
            let positions: Arc<[u32]> = lengths.flat_map(|length| *offset..offset + length).collect();
            x = (x + embedding(&table.get(mode)?, positions)?)?;
        }
        if let Some(token_types) = &self.token_types {
            x = x.broadcast_add(&embedding(&token_types.get(mode)?, [0].into())?)?;
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(&x, mode)?;
        }
        Ok(dropout(&x, self.dropout, mode.at(1))?)
    }
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

impl Transformer {
    /// Logits `[texts, outputs]` of what the last block gives, `[total, hidden]`.
    pub(crate) fn logits(&self, x: &Tensor, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let mode = mode.in_f32();
        let normed = self.final_norm.as_ref().map_or(Ok(x.clone()), |norm| norm.forward(x, mode))?;
        let pooled = match self.classifier.pool {
            Pool::Mean => mean(&normed, packed.offsets.clone())?,
            Pool::Bag => bag(&normed, (0..packed.ids.len() as u32).collect(), packed.offsets.clone())?,
            Pool::First => normed
                .index_select(&Tensor::new(&packed.offsets[..packed.offsets.len() - 1], x.device())?, 0)?,
            Pool::Last => {
                let last: Vec<u32> = packed.offsets.iter().skip(1).map(|end| end - 1).collect();
                normed.index_select(&Tensor::new(last, x.device())?, 0)?
            }
        };
        self.classifier.forward(&pooled, mode)
    }
}

impl Classifier {
    /// Logits `[texts, outputs]` of pooled rows `[texts, hidden]`.
    fn forward(&self, pooled: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = dropout(pooled, self.pooled_dropout, mode.at(1))?;
        if let Some(dense) = &self.dense {
            x = activate(&dense.linear.forward(&x, mode)?, dense.activation)?;
            if let Some(norm) = &dense.norm {
                x = norm.forward(&x, mode)?;
            }
        }
        self.output.forward(&dropout(&x, self.dropout, mode.at(2))?, mode)
    }
}

impl Words {
    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(&self, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let sums = bag(&self.weight.get(mode)?, packed.ids.clone(), packed.offsets.clone())?;
        Ok(sums.broadcast_add(&self.bias.get(mode)?)?)
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
