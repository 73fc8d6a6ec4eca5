//! Norms of rows, and their backward.

use candle_core::Result;

use super::{
    buffer::{Part, PartMut, vector},
    device::{Arg, Cuda, Grid, args},
    factor::Factor,
    low_rank::low_rank,
    rows::{PIECE, dropout_args, sum_parts},
    thin::Split,
};
use crate::{Closing, LowRank, NormGradients, NormKind, NormOf, Sum, Thin};

/// Rows of a block where LoRA's matrices, which are read once for all of them, are added or multiplied with; no more than
/// the kernels have room for.
const ROWS: usize = 4;

/// A block for so many rows each, of no more threads than there is work for.
fn by_rows(rows: usize, each: usize, d: usize) -> Grid {
    Grid { threads: if d <= 256 { 64 } else { 256 }, ..Grid::blocks(rows.div_ceil(each) as u32, 1) }
}

/// The structure `Norm` of the kernels, and numbers of a row.
fn numbers(cuda: &Cuda, norm: NormOf) -> Result<(Arg, usize)> {
    let d = norm.weight.elem_count();
    let w = vector(cuda, norm.weight, d)?;
    let b = norm.bias.map_or(Ok(0), |bias| vector(cuda, bias, d))?;
    let centred = norm.kind == NormKind::Layer;
    let last = u64::from(norm.eps.to_bits()) << 32 | d as u64;
    Ok((Arg::U64x4([w, b, last, centred.into()]), d))
}

pub(super) fn forward(cuda: &Cuda, norm: NormOf, y: &PartMut, x: Part, thin: Vec<Thin<Cuda>>) -> Result<()> {
    let (norm, d) = numbers(cuda, norm)?;
    let n = x.len / d.max(1);
    let thin = Split::new(cuda, thin, n, d)?;
    let each = if thin.any { ROWS } else { 1 };
    let before = args![y.address, y.rounded_beside(), x, n as u32, each as u32];
    let args = [&before[..], &[norm], &thin.args].concat();
    cuda.launch("norm_forward", by_rows(n, each, d), &args)?;
    thin.rest(cuda, y, d)
}

/// Closes a block, and y is the norm of that.
pub(super) fn close(
    cuda: &Cuda,
    x: &PartMut,
    closing: Closing<Cuda>,
    norm: NormOf,
    y: &PartMut,
    thin: Vec<Thin<Cuda>>,
) -> Result<()> {
    let (norm, d) = numbers(cuda, norm)?;
    let Closing { added, bias, dropout, residual } = closing;
    let n = x.len / d.max(1);
    let thin = Split::new(cuda, thin, n, d)?;
    let each = if added.is_some() || thin.any { ROWS } else { 1 };
    let bias = bias.map_or(Ok(0), |bias| vector(cuda, bias, d))?;
    let low_rank = low_rank(cuda, Factor::rows(x.address, n, d), added)?;
    let before = args![y.address, y.rounded_beside(), x.address];
    let after = args![bias, residual, n as u32, each as u32];
    let args = [&before[..], &[low_rank], &after[..], &[norm], &dropout_args(dropout), &thin.args].concat();
    cuda.launch("close_and_norm", by_rows(n, each, d), &args)?;
    thin.rest(cuda, y, d)
}

pub(super) fn backward(
    cuda: &Cuda,
    norm: NormOf,
    dx: &Sum<Cuda>,
    x: Part,
    (g, added): (&PartMut, Option<LowRank<Cuda>>),
    again: bool,
    gradients: NormGradients<Cuda>,
) -> Result<()> {
    let (numbers, d) = numbers(cuda, norm)?;
    let (n, each) = (x.len / d.max(1), if added.is_some() { ROWS } else { 1 });
    let low_rank = low_rank(cuda, Factor::rows(g.address, n, d), added)?;
    let NormGradients { weight, bias } = gradients;
    // Whatever else reads the gradient of y does so before y is there again.
    let learns = weight.is_some() || bias.is_some();
    let rows = learns.then(|| cuda.scratch(2 * n)).transpose()?;
    let of_rows = rows.as_ref().map_or(0, |rows| rows.all().address);
    let before = args![dx.values.address, dx.values.rounded_beside(), dx.add, g.address];
    let after = args![again && !learns, x, of_rows, n as u32, each as u32];
    let args = [&before[..], &[low_rank], &after[..], &[numbers]].concat();
    cuda.launch("norm_backward", by_rows(n, each, d), &args)?;
    if !learns {
        return Ok(());
    }
    let pieces = n.div_ceil(PIECE);
    let scratch = |wanted: bool| wanted.then(|| cuda.scratch(pieces * d)).transpose();
    let (dw, db) = (scratch(weight.is_some())?, scratch(bias.is_some())?);
    let [to_w, to_b] = [&dw, &db].map(|parts| parts.as_ref().map_or(0, |parts| parts.all().address));
    let grid = Grid::blocks(d.div_ceil(256) as u32, pieces as u32);
    let shape = [n, d, PIECE].map(|number| Arg::U32(number as u32));
    let addresses = [to_w, to_b, of_rows, x.address, g.address].map(Arg::U64);
    cuda.launch("norm_weight_parts", grid, &[&addresses[..], &shape[..]].concat())?;
    for (parts, sum) in [(dw, weight), (db, bias)] {
        if let (Some(parts), Some(sum)) = (parts, sum) {
            sum_parts(cuda, &sum.values, parts.all(), pieces, sum.add)?;
        }
    }
    if again { forward(cuda, norm, g, x, Vec::new()) } else { Ok(()) }
}
