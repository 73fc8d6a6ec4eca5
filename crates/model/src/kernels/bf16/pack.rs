//! Copies of matrices, rounded to bf16, in the order in which tiles read them.

use candle_core::{Result, bail};
use rayon::prelude::*;

use crate::kernels::{View, rounded};

/// Pairs that are turned at a time where the columns are contiguous: 64 bytes of each.
const TURNED: usize = 16;

/// Copies a matrix `[k, width]` into panels of `WIDTH` columns: pair after pair of its rows, and of
/// each pair for every column the two elements side by side, the upper row's in the lower half of 32
/// bits. What is missing at the ends is zero.
///
/// An element of `panels` is such a pair by its bits, no number: they are buffers of `f32` since those
/// are kept from step to step. Rows or columns of the matrix have to be contiguous.
pub(super) fn pack<const WIDTH: usize>(matrix: View, panels: &mut [f32], pairs: usize) -> Result<()> {
    if matrix.col_stride != 1 && matrix.row_stride != 1 {
        bail!("neither rows nor columns of a factor are contiguous");
    }
    panels.par_chunks_exact_mut((WIDTH * pairs).max(1)).enumerate().for_each(|(place, panel)| {
        let columns = matrix.columns(place * WIDTH..(place + 1) * WIDTH);
        if matrix.col_stride == 1 {
            pack_rows::<WIDTH>(panel, columns);
        } else {
            pack_columns::<WIDTH>(panel, columns.turned());
        }
    });
    Ok(())
}

/// Two elements by the bits of their roundings.
#[inline(always)]
fn pair(first: f32, second: f32) -> f32 {
    let [first, second] = [first, second].map(|x| u32::from(rounded(x).to_bits()));
    f32::from_bits(second << 16 | first)
}

/// A panel out of contiguous rows.
fn pack_rows<const WIDTH: usize>(panel: &mut [f32], rows: View) {
    for (place, line) in panel.chunks_exact_mut(WIDTH).enumerate() {
        let (first, second) = (rows.row(2 * place), rows.row(2 * place + 1));
        // The last row of an odd number stands alone.
        let second = if second.is_empty() { &[0.0; WIDTH][..first.len()] } else { second };
        line[first.len()..].fill(0.0);
        pair_up(line, first, second);
    }
}

crate::vectorised! {
    fn pair_up<'a>(line: &'a mut [f32], first: &'a [f32], second: &'a [f32]) {
        line.iter_mut().zip(first).zip(second).for_each(|((pair, first), second)| *pair = self::pair(*first, *second));
    }
}

/// A panel out of contiguous columns, which are the rows of `columns`.
fn pack_columns<const WIDTH: usize>(panel: &mut [f32], columns: View) {
    let width = columns.row_count().min(WIDTH);
    let mut block = [[0f32; TURNED]; WIDTH];
    for (place, lines) in panel.chunks_mut(WIDTH * TURNED).enumerate() {
        for (column, block) in block.iter_mut().take(width).enumerate() {
            let rest = columns.row(column).get(2 * TURNED * place..).unwrap_or_default();
            pair_off(block, rest);
        }
        for (at, line) in lines.chunks_exact_mut(WIDTH).enumerate() {
            line.iter_mut().zip(&block).for_each(|(pair, column)| *pair = column[at]);
        }
    }
}

crate::vectorised! {
    /// The elements of a column two by two, zeros past its end.
    fn pair_off<'a>(pairs: &'a mut [f32; TURNED], column: &'a [f32]) {
        match column.first_chunk::<{ 2 * TURNED }>() {
            Some(column) => {
                for (at, pair) in pairs.iter_mut().enumerate() {
                    *pair = self::pair(column[2 * at], column[2 * at + 1]);
                }
            }
            None => {
                for (at, pair) in pairs.iter_mut().enumerate() {
                    let element = |at: usize| column.get(at).copied().unwrap_or(0.0);
                    *pair = self::pair(element(2 * at), element(2 * at + 1));
                }
            }
        }
    }
}
