//! Σ x².

use rayon::prelude::*;

use super::View;

/// Numbers that one task works on; fixed, so that sums do not depend on the number of threads.
const PIECE: usize = 32 * 1024;

/// Σ x², in double precision and in an order that does not depend on the number of threads.
pub fn sum_of_squares<T: Into<f32> + Copy + Sync>(values: &[T]) -> f64 {
    let piece = |piece: &[T]| of_piece(piece);
    values.par_chunks(PIECE).map(piece).collect::<Vec<f64>>().iter().sum()
}

/// The same of some rows of a matrix.
pub(super) fn of_rows(x: View, rows: &[u32]) -> f64 {
    rows.iter().map(|&row| of_piece(x.row(row as usize))).sum()
}

crate::vectorised! {
    /// In eight lanes, as many as the widest vectors have.
    fn of_piece<'a; T: [Into<f32> + Copy]>(values: &'a [T]) -> f64 {
        let mut lanes = [0f64; 8];
        let chunks = values.chunks_exact(8);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                let x = f64::from(x.into());
                *lane += x * x;
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(x.into()).powi(2);
        }
        lanes.iter().sum()
    }
}
