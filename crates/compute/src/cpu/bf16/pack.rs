//! Copies of matrices, rounded to bf16, in the order in which tiles read them.

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::avx512;
use crate::cpu::{View, rounding::rounded};

/// Copies a matrix `[k, width]` into panels of `WIDTH` columns: pair after pair of its rows, and of
/// each pair for every column the two elements side by side, the upper row's in the lower half of 32
/// bits. What is missing at the ends is zero.
///
/// An element of `panels` is such a pair by its bits, no number: they are buffers of `f32` since those
/// are kept from step to step. Rows or columns of the matrix have to be contiguous. `by_processor` may
/// be true only where [`avx512::is_there`] is.
pub(super) fn pack<const WIDTH: usize>(
    matrix: View,
    panels: &mut [f32],
    pairs: usize,
    by_processor: bool,
) -> Result<()> {
    if matrix.col_stride != 1 && matrix.row_stride != 1 {
        bail!("neither rows nor columns of a factor are contiguous");
    }
    panels.par_chunks_exact_mut((WIDTH * pairs).max(1)).enumerate().for_each(|(place, panel)| {
        let columns = matrix.columns(place * WIDTH..(place + 1) * WIDTH);
        match (matrix.col_stride == 1, by_processor) {
            (true, true) => avx512::pack_rows(panel, columns, WIDTH),
            (true, false) => pack_rows(panel, columns, WIDTH),
            (false, true) => avx512::pack_columns(panel, columns.turned(), WIDTH),
            (false, false) => pack_columns(panel, columns.turned(), WIDTH),
        }
    });
    Ok(())
}

/// Two elements by the bits of their roundings.
fn pair(first: f32, second: f32) -> f32 {
    let [first, second] = [first, second].map(|x| u32::from(rounded(x).to_bits()));
    f32::from_bits(second << 16 | first)
}

/// A panel of `width` columns out of contiguous rows.
fn pack_rows(panel: &mut [f32], rows: View, width: usize) {
    for (place, line) in panel.chunks_exact_mut(width).enumerate() {
        let (first, second) = (rows.row(2 * place), rows.row(2 * place + 1));
        pair_up(line, |column| (first.get(column), second.get(column)));
    }
}

/// The same out of contiguous columns, which are the rows of `columns`.
fn pack_columns(panel: &mut [f32], columns: View, width: usize) {
    for (place, line) in panel.chunks_exact_mut(width).enumerate() {
        pair_up(line, |column| {
            let column = columns.row(column);
            (column.get(2 * place), column.get(2 * place + 1))
        });
    }
}

fn pair_up<'a>(line: &mut [f32], elements: impl Fn(usize) -> (Option<&'a f32>, Option<&'a f32>)) {
    for (column, place) in line.iter_mut().enumerate() {
        let (first, second) = elements(column);
        *place = pair(first.copied().unwrap_or(0.0), second.copied().unwrap_or(0.0));
    }
}
