//! Rotary position embeddings.

use candle_core::Result;

use super::{
    device::{Cuda, Grid, THREADS, args},
    low_rank::low_rank,
    rows::ROWS,
    written_factor,
};
use crate::{Angles, LowRank, Out};

/// Turns the heads of every row; see the contract, by which sizes have been checked.
pub(super) fn rotate(
    cuda: &Cuda,
    x: &Out<Cuda>,
    added: Option<LowRank<Cuda>>,
    angles: &Angles<Cuda>,
    (heads, d): (usize, usize),
    back: bool,
) -> Result<()> {
    let factor = written_factor(x);
    let (rows, cols) = (factor.rows, factor.cols);
    // Rounded numbers have the rows of the whole buffer.
    let rounded = if cols == factor.stride { x.values.rounded_beside() } else { 0 };
    let added_to_all = added.is_some();
    let low_rank = low_rank(cuda, factor, added)?;
    let pairs = heads * angles.half;
    // A thread has a pair of features or, where more is done than turning, a feature that stays.
    let features = if rounded != 0 || added_to_all { cols - pairs } else { pairs };
    let sign = if back { -1f32 } else { 1.0 };
    let [heads, d, half] = [heads, d, angles.half].map(|number| number as u32);
    let before = args![factor.address, factor.stride, rounded];
    let after = args![angles.cos.all(), angles.sin.all(), rows as u32, heads, d, half, sign, features as u32];
    let grid = Grid::blocks((features as u32).div_ceil(THREADS), rows.div_ceil(ROWS) as u32);
    cuda.launch("rotate", grid, &[&before[..], &[low_rank], &after[..]].concat())
}
