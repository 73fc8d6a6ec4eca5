//! Weighted cross-entropy.

use candle_core::Result;

use super::{
    buffer::{Part, PartMut},
    device::{Cuda, Grid, args},
};
use crate::backend::{has_two_logits, same};

pub(super) fn cross_entropy(cuda: &Cuda, loss: &PartMut, logits: &PartMut, targets: Part) -> Result<()> {
    same(loss.len, 1)?;
    let two = has_two_logits(logits.len, targets.len)?;
    let args = args![loss.address, logits.address, targets, targets.len as u32, two];
    cuda.launch("cross_entropy", Grid::blocks(1, 1), args)
}
