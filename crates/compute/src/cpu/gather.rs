//! Rows of tables and matrices by their ids, and their gradients.

use candle_core::{CpuStorage, Result, Storage, bail};

use super::{Cpu, View, ViewMut};
use crate::{Element, Grouped, Held};

/// Rows of a table by their ids into x `[ids, d]`, or added to it.
pub(super) fn gather(x: &mut [f32], table: &Held, ids: &[u32], add: bool) -> Result<()> {
    let (rows, d) = table.dims()?;
    if x.len() != ids.len() * d {
        bail!("{} rows of {d} numbers are not {}", ids.len(), x.len());
    }
    let Held::Plain(tensor) = table else { bail!("rows are taken of tables in f32 or bf16 alone") };
    let (storage, layout) = tensor.storage_and_layout();
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("a table is not contiguous") };
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => add_rows(x, &values[from..to], ids, (rows, d), add),
        Storage::Cpu(CpuStorage::BF16(values)) => add_rows(x, &values[from..to], ids, (rows, d), add),
        _ => bail!("a table is held in {:?} and not on the CPU in f32 or bf16", tensor.dtype()),
    }
}

fn add_rows<T: Element>(
    x: &mut [f32],
    table: &[T],
    ids: &[u32],
    (rows, d): (usize, usize),
    add: bool,
) -> Result<()> {
    for (x, &id) in x.chunks_exact_mut(d.max(1)).zip(ids) {
        let from = id as usize * d;
        let Some(row) = table.get(from..from + d) else { bail!("id {id} is not in a table of {rows} rows") };
        if add {
            x.iter_mut().zip(row).for_each(|(x, row)| *x += row.widen());
        } else {
            x.iter_mut().zip(row).for_each(|(x, row)| *x = row.widen());
        }
    }
    Ok(())
}

/// Rows of a matrix by their ids into out `[ids, d]`.
pub(super) fn gather_rows(out: &mut [f32], x: View, ids: &[u32]) -> Result<()> {
    let (rows, d) = (x.row_count(), x.column_count());
    if out.len() != ids.len() * d {
        bail!("{} rows of {d} numbers are not {}", ids.len(), out.len());
    }
    for (out, &id) in out.chunks_exact_mut(d.max(1)).zip(ids) {
        if id as usize >= rows {
            bail!("row {id} is not in a matrix of {rows} rows");
        }
        out.copy_from_slice(x.row(id as usize));
    }
    Ok(())
}

/// Adds the row of g of each token to the row that the token has.
pub(super) fn scatter(mut sum: ViewMut, grouped: &Grouped<Cpu>, g: &[f32]) -> Result<()> {
    let (rows, d) = (sum.row_count(), sum.column_count());
    let Grouped { on_device: ids, starts, tokens, .. } = grouped;
    if g.len() != tokens.len() * d {
        bail!("{} rows of {d} numbers are not {}", tokens.len(), g.len());
    }
    for (&id, range) in ids.iter().zip(starts.windows(2)) {
        if id as usize >= rows {
            bail!("id {id} is not in a table of {rows} rows");
        }
        let sum = sum.row(id as usize);
        for &token in &tokens[range[0] as usize..range[1] as usize] {
            let g = &g[token as usize * d..(token as usize + 1) * d];
            sum.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
        }
    }
    Ok(())
}
