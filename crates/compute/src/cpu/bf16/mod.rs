//! The product of two matrices in `f32` by the dot products in bf16 that some processors have
//! (AVX512-BF16): each factor is rounded to bf16, every sum is in `f32`.
//!
//! As in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34, 2008):
//! both matrices are cut along k into blocks, and copied, rounded, into panels that a tile of the
//! result reads from end to end. A tile's sums stay in registers for a whole block.

mod avx512;
mod choice;
mod pack;
mod tile;

use candle_core::Result;
use rayon::prelude::*;

pub use self::choice::{bf16_products_are_faster, processor_multiplies_bf16};
use self::{
    pack::pack,
    tile::{COLS, ROWS, Tile},
};
use super::{Threads, View, ViewMut, buffer, product, product::check};
use crate::{Products, timing::timed};

/// Pairs of k in a block. A panel of the right matrix then takes 24 KiB, which is less than the
/// innermost cache of the processors that this is for.
const PAIRS: usize = 192;

/// Rows of the result that one task makes at a time: of the left matrix 168 KiB a block, which stay in
/// the second cache while panels of the right one pass.
const TASK_ROWS: usize = 16 * ROWS;

/// Below any of these a product is too small for copies of its factors to pay off.
const LEAST: [usize; 3] = [ROWS, COLS, 16];

/// `out = s a b`, or `out += s a b` with `add`, on all threads; for out `[m, n]`, a `[m, k]` and b `[k, n]`,
/// where rows or columns of a and of b are contiguous. Products that are small are made in `f32`.
pub fn product_in(
    products: Products,
    out: &mut ViewMut,
    a: View,
    b: View,
    scale: f32,
    add: bool,
) -> Result<()> {
    let small = [out.rows, out.cols, a.cols].iter().zip(LEAST).any(|(&size, least)| size < least);
    // None of the large ones is scaled.
    if products != Products::Bf16 || small || scale != 1.0 {
        return product(out, a, b, scale, add, Threads::All);
    }
    product_bf16(out, a, b, add, avx512::is_there())
}

fn product_bf16(out: &mut ViewMut, a: View, b: View, add: bool, by_processor: bool) -> Result<()> {
    check(out, a, b)?;
    let (m, n, k) = (out.rows, out.cols, a.cols);
    if k == 0 && !add {
        out.fill(0.0);
    }
    timed("products", || {
        let pairs = k.div_ceil(2);
        // Blocks of nearly the same length, rather than a short last one.
        let block = pairs.div_ceil(pairs.div_ceil(PAIRS).max(1)).max(1);
        let mut left = buffer(m.div_ceil(ROWS) * ROWS * block);
        let mut right = buffer(n.div_ceil(COLS) * COLS * block);
        for first in (0..pairs).step_by(block) {
            let length = block.min(pairs - first);
            let range = 2 * first..(2 * (first + length)).min(k);
            let left = &mut left[..m.div_ceil(ROWS) * ROWS * length];
            let right = &mut right[..n.div_ceil(COLS) * COLS * length];
            let (one, other) = rayon::join(
                || pack::<ROWS>(a.columns(range.clone()).turned(), left, length, by_processor),
                || pack::<COLS>(b.rows(range.clone()), right, length, by_processor),
            );
            one.and(other)?;
            multiply(out.rows_mut(0..m), left, right, length, add || first > 0, by_processor);
        }
        Ok(())
    })
}

/// The product of one block of each matrix, in panels of so many pairs, into out or added to it.
fn multiply(out: ViewMut, left: &[f32], right: &[f32], pairs: usize, add: bool, by_processor: bool) {
    let mut tasks = Vec::new();
    let mut columns = out;
    // Tasks on the same columns stand beside one another, so that a panel is read while it is near.
    for right in right.chunks_exact(COLS * pairs) {
        let (mut rows, others) = columns.split_columns(COLS);
        columns = others;
        for left in left.chunks(TASK_ROWS * pairs) {
            let (task, below) = rows.split_rows(TASK_ROWS);
            rows = below;
            tasks.push((task, left, right));
        }
    }
    tasks.into_par_iter().for_each(|(mut out, left, right)| {
        let mut tile = Tile::default();
        for (place, left) in left.chunks_exact(ROWS * pairs).enumerate() {
            tile.fill(left, right, by_processor);
            tile.write(&mut out, place * ROWS, add);
        }
    });
}

#[cfg(test)]
mod tests;
