//! What a pass that learns is given by whoever asks for it.

use candle_core::{Tensor, backprop::GradStore};

/// Makes a scalar of logits `[texts, outputs]`.
pub type Loss<'a> = dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Sync + 'a;

/// Takes gradients as they come.
pub type Take<'a> = dyn FnMut(GradStore) -> candle_core::Result<()> + Send + 'a;
