//! A product of two square matrices alone, as those with frozen weights are: what a device's products reach at best.

use candle_core::{DType, Tensor};
use compute::{Backend, Held, Matrix, NormKind, NormOf, on_device};
use model::Products;
use serde_json::{Value, json};

use crate::{Case, timed};

pub fn measure(case: &Case) -> Value {
    on_device!(case.device(), backend => run(backend, case))
}

fn run<B: Backend>(backend: &B, case: &Case) -> Value {
    let (d, products) = (case.tokens, case.products);
    let numbers = |seed: usize| -> Vec<f32> {
        (0..d * d).map(|at| ((at * 7919 + at / 7 + seed) % 2003) as f32 / 1001.0 - 1.0).collect()
    };
    let weight = Tensor::from_vec(numbers(0), (d, d), backend.device()).expect("a weight");
    let dtype = if products == Products::Bf16 { DType::BF16 } else { DType::F32 };
    let weight = Held::from(weight.to_dtype(dtype).expect("its type"));
    let (mut from, mut x) = (matrix(backend, d), matrix(backend, d));
    backend.upload(&numbers(1), from.all_mut().values).expect("numbers");
    // A norm writes them as products read them.
    backend.read_by(&mut x.buffer, &weight, products).expect("room");
    let ones = Tensor::ones(d, DType::F32, backend.device()).expect("ones");
    let norm = NormOf { kind: NormKind::RootMeanSquare, weight: &ones, bias: None, eps: 1e-5 };
    backend.norm(norm, x.all_mut().values, from.all().values, Vec::new()).expect("a norm");
    let seconds = timed(case.times.unwrap_or(15), || {
        backend
            .product_held(from.all_mut(), x.all(), &weight, false, 1.0, false, products)
            .expect("a product");
        backend.synchronise().expect("the device");
    });
    json!({ "seconds": seconds, "tflop_per_second": 2.0 * (d as f64).powi(3) / seconds / 1e12 })
}

fn matrix<B: Backend>(backend: &B, d: usize) -> Matrix<B> {
    Matrix::new(backend, d, d).expect("room")
}
