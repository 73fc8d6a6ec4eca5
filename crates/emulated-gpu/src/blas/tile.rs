//! The product itself, on packed factors: tiles of [`ROWS`] × [`COLS`] sums that stay in registers, over pieces of
//! [`DEPTH`] of the inner dimension.
//!
//! Each sum of a piece is made by fused multiplications and additions in the order of the inner dimension, and the pieces
//! are added in order: neither tiles nor threads nor the processor's vectors change a bit of it.
#![allow(unsafe_code)] // One call of a function that is compiled for processors with AVX2 and FMA.

use super::element::Sum;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Columns of a tile.
pub(super) const COLS: usize = 4;
/// The inner dimension of a piece.
const DEPTH: usize = 256;

/// A factor in panels of `WIDTH` rows: for each panel, for each index of the inner dimension, its rows one after another.
/// The last panel is filled up with zeros.
pub(super) struct Packed<T> {
    values: Vec<T>,
    depth: usize,
}

/// Packs `count` rows (of the left factor; columns of the right) of length `depth`; `at` gives the place of an element.
pub(super) fn pack<T: Sum, const WIDTH: usize>(
    from: &[T],
    count: usize,
    depth: usize,
    at: impl Fn(usize, usize) -> usize,
) -> Packed<T> {
    let mut values = vec![T::default(); count.div_ceil(WIDTH) * WIDTH * depth];
    for (panel, values) in values.chunks_exact_mut((WIDTH * depth).max(1)).enumerate() {
        let rows = WIDTH.min(count - panel * WIDTH);
        for (inner, values) in values.chunks_exact_mut(WIDTH).enumerate() {
            for (row, value) in values[..rows].iter_mut().enumerate() {
                *value = from[at(panel * WIDTH + row, inner)];
            }
        }
    }
    Packed { values, depth }
}

/// The product of packed factors, column by column (`rows` × `cols`), on up to `threads` threads.
pub(super) fn multiply<T: Sum>(
    left: &Packed<T>,
    right: &Packed<T>,
    rows: usize,
    cols: usize,
    threads: usize,
) -> Vec<T> {
    let mut product = vec![T::default(); rows * cols];
    let panels = cols.div_ceil(COLS);
    let operations = 2 * rows as u64 * cols as u64 * left.depth as u64;
    // A thread is worth its start from about a millisecond of work on.
    let threads = threads.min(1 + (operations >> 23) as usize).min(panels).max(1);
    let share = panels.div_ceil(threads);
    if threads == 1 {
        columns(left, right, rows, 0, &mut product);
        return product;
    }
    std::thread::scope(|scope| {
        for (number, product) in product.chunks_mut(share * COLS * rows).enumerate() {
            scope.spawn(move || columns(left, right, rows, number * share, product));
        }
    });
    product
}

/// The columns of the product from panel `first` of the right factor on, as many as `product` holds.
fn columns<T: Sum>(left: &Packed<T>, right: &Packed<T>, rows: usize, first: usize, product: &mut [T]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both.
        return unsafe { columns_by_vectors(left, right, rows, first, product) };
    }
    columns_of(left, right, rows, first, product);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn columns_by_vectors<T: Sum>(
    left: &Packed<T>,
    right: &Packed<T>,
    rows: usize,
    first: usize,
    product: &mut [T],
) {
    columns_of(left, right, rows, first, product);
}

#[inline(always)]
fn columns_of<T: Sum>(left: &Packed<T>, right: &Packed<T>, rows: usize, first: usize, product: &mut [T]) {
    let depth = left.depth;
    for start in (0..depth).step_by(DEPTH) {
        let end = depth.min(start + DEPTH);
        for (panel, product) in product.chunks_mut(COLS * rows).enumerate() {
            let b = &right.values[(first + panel) * COLS * depth..][COLS * start..COLS * end];
            for row in (0..rows).step_by(ROWS) {
                let a = &left.values[row * depth..][ROWS * start..ROWS * end];
                let sums = tile(a, b);
                for (column, sums) in product.chunks_mut(rows).zip(&sums) {
                    for (to, sum) in column[row..].iter_mut().zip(sums) {
                        *to = *to + *sum;
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn tile<T: Sum>(a: &[T], b: &[T]) -> [[T; ROWS]; COLS] {
    let mut sums = [[T::default(); ROWS]; COLS];
    for (a, b) in a.as_chunks::<ROWS>().0.iter().zip(b.as_chunks::<COLS>().0) {
        for (sums, b) in sums.iter_mut().zip(b) {
            for (sum, a) in sums.iter_mut().zip(a) {
                *sum = a.fused(*b, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn factors(rows: usize, cols: usize, depth: usize) -> (Vec<f32>, Vec<f32>) {
        let value = |i: usize| (crate::scrambled(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        ((0..rows * depth).map(value).collect(), (0..cols * depth).map(|i| value(i + 1_000_000)).collect())
    }

    fn product(rows: usize, cols: usize, depth: usize, threads: usize) -> Vec<f32> {
        let (a, b) = factors(rows, cols, depth);
        let left = pack::<f32, ROWS>(&a, rows, depth, |i, p| i * depth + p);
        let right = pack::<f32, COLS>(&b, cols, depth, |j, p| j * depth + p);
        multiply(&left, &right, rows, cols, threads)
    }

    #[test]
    fn products_of_all_shapes_are_those_of_double_precision() {
        for (rows, cols, depth) in
            [(1, 1, 1), (16, 4, 256), (17, 5, 257), (3, 9, 700), (40, 1, 0), (33, 31, 100)]
        {
            let (a, b) = factors(rows, cols, depth);
            let got = product(rows, cols, depth, 1);
            for j in 0..cols {
                for i in 0..rows {
                    let terms = (0..depth).map(|p| f64::from(a[i * depth + p]) * f64::from(b[j * depth + p]));
                    let wanted: f64 = terms.sum();
                    let error = (f64::from(got[j * rows + i]) - wanted).abs();
                    assert!(error < 1e-6 * (depth as f64).max(1.0), "{rows} {cols} {depth}: {error}");
                }
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let bits = |threads| product(130, 130, 600, threads).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(1), bits(2));
        assert_eq!(bits(1), bits(3));
    }

    #[test]
    fn vectors_change_no_bit() {
        let (a, b) = factors(40, 10, 300);
        let left = pack::<f32, ROWS>(&a, 40, 300, |i, p| i * 300 + p);
        let right = pack::<f32, COLS>(&b, 10, 300, |j, p| j * 300 + p);
        let (mut plain, mut vectors) = (vec![0.0; 400], vec![0.0; 400]);
        columns_of(&left, &right, 40, 0, &mut plain);
        columns(&left, &right, 40, 0, &mut vectors);
        assert_eq!(plain, vectors);
    }
}
