//! What is done number by number between the products, and sums of columns.

use candle_core::{Result, Tensor, cuda_backend::cudarc::driver::CudaSlice};

use super::{
    buffer::{Part, PartMut, address, vector},
    device::{Arg, Cuda, Grid, args},
    factor::Factor,
};
use crate::Dropout;

/// Rows that one thread sums of a column; the sums of these pieces are summed after that.
pub(super) const PIECE: usize = 64;

/// Rows of which a thread has the same columns, so that what belongs to a column is read once for all; as in the kernels.
pub(super) const ROWS: usize = 32;

/// Seed, threshold and factor of dropout, as kernels take them; with none nothing is dropped.
pub(super) fn dropout_args(dropout: Option<Dropout>) -> [Arg; 3] {
    let (seed, threshold, factor) = dropout_numbers(dropout);
    [Arg::U64(seed), Arg::U32(threshold), Arg::F32(factor)]
}

/// The same numbers; threshold and factor as `compute::math::dropout_factor` has them.
pub(super) fn dropout_numbers(dropout: Option<Dropout>) -> (u64, u32, f32) {
    dropout.map_or((0, 0, 1.0), |Dropout { p, seed }| {
        (seed, (f64::from(p) * 4_294_967_296.0) as u32, 1.0 / (1.0 - p))
    })
}

pub(super) fn copy(cuda: &Cuda, out: Factor, x: Factor) -> Result<()> {
    let args = args![out.address, out.stride, x.address, x.stride, x.rows, x.cols as u32];
    cuda.launch("copy_rows", Grid::of(x.rows * x.cols), args)
}

/// All numbers zero.
pub(super) fn clear(cuda: &Cuda, out: &PartMut) -> Result<()> {
    cuda.launch("clear", Grid::of(out.len), args![out.address, 1usize, out.len, 1u32])
}

/// The same of some columns of a matrix.
pub(super) fn clear_part(cuda: &Cuda, out: Factor) -> Result<()> {
    let args = args![out.address, out.stride, out.rows, out.cols as u32];
    cuda.launch("clear", Grid::of(out.rows * out.cols), args)
}

pub(super) fn add(cuda: &Cuda, out: &PartMut, x: Part) -> Result<()> {
    cuda.launch("add", Grid::of(x.len), args![out.address, x.address, x.len])
}

pub(super) fn add_bias(cuda: &Cuda, x: Factor, bias: &Tensor) -> Result<()> {
    let bias = vector(cuda, bias, x.cols)?;
    cuda.launch(
        "add_bias",
        Grid::of(x.rows * x.cols),
        args![x.address, x.stride, bias, x.rows, x.cols as u32],
    )
}

pub(super) fn drop(cuda: &Cuda, x: &PartMut, y: u64, dropout: Dropout) -> Result<()> {
    let before = args![x.address, y, x.len];
    cuda.launch("drop", Grid::of(x.len), &[before, &dropout_args(Some(dropout))[..]].concat())
}

/// The sum of every column, in the order of the rows within pieces, and of the pieces.
pub(super) fn column_sums(cuda: &Cuda, sum: &PartMut, add: bool, g: Factor) -> Result<()> {
    let pieces = g.rows.div_ceil(PIECE);
    let parts = cuda.scratch(pieces * g.cols)?;
    let grid = Grid::blocks(g.cols.div_ceil(256) as u32, pieces as u32);
    let shape = [g.rows, g.cols, PIECE].map(|number| Arg::U32(number as u32));
    let before = args![parts.all(), g.address, g.stride];
    cuda.launch("column_parts", grid, &[before, &shape[..]].concat())?;
    sum_parts(cuda, sum, parts.all(), pieces, add)
}

/// out = Σ of pieces `[pieces, out]`, or added to it.
pub(super) fn sum_parts(cuda: &Cuda, out: &PartMut, parts: Part, pieces: usize, add: bool) -> Result<()> {
    let cols = out.len;
    cuda.launch("sum_parts", Grid::of(cols), args![out.address, parts, pieces as u32, cols as u32, add])
}

/// A matrix rounded to bf16, its rows one after another.
pub(super) fn narrow(cuda: &Cuda, x: Factor) -> Result<CudaSlice<half::bf16>> {
    let count = x.rows * x.cols;
    let narrowed = cuda.alloc::<half::bf16>(count)?;
    let to = address(&narrowed, cuda.stream());
    cuda.launch("narrow", Grid::of(count), args![to, x.address, x.stride, x.rows, x.cols as u32])?;
    Ok(narrowed)
}
