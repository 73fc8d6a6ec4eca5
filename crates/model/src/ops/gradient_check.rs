//! Analytic gradients against central differences, for the tests of the operations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Result, Tensor, Var};
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
    let weights = random(f(inputs).unwrap().dims(), 99);
    let all = gradients(inputs, &f);
    let value = |inputs: &[Tensor]| -> f64 {
        let result = f(inputs).unwrap();
        let terms = (result * &weights).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        terms.into_iter().map(f64::from).sum()
    };
    const STEP: f32 = 1.0 / 128.0;
    for (place, input) in inputs.iter().enumerate() {
        let analytic = &all[place];
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

/// Σ r f(inputs) with fixed random r: its gradients for every input, as `f32`.
fn gradients(inputs: &[Tensor], f: &impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Vec<f32>> {
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let result = f(&tracked).unwrap();
    let weights = random(result.dims(), 99);
    let loss = (result.to_dtype(DType::F32).unwrap() * weights).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let flat = |var: &Var| grads.get(var).expect("a gradient").to_dtype(DType::F32).unwrap().flatten_all();
    vars.iter().map(|var| flat(var).unwrap().to_vec1().unwrap()).collect()
}

/// Checks value and gradients of `f` in bf16, for the inputs that `halves` says, against those in
/// f32 for the same inputs rounded to bf16: they differ by no more than a few roundings.
pub(crate) fn check_bf16(inputs: &[Tensor], halves: &[bool], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let round = |(input, &half): (&Tensor, &bool)| {
        if half { input.to_dtype(DType::BF16).unwrap() } else { input.clone() }
    };
    let rounded: Vec<Tensor> = inputs.iter().zip(halves).map(round).collect();
    let widened: Vec<Tensor> = rounded.iter().map(|input| input.to_dtype(DType::F32).unwrap()).collect();
    let value = |inputs: &[Tensor]| {
        f(inputs).unwrap().to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(f(&rounded).unwrap().dtype(), DType::BF16, "what is computed in bf16 stays in it");
    let close = |found: &[f32], exact: &[f32], what: &str| {
        let largest = exact.iter().fold(0f32, |largest, x| largest.max(x.abs())).max(0.1);
        for (found, exact) in found.iter().zip(exact) {
            assert!((found - exact).abs() <= largest / 64.0, "{what}: {found} against {exact}");
        }
    };
    close(&value(&rounded), &value(&widened), "value");
    for (place, (found, exact)) in gradients(&rounded, &f).iter().zip(gradients(&widened, &f)).enumerate() {
        assert!(found.iter().any(|&g| g != 0.0), "input {place} gets no gradient at all");
        close(found, &exact, &format!("gradient of input {place}"));
    }
}
