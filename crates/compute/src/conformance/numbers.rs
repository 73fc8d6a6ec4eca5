//! Numbers to compute with, here and on the device.

use candle_core::Tensor;

use crate::{Angles, Backend, Held, LowRank, Matrix, Products};

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

pub fn angles_of<B: Backend>(backend: &B, cos: &[f32], sin: &[f32], half: usize) -> Angles<B> {
    let [cos_on, sin_on] = backend.bring(&[], &[cos, sin]).unwrap().1.try_into().ok().unwrap();
    Angles { cos: cos_on, sin: sin_on, total: cos.len() / half, half }
}

/// Each number within a share of the largest.
pub fn close(found: &[f32], expected: &[f64], share: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let off = first_off(found, expected, share);
    let (at, found, expected) = off.unwrap_or_default();
    assert!(off.is_none(), "{what}: {found} at {at} where {expected} should be");
}

/// Whether they are.
pub fn is_close(found: &[f32], expected: &[f64], share: f64) -> bool {
    found.len() == expected.len() && first_off(found, expected, share).is_none()
}

fn first_off(found: &[f32], expected: &[f64], share: f64) -> Option<(usize, f32, f64)> {
    let largest = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
    let all = found.iter().zip(expected).enumerate().map(|(at, (found, expected))| (at, *found, *expected));
    all.into_iter().find(|(_, found, expected)| {
        let off = (f64::from(*found) - expected).abs();
        off > share * largest || off.is_nan()
    })
}

/// What LoRA adds to `n` rows of `cols` numbers, on the device and in double precision.
pub struct Addition<B: Backend> {
    low: Matrix<B>,
    weight: Held,
    turned: bool,
    pub exact: Vec<f64>,
}

impl<B: Backend> Addition<B> {
    pub fn new(backend: &B, n: usize, cols: usize, rank: usize, turned: bool) -> Addition<B> {
        let (low, w) = (numbers(n * rank, 11), numbers(rank * cols, 12));
        let at = |column: usize, number: usize| {
            f64::from(if turned { w[number * cols + column] } else { w[column * rank + number] })
        };
        let of = |place: usize| -> f64 {
            let (row, column) = (place / cols, place % cols);
            (0..rank).map(|number| f64::from(low[row * rank + number]) * at(column, number)).sum()
        };
        let exact = (0..n * cols).map(of).collect();
        let shape = if turned { (rank, cols) } else { (cols, rank) };
        let weight = Tensor::from_vec(w, shape, backend.device()).unwrap().into();
        Addition { low: up(backend, &low, rank), weight, turned, exact }
    }

    /// Of several ranks, in both ways.
    pub fn some(backend: &B, n: usize, cols: usize) -> Vec<Addition<B>> {
        [(1, false), (8, true), (19, false)]
            .map(|(rank, turned)| Self::new(backend, n, cols, rank, turned))
            .into()
    }

    pub fn added(&self) -> Option<LowRank<'_, B>> {
        let Addition { low, weight, turned, .. } = self;
        Some(LowRank { low: low.all(), weight, turned: *turned, products: Products::F32 })
    }

    /// x and what is added, exactly and as the device is given it.
    pub fn before(&self, sum: &[f64]) -> Vec<f32> {
        sum.iter().zip(&self.exact).map(|(x, added)| (x - added) as f32).collect()
    }
}
