//! Analytic gradients against central differences, for the tests of the operations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Values from −1 to 1, decided by the seed.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| random.next_u32() as f32 / 2f32.powi(31) - 1.0).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Checks the gradients of Σ r f(inputs), with fixed random r, for every input: the analytic
/// ones against central differences with a step of 1/128, whose own error is far below the
/// tolerance for functions as smooth as these.
pub(crate) fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let result = f(&tracked).unwrap();
    let weights = random(result.dims(), 99);
    let loss = |result: Tensor| (result * &weights).unwrap().sum_all().unwrap();
    let grads = loss(result).backward().unwrap();
    let value = |inputs: &[Tensor]| -> f64 {
        let result = f(inputs).unwrap();
        let terms = (result * &weights).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        terms.into_iter().map(f64::from).sum()
    };
    const STEP: f32 = 1.0 / 128.0;
    for (place, input) in inputs.iter().enumerate() {
        let analytic = grads.get(vars[place].as_tensor()).expect("a gradient").flatten_all().unwrap();
        let analytic = analytic.to_vec1::<f32>().unwrap();
        let flat = input.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let largest = analytic.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        assert!(largest > 0.0, "input {place} gets no gradient at all");
        for element in 0..flat.len() {
            let moved = |by: f32| {
                let mut flat = flat.clone();
                flat[element] += by;
                let mut inputs = inputs.to_vec();
                inputs[place] = Tensor::from_vec(flat, input.shape(), &Device::Cpu).unwrap();
                value(&inputs)
            };
            let numeric = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
            let difference = (f64::from(analytic[element]) - numeric).abs();
            assert!(
                difference < 2e-3 * f64::from(largest).max(1.0),
                "input {place}, element {element}: {} against {numeric}",
                analytic[element]
            );
        }
    }
}
