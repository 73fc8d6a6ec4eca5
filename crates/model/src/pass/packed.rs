use std::sync::Arc;

use candle_core::Result;
use compute::{Angles, Backend, Texts};

use crate::packed::Packed;

/// A batch in a device's memory.
pub(super) struct OnDevice<B: Backend> {
    pub(super) ids: Arc<[u32]>,
    pub(super) ids_on_device: B::Ids,
    pub(super) texts: Texts<B>,
    /// One for each kind of layers.
    pub(super) angles: Vec<Angles<B>>,
}

impl<B: Backend> OnDevice<B> {
    pub(super) fn new(backend: &B, packed: &Packed) -> Result<OnDevice<B>> {
        let angles = packed.rotations.iter().map(|turn| backend.angles(&turn.cos, &turn.sin, turn.half));
        Ok(OnDevice {
            ids: packed.ids.clone(),
            ids_on_device: backend.ids(&packed.ids)?,
            texts: Texts::new(backend, packed.offsets.clone())?,
            angles: angles.collect::<Result<_>>()?,
        })
    }
}
