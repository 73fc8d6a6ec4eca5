use candle_core::Tensor;

use crate::{
    Mode,
    error::Result,
    ops::{adapted, dropout, layer_norm, linear, rms_norm},
    weights::Weight,
};

/// A linear layer, with LoRA's matrices beside it where it has them.
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Weight>,
    pub(crate) lora: Option<Lora>,
}

/// LoRA beside a linear layer (Hu et al., arXiv 2106.09685): the layer gives
/// x Wᵀ + b + s · dropout(x) Aᵀ Bᵀ. A is `[r, in]`, B `[out, r]`, both in `f32`.
pub(crate) struct Lora {
    pub(crate) a: Weight,
    pub(crate) b: Weight,
    pub(crate) scale: f64,
    pub(crate) dropout: f32,
}

impl Linear {
    /// x `[n, in]`, result `[n, out]` in the precision of x.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let weight = &self.weight.get(mode)?;
        let bias = self.bias.as_ref().map(|bias| bias.get(mode)).transpose()?;
        let bias = bias.as_ref();
        let Some(lora) = &self.lora else { return Ok(linear(x, weight, bias, mode.products())?) };
        let low = linear(&dropout(x, lora.dropout, mode)?, &lora.a.get(mode)?, None, mode.products())?;
        // Scaled here, where it is the least work.
        Ok(adapted(x, &(low * lora.scale)?, &lora.b.get(mode)?, weight, bias, mode.products())?)
    }
}

/// A normalisation over the features of a token.
pub(crate) struct Norm {
    pub(crate) weight: Weight,
    pub(crate) eps: f64,
    pub(crate) kind: NormKind,
}

pub(crate) enum NormKind {
    Layer { bias: Option<Weight> },
    RootMeanSquare,
}

impl Norm {
    /// x `[n, d]`.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
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
