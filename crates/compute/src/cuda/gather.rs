//! Rows of tables and matrices by their ids, and their gradients.

use candle_core::{DType, Result, bail};

use super::{
    buffer::{Ids, Part, PartMut, address, tensor, upload},
    device::{Cuda, Grid, THREADS, args},
    factor::Factor,
};
use crate::{Grouped, Held};

fn same(found: usize, rows: usize, d: usize) -> Result<()> {
    if found != rows * d {
        bail!("{rows} rows of {d} numbers are not {found}");
    }
    Ok(())
}

/// Rows of a table into x `[ids, d]`, or added to it.
pub(super) fn gather(cuda: &Cuda, x: &PartMut, table: &Held, ids: &Ids, add: bool) -> Result<()> {
    let (rows, d) = table.dims()?;
    same(x.len, ids.host.len(), d)?;
    ids.check(rows)?;
    let Held::Plain(held) = table else { bail!("rows are taken of tables in f32 or bf16 alone") };
    let from = tensor(cuda, held, held.dtype())?;
    let name = if held.dtype() == DType::BF16 { "gather_bf16" } else { "gather_f32" };
    let args = args![x.address, from, d, ids.address(), ids.host.len(), d as u32, add];
    cuda.launch(name, Grid::of(x.len), args)
}

/// Rows of a matrix into out `[ids, d]`.
pub(super) fn gather_rows(cuda: &Cuda, out: &PartMut, x: Factor, ids: &Ids) -> Result<()> {
    same(out.len, ids.host.len(), x.cols)?;
    ids.check(x.rows)?;
    let args = args![out.address, x.address, x.stride, ids.address(), ids.host.len(), x.cols as u32, false];
    cuda.launch("gather_f32", Grid::of(out.len), args)
}

/// Adds the row of g of each token to the row that the token has, each number of a row by one thread in the order of g's rows.
pub(super) fn scatter(cuda: &Cuda, sum: Factor, grouped: &Grouped<Cuda>, g: Part) -> Result<()> {
    let Grouped { on_device: ids, starts, tokens, .. } = grouped;
    same(g.len, tokens.host.len(), sum.cols)?;
    ids.check(sum.rows)?;
    let grid = Grid::blocks(ids.host.len() as u32, (sum.cols as u32).div_ceil(THREADS));
    let [ids, starts, tokens] = [ids, starts, tokens].map(Ids::address);
    cuda.launch("scatter", grid, args![sum.address, sum.stride, ids, starts, tokens, g, sum.cols as u32])
}

/// Clears the rows that ids name.
pub(super) fn clear_rows(cuda: &Cuda, x: Factor, ids: &Ids) -> Result<()> {
    ids.check(x.rows)?;
    // A row that is named twice is cleared once: two threads never write the same number.
    let mut unique = ids.host.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let rows = unique.len();
    let uploaded = (rows < ids.host.len()).then(|| upload(cuda, &unique)).transpose()?;
    let on_device = uploaded.as_ref().map_or_else(|| ids.address(), |ids| address(ids, cuda.stream()));
    cuda.launch(
        "clear_rows",
        Grid::of(rows * x.cols),
        args![x.address, x.stride, on_device, rows, x.cols as u32],
    )
}
