use std::sync::Arc;

use crate::rotation::Rotation;

/// A batch as the layers read it.
pub(crate) struct Packed {
    pub(crate) ids: Arc<[u32]>,
    /// Cumulative lengths, `[texts + 1]`.
    pub(crate) offsets: Arc<[u32]>,
    /// The rows of each further table of the embeddings, such as that of positions, which are added to those of `ids`.
    pub(crate) others: Vec<Arc<[u32]>>,
    /// One for each kind of layers.
    pub(crate) rotations: Vec<Rotation>,
}
