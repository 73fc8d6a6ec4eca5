//! The gradients of LoRA's matrices, which are products over all tokens of a wide and of a thin factor, two in one launch.

use candle_core::{Result, bail};

use super::{
    device::{Arg, Cuda, Grid},
    factor::Factor,
    product::product,
    read_factor,
};
use crate::{Products, Turned};

/// The most columns of a thin factor: with more of them tensor cores are better.
const THIN: usize = 32;
/// Columns of the wide factor that a block has.
const COLUMNS: usize = 32;

/// The structure `Turned` of the kernel.
pub(super) struct Task {
    arg: Arg,
    /// Of both factors.
    rows: usize,
    /// Of the wide one.
    columns: usize,
}

/// What the kernel is to do; none where nothing is wanted, or where it was left to cuBLAS.
pub(super) fn task(cuda: &Cuda, turned: Turned<Cuda>, products: Products) -> Result<Option<Task>> {
    let Turned { out, a, b } = turned;
    let (Some(out), a, b) = (out, read_factor(a), read_factor(b)) else { return Ok(None) };
    if a.turned || b.turned || a.rows != b.rows || out.values.len != a.cols * b.cols {
        bail!("aᵀ b is no matrix of {} numbers for {a:?} and {b:?}", out.values.len);
    }
    if a.cols.min(b.cols) > THIN || a.rows == 0 {
        let to = Factor::rows(out.values.address, a.cols, b.cols);
        return product(cuda, to, a.turned(), b, (1.0, out.add), products).map(|()| None);
    }
    // In out [m, n] the numbers of a wide column lie together where the wide factor is a.
    let (wide, thin, column, number) = if a.cols >= b.cols { (a, b, b.cols, 1) } else { (b, a, 1, b.cols) };
    let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
    let arg = Arg::U64x7([
        out.values.address,
        wide.address,
        thin.address,
        pair(wide.stride, thin.stride),
        pair(wide.cols, thin.cols),
        pair(column, number),
        out.add.into(),
    ]);
    Ok(Some(Task { arg, rows: a.rows, columns: wide.cols }))
}

/// Does all of it, in one launch where the factors have equally many rows.
pub(super) fn launch(cuda: &Cuda, mut tasks: Vec<Task>) -> Result<()> {
    while let Some(first) = tasks.pop() {
        let second = tasks.pop_if(|second| second.rows == first.rows);
        let second = second.unwrap_or(Task { arg: Arg::U64x7([0; 7]), rows: 0, columns: 0 });
        let blocks = [&first, &second].map(|task| task.columns.div_ceil(COLUMNS) as u32);
        let args = [first.arg, second.arg, Arg::U32(first.rows as u32), Arg::U32(blocks[0])];
        cuda.launch("turned_products", Grid::blocks(blocks[0] + blocks[1], 1), &args)?;
    }
    Ok(())
}
