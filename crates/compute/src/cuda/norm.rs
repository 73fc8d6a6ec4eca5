//! Norms of rows, and their backward.

use candle_core::Result;

use super::{
    buffer::{Part, PartMut, vector},
    device::{Arg, Cuda, Grid, args},
    rows::{PIECE, sum_parts},
};
use crate::{NormGradients, NormKind};
use candle_core::Tensor;

/// A block for each row, of no more threads than there is work for.
fn by_rows(rows: usize, d: usize) -> Grid {
    Grid { threads: if d <= 256 { 64 } else { 256 }, ..Grid::blocks(rows as u32, 1) }
}

pub(super) fn forward(
    cuda: &Cuda,
    kind: NormKind,
    y: &PartMut,
    x: Part,
    weight: &Tensor,
    bias: Option<&Tensor>,
    eps: f32,
) -> Result<()> {
    let d = weight.elem_count();
    let w = vector(cuda, weight, d)?;
    let b = bias.map_or(Ok(0), |bias| vector(cuda, bias, d))?;
    let centred = kind == NormKind::Layer;
    let rows = x.len / d.max(1);
    cuda.launch("norm_forward", by_rows(rows, d), args![y.address, x.address, w, b, d as u32, eps, centred])
}

#[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
pub(super) fn backward(
    cuda: &Cuda,
    kind: NormKind,
    dx: &PartMut,
    x: Part,
    g: Part,
    weight: &Tensor,
    eps: f32,
    gradients: NormGradients<Cuda>,
) -> Result<()> {
    let d = weight.elem_count();
    let w = vector(cuda, weight, d)?;
    let n = x.len / d.max(1);
    let rows = cuda.scratch(2 * n)?;
    let of_rows = rows.all().address;
    let centred = kind == NormKind::Layer;
    let (from, of_y) = (x.address, g.address);
    let args = args![dx.address, of_rows, from, of_y, w, d as u32, eps, centred];
    cuda.launch("norm_backward", by_rows(n, d), args)?;

    let NormGradients { weight, bias } = gradients;
    let pieces = n.div_ceil(PIECE);
    let scratch = |wanted: bool| wanted.then(|| cuda.scratch(pieces * d)).transpose();
    let (dw, db) = (scratch(weight.is_some())?, scratch(bias.is_some())?);
    let [to_w, to_b] = [&dw, &db].map(|parts| parts.as_ref().map_or(0, |parts| parts.all().address));
    if to_w != 0 || to_b != 0 {
        let grid = Grid::blocks(d.div_ceil(256) as u32, pieces as u32);
        let shape = [n, d, PIECE].map(|number| Arg::U32(number as u32));
        let addresses = [to_w, to_b, of_rows, from, of_y].map(Arg::U64);
        cuda.launch("norm_weight_parts", grid, &[&addresses[..], &shape[..]].concat())?;
    }
    for (parts, sum) in [(dw, weight), (db, bias)] {
        if let (Some(parts), Some(sum)) = (parts, sum) {
            sum_parts(cuda, &sum.values, parts.all(), pieces, sum.add)?;
        }
    }
    Ok(())
}
