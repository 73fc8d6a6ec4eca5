use std::sync::Arc;

use data::Batch;

use crate::{
    Error, block::Block, classifier::Classifier, embeddings::Embeddings, error::Result, layers::Norm,
    packed::Packed, rope_config::Frequencies, rotation::Rotation,
};

/// A transformer with a head for classification; `decoder.rs` and `encoder.rs` build it for each
/// family out of its config.json.
pub(crate) struct Transformer {
    pub(crate) embeddings: Embeddings,
    pub(crate) blocks: Vec<Block>,
    /// After the last block, in families that norm first.
    pub(crate) final_norm: Option<Norm>,
    pub(crate) classifier: Classifier,
    /// The rotary embeddings that blocks refer to by their places here.
    pub(crate) frequencies: Vec<Frequencies>,
    /// The most tokens that a text may have.
    pub(crate) max_tokens: usize,
    /// Whether the embeddings learn, or anything in a block does.
    pub(crate) learns: Learns,
}

/// Which pieces of a transformer have weights that learn; the head always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Learns {
    pub(crate) embeddings: bool,
    pub(crate) blocks: bool,
}

/// The place of the embeddings and of the head among the seeds of dropout; blocks count from 1.
pub(crate) const EMBEDDINGS: u64 = 0;
pub(crate) const CLASSIFIER: u64 = u64::MAX;

impl Transformer {
    /// A batch as the layers read it; an error where a text has no token.
    pub(crate) fn pack(&self, batch: &Batch) -> Result<Packed> {
        let offsets: Arc<[u32]> = batch.offsets.as_slice().into();
        if offsets.windows(2).any(|range| range[0] >= range[1]) {
            return Err(Error::NoTokens);
        }
        let rotation = |frequencies: &Frequencies| Rotation::new(&offsets, |tokens| frequencies.of(tokens));
        let rotations = self.frequencies.iter().map(rotation).collect();
        let others = self.embeddings.others(&offsets);
        Ok(Packed { ids: batch.ids.as_slice().into(), offsets, others, rotations })
    }
}
