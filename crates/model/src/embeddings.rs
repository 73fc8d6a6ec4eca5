use std::sync::Arc;

use crate::{layers::Norm, weights::Weight};

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

impl Embeddings {
    /// The rows that the tokens of a batch have in each table that is added to that of the words, for cumulative lengths
    /// `[texts + 1]`.
    pub(crate) fn others(&self, offsets: &[u32]) -> Vec<Arc<[u32]>> {
        let positions = self.positions.as_ref().map(|&Positions { offset, .. }| {
            let of_text = |range: &[u32]| offset..offset + (range[1] - range[0]);
            offsets.windows(2).flat_map(of_text).collect::<Arc<[u32]>>()
        });
        // A single text has one segment.
        let total = offsets.last().map_or(0, |&end| end as usize);
        let types = self.token_types.as_ref().map(|_| vec![0; total].into());
        positions.into_iter().chain(types).collect()
    }

    /// These tables, in the same order.
    pub(crate) fn other_tables(&self) -> impl Iterator<Item = &Weight> {
        let positions = self.positions.as_ref().map(|positions| &positions.table);
        positions.into_iter().chain(&self.token_types)
    }
}

/// A learned vector for each position.
pub(crate) struct Positions {
    pub(crate) table: Weight,
    /// The row of the first token.
    pub(crate) offset: u32,
}
