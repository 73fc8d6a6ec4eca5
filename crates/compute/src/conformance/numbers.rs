//! Numbers to compute with, here and on the device.

use crate::{Backend, Matrix};

/// Numbers from −1 to 1, the same each time.
pub fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|at| {
            let mixed = crate::math::mix((at as u64) << 20 ^ seed as u64);
            (mixed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The same in double precision.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

pub fn up<B: Backend>(backend: &B, values: &[f32], cols: usize) -> Matrix<B> {
    let rows = values.len().checked_div(cols).unwrap_or(0);
    let mut matrix = Matrix::new(backend, rows, cols).unwrap();
    backend.upload(values, matrix.all_mut().values).unwrap();
    matrix
}

pub fn down<B: Backend>(backend: &B, matrix: &Matrix<B>) -> Vec<f32> {
    backend.download(matrix.all().values).unwrap()
}

/// Each number within a share of the largest.
pub fn close(found: &[f32], expected: &[f64], share: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - expected).abs();
        assert!(off <= share * largest, "{what}: {found} at {at} where {expected} should be");
    }
}
