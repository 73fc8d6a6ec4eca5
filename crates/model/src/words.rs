use data::{Batch, NGRAM_BUCKETS};

use crate::{
    Head,
    error::Result,
    loader::{Loader, New},
    packed::Packed,
    weights::Weight,
};

/// The built-in bag of words: a linear head on hashed word and character n-grams. It starts
/// from zeros, learns in seconds, and is the line that a language model has to beat.
pub(crate) struct Words {
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
}

impl Words {
    pub(crate) fn load(loader: &mut Loader, head: &Head) -> Result<Words> {
        let keep = loader.keep_head;
        let shape = [NGRAM_BUCKETS as usize, head.outputs()];
        let weight = loader.head_weight("words.weight", &shape, keep, New::Zeros)?;
        let bias = loader.head_weight("words.bias", &[head.outputs()], keep, New::Zeros)?;
        Ok(Words { weight, bias })
    }

    /// A batch as it is computed with; a text may have no feature.
    pub(crate) fn pack(batch: &Batch) -> Packed {
        let (ids, offsets) = (batch.ids.as_slice().into(), batch.offsets.as_slice().into());
        Packed { ids, offsets, others: Vec::new(), rotations: Vec::new() }
    }
}
