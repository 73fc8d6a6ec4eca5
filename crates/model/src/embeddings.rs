use std::sync::Arc;

use candle_core::Tensor;

use crate::{
    Mode,
    error::Result,
    layers::Norm,
    ops::{dropout, embedding},
    packed::Packed,
    weights::Weight,
};

/// What a token is at first: its row of the words' table, with those of its position and its segment where a family has
/// them.
pub(crate) struct Embeddings {
    pub(crate) words: Weight,
    pub(crate) positions: Option<Positions>,
    /// One row of it is added to every token, since a single text has one segment.
    pub(crate) token_types: Option<Weight>,
    pub(crate) norm: Option<Norm>,
    pub(crate) dropout: f32,
}

/// A learned vector for each position.
pub(crate) struct Positions {
    pub(crate) table: Weight,
    /// The row of the first token.
    pub(crate) offset: u32,
}

impl Embeddings {
    /// `[total, hidden]`
    pub(crate) fn forward(&self, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let mut x = embedding(self.words.get(mode), packed.ids.clone())?;
        if let Some(Positions { table, offset }) = &self.positions {
            let lengths = packed.offsets.windows(2).map(|range| range[1] - range[0]);
            let positions: Arc<[u32]> = lengths.flat_map(|length| *offset..offset + length).collect();
            x = (x + embedding(table.get(mode), positions)?)?;
        }
        if let Some(token_types) = &self.token_types {
            x = x.broadcast_add(&embedding(token_types.get(mode), [0].into())?)?;
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(&x, mode)?;
        }
        Ok(dropout(&x, self.dropout, mode.at(1))?)
    }
}
