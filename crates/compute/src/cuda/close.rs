//! The end of a block.

use candle_core::Result;

use super::{
    buffer::{PartMut, vector},
    device::{Cuda, Grid, THREADS, args},
    factor::Factor,
    low_rank::low_rank,
    rows::{ROWS, dropout_args},
};
use crate::Closing;

pub(super) fn close(cuda: &Cuda, x: &PartMut, closing: Closing<Cuda>, d: usize) -> Result<()> {
    let Closing { added, bias, dropout, residual } = closing;
    let rows = x.len / d.max(1);
    let bias = bias.map_or(Ok(0), |bias| vector(cuda, bias, d))?;
    let low_rank = low_rank(cuda, Factor::rows(x.address, rows, d), added)?;
    let after = args![bias, residual, rows as u32, d as u32];
    let args = [&args![x.address][..], &[low_rank], &after[..], &dropout_args(dropout)].concat();
    let grid = Grid::blocks((d as u32).div_ceil(THREADS), rows.div_ceil(ROWS) as u32);
    cuda.launch("close_block", grid, &args)
}
