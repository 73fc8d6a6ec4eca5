//! The product of two matrices, by the crate that candle itself uses for it.
#![allow(unsafe_code)]

use candle_core::{Result, bail};
use gemm::{Parallelism, gemm};

use super::{View, ViewMut};
use crate::timing::timed;

/// On how many threads a product is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// On the one that asks for it, which is itself one of many.
    One,
    /// On all of the pool's.
    All,
}

/// `out = scale · a b`, or `out += scale · a b` with `add`, for out `[m, n]`, a `[m, k]` and b
/// `[k, n]`, all in `f32`.
pub fn product(out: &mut ViewMut, a: View, b: View, scale: f32, add: bool, threads: Threads) -> Result<()> {
    check(out, a, b)?;
    let (m, n, k) = (out.rows, out.cols, a.cols);
    if m == 0 || n == 0 {
        return Ok(());
    }
    let threads = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    // Strides come from lengths of slices, which are never more than isize::MAX.
    let [out_stride, a_rows, a_cols, b_rows, b_cols] =
        [out.stride, a.row_stride, a.col_stride, b.row_stride, b.col_stride].map(|stride| stride as isize);
    let multiply = || {
        // SAFETY: all elements of a and b were found, by `check`, to lie in the slices that they borrow, out borrows
        // its own mutably and for itself alone, and the shapes fit one another.
        unsafe {
            gemm(
                m,
                n,
                k,
                out.first,
                1,
                out_stride,
                add,
                a.values.as_ptr(),
                a_cols,
                a_rows,
                b.values.as_ptr(),
                b_cols,
                b_rows,
                1.0,
                scale,
                false,
                false,
                false,
                threads,
            );
        }
    };
    match threads {
        Parallelism::None => multiply(),
        _ => timed("products", multiply),
    }
    Ok(())
}

/// That the shapes fit one another, and that all elements of both factors are there.
pub(super) fn check(out: &ViewMut, a: View, b: View) -> Result<()> {
    let (m, n) = (out.rows, out.cols);
    if a.rows != m || b.cols != n || b.rows != a.cols || !a.is_inside() || !b.is_inside() {
        bail!("{}×{} by {}×{} is not {m}×{n}", a.rows, a.cols, b.rows, b.cols);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * 7 + seed * 13) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn a_product_of_parts_and_of_turned_matrices_is_that_of_the_definition() {
        // Columns 1 to 4 of a 6 × 5 matrix, turned: 3 × 6; by rows 2 to 8 of a 9 × 4 one.
        let (a, b) = (numbers(30, 1), numbers(36, 2));
        let (left, right) = (View::new(&a, 5).columns(1..4).turned(), View::new(&b, 4).rows(2..8));
        for threads in [Threads::One, Threads::All] {
            let mut out = numbers(3 * 8, 3);
            let before = out.clone();
            for (add, scale) in [(false, 0.5), (true, 2.0)] {
                let (_, mut part) = ViewMut::new(&mut out, 8).split_columns(4);
                product(&mut part, left, right, scale, add, threads).unwrap();
            }
            for row in 0..3 {
                for column in 0..4 {
                    let exact: f32 = (0..6).map(|k| a[k * 5 + 1 + row] * b[(k + 2) * 4 + column]).sum();
                    assert_eq!(out[row * 8 + 4 + column], 2.5 * exact);
                    assert_eq!(out[row * 8 + column], before[row * 8 + column], "what is beside it stays");
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error_and_no_panic() {
        let (a, b) = (numbers(6, 1), numbers(6, 2));
        let mut out = vec![0f32; 4];
        let mut try_with = |a: View, b: View| {
            product(&mut ViewMut::new(&mut out, 2), a, b, 1.0, false, Threads::One).is_ok()
        };
        assert!(try_with(View::new(&a, 3), View::new(&b, 2)));
        assert!(!try_with(View::new(&a, 2), View::new(&b, 2)));
        assert!(!try_with(View::new(&a, 3), View::new(&b, 3)));
        assert!(!try_with(View { rows: 2, cols: 3, row_stride: 9, ..View::new(&a, 3) }, View::new(&b, 2)));
        product(
            &mut ViewMut::new(&mut [], 0),
            View::new(&[], 0),
            View::new(&[], 0),
            1.0,
            false,
            Threads::All,
        )
        .unwrap();
    }
}
