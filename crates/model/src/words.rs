use candle_core::Tensor;
use data::{Batch, NGRAM_BUCKETS};

use crate::{
    Head, Mode,
    error::Result,
    ops::bag,
    weights::{Loader, Weight},
};

/// The built-in bag of words: a linear head on hashed word and character n-grams. It starts
/// from zeros, learns in seconds, and is the line that a language model has to beat.
pub(crate) struct Words {
    weight: Weight,
    bias: Weight,
}

impl Words {
    pub(crate) fn load(loader: &mut Loader, head: &Head, keep_head: bool) -> Result<Words> {
        let (name, shape) = ("words.weight", [NGRAM_BUCKETS as usize, head.outputs()]);
        if keep_head {
            let weight = loader.load(name, &shape)?;
            return Ok(Words { weight, bias: loader.load("words.bias", &[head.outputs()])? });
        }
        let weight = loader.new_zeros(name, &shape)?;
        Ok(Words { weight, bias: loader.new_zeros("words.bias", &[head.outputs()])? })
    }

    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        let sums = bag(self.weight.get(mode), batch.ids.as_slice().into(), batch.offsets.as_slice().into())?;
        Ok(sums.broadcast_add(self.bias.get(mode))?)
    }
}
