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

/// A learned vector for each position.
pub(crate) struct Positions {
    pub(crate) table: Weight,
    /// The row of the first token.
    pub(crate) offset: u32,
}
