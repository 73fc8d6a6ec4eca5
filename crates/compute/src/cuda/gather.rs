//! Rows of tables and matrices by their ids, and their gradients.

use candle_core::{DType, Result, bail};

use super::{
    buffer::{Ids, Part, PartMut, address, tensor, upload},
    device::{Cuda, Grid, THREADS, args},
    factor::Factor,
};
use crate::Held;

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
    let args = args![x.address, from, d, ids.address(cuda), ids.host.len(), d as u32, add];
    cuda.launch(name, Grid::of(x.len), args)
}

/// Rows of a matrix into out `[ids, d]`.
pub(super) fn gather_rows(cuda: &Cuda, out: &PartMut, x: Factor, ids: &Ids) -> Result<()> {
    same(out.len, ids.host.len(), x.cols)?;
    ids.check(x.rows)?;
    let args =
        args![out.address, x.address, x.stride, ids.address(cuda), ids.host.len(), x.cols as u32, false];
    cuda.launch("gather_f32", Grid::of(out.len), args)
}

/// The places of equal ids together: each id once, where its places begin, and the places, in their order.
fn grouped(ids: &[u32]) -> [Vec<u32>; 3] {
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_by_key(|&at| ids[at as usize]);
    let (mut unique, mut groups) = (Vec::new(), Vec::new());
    for (number, &at) in order.iter().enumerate() {
        let id = ids[at as usize];
        if unique.last() != Some(&id) {
            unique.push(id);
            groups.push(number as u32);
        }
    }
    groups.push(ids.len() as u32);
    [unique, groups, order]
}

/// Adds each row of g to the row that its id names, each number of a row by one thread in the order of g's rows.
pub(super) fn scatter(cuda: &Cuda, sum: Factor, ids: &Ids, g: Part) -> Result<()> {
    same(g.len, ids.host.len(), sum.cols)?;
    ids.check(sum.rows)?;
    let grouped = grouped(&ids.host);
    let rows = grouped[0].len() as u32;
    // One upload for all three.
    let all = upload(cuda, &grouped.concat())?;
    let first = address(&all, cuda.stream());
    let starts = [0, grouped[0].len(), grouped[0].len() + grouped[1].len()];
    let [unique, groups, order] = starts.map(|start| first + 4 * start as u64);
    let grid = Grid::blocks(rows, (sum.cols as u32).div_ceil(THREADS));
    cuda.launch("scatter", grid, args![sum.address, sum.stride, unique, groups, order, g, sum.cols as u32])
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
    let on_device = uploaded.as_ref().map_or_else(|| ids.address(cuda), |ids| address(ids, cuda.stream()));
    cuda.launch(
        "clear_rows",
        Grid::of(rows * x.cols),
        args![x.address, x.stride, on_device, rows, x.cols as u32],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_equal_ids_stand_together_in_their_order() {
        assert_eq!(
            grouped(&[8, 0, 3, 8, 8, 1]),
            [vec![0, 1, 3, 8], vec![0, 1, 2, 3, 6], vec![1, 5, 2, 0, 3, 4]]
        );
        assert_eq!(grouped(&[]), [vec![], vec![0], vec![]]);
    }
}
