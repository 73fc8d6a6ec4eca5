//! What is done element by element between the products.

use rayon::prelude::*;

use crate::ops::{drop_elements, math::drop_from};

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// Probability and seed of dropout, where it happens.
pub(super) type Dropout = Option<(f32, u64)>;

/// Adds a bias to every row.
pub(super) fn add_bias(x: &mut [f32], bias: &[f32]) {
    let width = bias.len().max(1);
    let rows = (PIECE / width).max(1);
    x.par_chunks_mut(rows * width).for_each(|x| add_to_rows(x, bias));
}

crate::vectorised! {
    fn add_to_rows<'a>(x: &'a mut [f32], bias: &'a [f32]) {
        for row in x.chunks_exact_mut(bias.len().max(1)) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
    }
}

/// x = dropout(x + bias) + residual, for x and residual `[n, width]` and bias `[width]` or empty.
pub(super) fn close(x: &mut [f32], bias: &[f32], dropped: Dropout, residual: &[f32], width: usize) {
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
        dropped: Dropout,
        residual: &'a [f32],
        width: usize,
        first: usize,
    ) {
        for (row, (x, residual)) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)).enumerate() {
            x.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
            if let Some((p, seed)) = dropped {
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
pub(super) fn copy_dropped(x: &mut [f32], y: &[f32], p: f32, seed: u64) {
    x.par_chunks_mut(PIECE).zip(y.par_chunks(PIECE)).enumerate().for_each(|(piece, (x, y))| {
        x.copy_from_slice(y);
        drop_elements(x, (piece * PIECE) as u64, p, seed);
    });
}
