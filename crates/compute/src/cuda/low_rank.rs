//! What LoRA adds to a layer's result, in the kernel that reads it next.

use candle_core::{DType, Result};

use super::{
    buffer::tensor,
    device::{Arg, Cuda},
    factor::Factor,
    held::product_held,
    read_factor,
};
use crate::{Held, LowRank};

/// The structure `LowRank` of the kernels, of rank 0 where nothing is to be added to x. What no kernel reads is added here.
pub(super) fn low_rank(cuda: &Cuda, x: Factor, added: Option<LowRank<Cuda>>) -> Result<Arg> {
    let nothing = Arg::U64x4([0; 4]);
    let Some(LowRank { low, weight, turned, products }) = added else { return Ok(nothing) };
    let (rows, cols) = weight.dims()?;
    let (out, rank) = if turned { (cols, rows) } else { (rows, cols) };
    if let Held::Plain(held) = weight
        && held.dtype() == DType::F32
        && (low.shape(), out) == ((x.rows, rank), x.cols)
    {
        // A column of the result has its numbers of w in a row, or turned in a column.
        let (column, number) = if turned { (1, cols) } else { (cols, 1) };
        let (low, weight) = (low.contiguous()?.address, tensor(cuda, held, DType::F32)?);
        return Ok(Arg::U64x4([low, weight, (column as u64) << 32 | rank as u64, number as u64]));
    }
    product_held(cuda, x, read_factor(low), weight, turned, (1.0, true), products)?;
    Ok(nothing)
}
