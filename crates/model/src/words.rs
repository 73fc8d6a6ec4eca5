use candle_core::Tensor;
use data::{Batch, NGRAM_BUCKETS};

use crate::{
    Head, Mode,
    error::Result,
    loader::{Loader, New},
    ops::bag,
    weights::Weight,
};

/// The built-in bag of words: a linear head on hashed word and character n-grams. It starts
/// from zeros, learns in seconds, and is the line that a language model has to beat.
pub(crate) struct Words {
    weight: Weight,
    bias: Weight,
}

impl Words {
    pub(crate) fn load(loader: &mut Loader, head: &Head) -> Result<Words> {
        let keep = loader.keep_head;
        let shape = [NGRAM_BUCKETS as usize, head.outputs()];
        let weight = loader.head_weight("words.weight", &shape, keep, New::Zeros)?;
        let bias = loader.head_weight("words.bias", &[head.outputs()], keep, New::Zeros)?;
        Ok(Words { weight, bias })
    }

    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        let sums =
            bag(&self.weight.get(mode)?, batch.ids.as_slice().into(), batch.offsets.as_slice().into())?;
        Ok(sums.broadcast_add(&self.bias.get(mode)?)?)
    }
}
