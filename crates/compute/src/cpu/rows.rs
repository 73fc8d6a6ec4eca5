//! What is done element by element between the products.

use rayon::prelude::*;

use super::{View, ViewMut};
use crate::{Dropout, Element, math::drop_from};

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// Adds a bias to every row.
pub(super) fn add_bias(mut x: ViewMut, bias: &[f32]) {
    let rows = (PIECE / bias.len().max(1)).max(1);
    x.par_rows().with_min_len(rows).for_each(|x| add_to_rows(x, bias));
}

/// out = x.
pub(super) fn copy(mut out: ViewMut, x: View) {
    let rows = (PIECE / x.column_count().max(1)).max(1);
    out.par_rows().with_min_len(rows).enumerate().for_each(|(row, out)| out.copy_from_slice(x.row(row)));
}

pub(super) fn clear(x: &mut [f32]) {
    x.par_chunks_mut(4 * PIECE).for_each(|x| x.fill(0.0));
}

crate::vectorised! {
    pub(super) fn add_to_rows<'a>(x: &'a mut [f32], bias: &'a [f32]) {
        for row in x.chunks_exact_mut(bias.len().max(1)) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
    }
}

/// x = dropout(x + bias) + residual, for x and residual `[n, width]` and bias `[width]` or empty.
pub(super) fn close(x: &mut [f32], bias: &[f32], dropped: Option<Dropout>, residual: &[f32], width: usize) {
    let width = width.max(1);
    let piece = (PIECE / width).max(1) * width;
    let pieces = x.par_chunks_mut(piece).zip(residual.par_chunks(piece)).enumerate();
    pieces.for_each(|(number, (x, residual))| {
        close_rows(x, bias, dropped, residual, width, number * piece);
    });
}

crate::vectorised! {
    fn close_rows<'a>(
        x: &'a mut [f32],
        bias: &'a [f32],
        dropped: Option<Dropout>,
        residual: &'a [f32],
        width: usize,
        first: usize,
    ) {
        for (row, (x, residual)) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)).enumerate() {
            x.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
            if let Some(Dropout { p, seed }) = dropped {
                drop_from(x, (first + row * width) as u64, p, seed);
            }
            x.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
        }
    }
}

/// x += y.
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    x.par_chunks_mut(PIECE).zip(y.par_chunks(PIECE)).for_each(|(x, y)| add_to_rows(x, y));
}

/// x = dropout(y).
pub(super) fn copy_dropped(x: &mut [f32], y: &[f32], Dropout { p, seed }: Dropout) {
    x.par_chunks_mut(PIECE).zip(y.par_chunks(PIECE)).enumerate().for_each(|(piece, (x, y))| {
        x.copy_from_slice(y);
        drop_elements(x, (piece * PIECE) as u64, p, seed);
    });
}

/// Columns that one task sums.
const COLUMNS: usize = 64;

/// The sum of every column of g, each from the first row to the last.
pub(super) fn column_sums(g: View, sums: &mut [f32], add: bool) {
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(piece, sums)| {
        if !add {
            sums.fill(0.0);
        }
        let g = g.columns(piece * COLUMNS..piece * COLUMNS + sums.len());
        add_rows(sums, g);
    });
}

crate::vectorised! {
    fn add_rows<'a>(sums: &'a mut [f32], g: View<'a>) {
        for row in 0..g.row_count() {
            sums.iter_mut().zip(g.row(row)).for_each(|(sum, g)| *sum += g);
        }
    }
}

/// Multiplies by the mask of dropout in place, the same in either direction; with `None` nothing
/// happens.
pub fn drop_all<T: Element>(x: &mut [T], dropout: Option<Dropout>) {
    let Some(Dropout { p, seed }) = dropout else { return };
    x.par_chunks_mut(PIECE).enumerate().for_each(|(piece, x)| {
        drop_elements(x, (piece * PIECE) as u64, p, seed);
    });
}

crate::vectorised! {
    /// The same for elements from number `first` on.
    pub fn drop_elements<'a; T: [Element]>(x: &'a mut [T], first: u64, p: f32, seed: u64) {
        drop_from(x, first, p, seed);
    }
}
