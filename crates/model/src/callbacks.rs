//! What a pass that learns is given by whoever asks for it.

use candle_core::Tensor;

/// Makes a scalar of logits `[texts, outputs]`.
pub type Loss<'a> = dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Sync + 'a;
