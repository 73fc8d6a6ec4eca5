#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use compute::{Cpu, halves::join};
use half::bf16;
use model::{Gradients, Parameter, Weights};

use super::{AdamW, Hyperparameters, Kept, Moments};

/// Two parameters, a matrix that decays and a bias that does not, on Σ w² / 2.
fn weights() -> Weights {
    let parameter = |name: &str, values: &[f32], decays| Parameter {
        name: name.into(),
        var: Var::new(values, &Device::Cpu).unwrap(),
        decays,
        remainder: None,
    };
    vec![parameter("matrix", &[1.0, -2.0, 3.0], true), parameter("bias", &[0.5], false)].into()
}

/// Adds the gradients of a loss, which candle's graph makes.
fn add(gradients: &mut Gradients, weights: &Weights, loss: &Tensor) {
    let found = loss.backward().unwrap();
    for (place, parameter) in weights.parameters.iter().enumerate() {
        if let Some(gradient) = found.get(parameter.var.as_tensor()) {
            gradients.add_tensor(place, gradient).unwrap();
        }
    }
}

fn gradients(weights: &Weights) -> Gradients {
    let mut loss = Tensor::new(0f32, &Device::Cpu).unwrap();
    for parameter in &weights.parameters {
        loss = (loss + (parameter.var.sqr().unwrap() * 0.5).unwrap().sum_all().unwrap()).unwrap();
    }
    let mut gradients = Gradients::new(Cpu, weights).unwrap();
    add(&mut gradients, weights, &loss);
    gradients
}

#[test]
fn ten_steps_are_those_of_the_formula_in_double_precision() {
    let mut weights = weights();
    let h = Hyperparameters { weight_decay: 0.1, ..Default::default() };
    let mut optimizer = AdamW::new(&mut weights, h, Moments::F32);
    let mut expected = [1.0f64, -2.0, 3.0, 0.5];
    let (mut m, mut v) = ([0f64; 4], [0f64; 4]);
    for step in 1..=10 {
        optimizer.step(&weights, &gradients(&weights), 0.05).unwrap();
        let norm = expected.iter().map(|w| w * w).sum::<f64>().sqrt();
        let clip = (1.0 / (norm + 1e-6)).min(1.0);
        for i in 0..4 {
            let g = expected[i] * clip;
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (m, v) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
            if i < 3 {
                expected[i] *= 1.0 - 0.05 * 0.1;
            }
            expected[i] -= 0.05 * m / (v.sqrt() + 1e-8);
        }
    }
    let found: Vec<f32> = weights.parameters.iter().flat_map(|p| p.var.to_vec1::<f32>().unwrap()).collect();
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn parameters_with_a_multiple_of_the_rate_move_as_at_that_rate_and_the_others_as_before() {
    let h = Hyperparameters { weight_decay: 0.1, ..Default::default() };
    let moved = |rate: f64, multiplied: Option<f64>| {
        let mut weights = weights();
        let last = weights.parameters.last().unwrap().name.clone();
        let mut optimizer = AdamW::new(&mut weights, h, Moments::F32);
        if let Some(multiple) = multiplied {
            optimizer.multiply_rate(&weights, |name| name == last, multiple);
        }
        // Gradients of these weights and not of moved ones: what they are must not depend on the rate.
        let gradients = gradients(&weights);
        for _ in 0..5 {
            optimizer.step(&weights, &gradients, rate).unwrap();
        }
        weights.parameters.iter().map(|p| p.var.to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
    };
    let (usual, fast, both) = (moved(0.01, None), moved(0.08, None), moved(0.01, Some(8.0)));
    let last = usual.len() - 1;
    assert_eq!(both[..last], usual[..last]);
    for (found, expected) in both[last].iter().zip(&fast[last]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    assert_ne!(both[last], usual[last]);
}

#[test]
fn gradients_of_micro_batches_are_summed_and_their_norm_is_over_all_parameters() {
    let weights = weights();
    let mut sum = gradients(&weights);
    assert!((sum.norm().unwrap() - (14.25f64).sqrt()).abs() < 1e-6);
    let loss = weights.parameters[0].var.sum_all().unwrap();
    add(&mut sum, &weights, &loss);
    assert_eq!(sum.get(0).unwrap().unwrap().to_vec1::<f32>().unwrap(), [2.0, -1.0, 4.0]);
    assert_eq!(sum.get(1).unwrap().unwrap().to_vec1::<f32>().unwrap(), [0.5]);
}

#[test]
fn updates_smaller_than_a_step_of_bf16_add_up_to_what_they_are_in_32_bits() {
    let parameter = |tensor: Tensor| {
        let var = Var::from_tensor(&tensor).unwrap();
        Weights::from(vec![Parameter { name: "w".into(), var, decays: true, remainder: None }])
    };
    let start = Tensor::new(&[1.0f32, -2.0, 0.25], &Device::Cpu).unwrap();
    let (mut whole, mut halves) = (parameter(start.clone()), parameter(start.to_dtype(DType::BF16).unwrap()));
    let gradient = Tensor::new(&[0.3f32, -0.1, 0.2], &Device::Cpu).unwrap();
    for weights in [&mut whole, &mut halves] {
        let mut optimizer = AdamW::new(weights, Hyperparameters::default(), Moments::F32);
        for _ in 0..200 {
            let w = weights.parameters[0].var.as_tensor();
            let loss = (w.to_dtype(DType::F32).unwrap() * &gradient).unwrap().sum_all().unwrap();
            let mut gradients = Gradients::new(Cpu, weights).unwrap();
            add(&mut gradients, weights, &loss);
            // A two-hundredth of the smallest step of bf16 at 1.
            optimizer.step(weights, &gradients, 2e-5).unwrap();
        }
    }
    let values =
        |weights: &Weights| weights.parameters[0].var.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
    for (found, exact) in values(&halves).into_iter().zip(values(&whole)) {
        assert!((found - exact).abs() <= exact.abs() / 256.0, "{found} {exact}");
    }
    assert!(values(&whole)[0] < 0.9965 && values(&halves)[0] < 1.0);
}

/// A matrix with 4096 elements, whose moments are in 8 bits where that is asked for.
fn matrix(values: impl Fn(usize) -> f32, dtype: DType) -> Weights {
    let values: Vec<f32> = (0..4096).map(values).collect();
    let tensor = Tensor::from_vec(values, (64, 64), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    let remainder = (dtype == DType::BF16).then(|| vec![0; 4096]);
    let var = Var::from_tensor(&tensor).unwrap();
    vec![Parameter { name: "w".into(), var, decays: true, remainder }].into()
}

fn given(values: impl Fn(usize) -> f32) -> Gradients {
    let values: Vec<f32> = (0..4096).map(values).collect();
    let mut gradients = Gradients::new(Cpu, &matrix(|_| 0.0, DType::F32)).unwrap();
    gradients.add_tensor(0, &Tensor::from_vec(values, (64, 64), &Device::Cpu).unwrap()).unwrap();
    gradients
}

fn flat(weights: &Weights) -> Vec<f32> {
    let values = weights.parameters[0].var.to_dtype(DType::F32).unwrap();
    values.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

#[test]
fn weights_in_bf16_are_moved_in_8_bits_as_those_in_f32_are_to_the_last_bit() {
    for learning_rate in [1e-3, 2e-5] {
        // Exact in bf16, whose steps are 2⁻⁸ here: to leave it takes half of one in 200 updates.
        let start = |n: usize| 0.5 + (n % 128) as f32 / 256.0;
        let (mut whole, mut halves) = (matrix(start, DType::F32), matrix(start, DType::BF16));
        let optimizers = [&mut whole, &mut halves].map(|weights| {
            let mut optimizer = AdamW::new(weights, Hyperparameters::default(), Moments::Blocks8);
            for step in 0..200 {
                let gradients = given(|n| ((n * 31 + step) % 17) as f32 / 17.0 + 0.1);
                optimizer.step(weights, &gradients, learning_rate).unwrap();
            }
            optimizer
        });
        let upper = halves.parameters[0].var.flatten_all().unwrap().to_vec1::<bf16>().unwrap();
        let remainder = &optimizers[1].states[0].remainder;
        let joined: Vec<f32> = upper.iter().zip(remainder).map(|(upper, rest)| join(*upper, *rest)).collect();
        assert_eq!(joined, flat(&whole));
        assert_eq!(optimizers[0].states[0].moments, optimizers[1].states[0].moments);
        let moved = upper.iter().enumerate().filter(|(n, upper)| upper.to_f32() != start(*n)).count();
        assert!(moved * 2 > upper.len(), "{moved} of {} have left their bf16", upper.len());
    }
}

#[test]
fn in_8_bits_a_small_problem_is_learned_as_well_as_in_32() {
    // Linear regression: the loss is ‖X (W − T)‖² / 512.
    let at = |n: usize| ((n * 7919 + n / 64 * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    let x = Tensor::from_vec((0..64 * 64).map(|n| at(n * 3 + 1)).collect(), (64, 64), &Device::Cpu).unwrap();
    let target = x.matmul(matrix(at, DType::F32).parameters[0].var.as_tensor()).unwrap();
    let losses = [Moments::F32, Moments::Blocks8].map(|moments| {
        let mut weights = matrix(|_| 0.0, DType::F32);
        let mut optimizer = AdamW::new(&mut weights, Hyperparameters::default(), moments);
        let mut last = 0.0;
        let mut losses = Vec::new();
        for step in 0..300 {
            let off = (x.matmul(weights.parameters[0].var.as_tensor()).unwrap() - &target).unwrap();
            let loss = (off.sqr().unwrap().sum_all().unwrap() / 512.0).unwrap();
            last = loss.to_scalar::<f32>().unwrap();
            if step % 75 == 0 {
                losses.push(last);
            }
            let mut gradients = Gradients::new(Cpu, &weights).unwrap();
            add(&mut gradients, &weights, &loss);
            optimizer.step(&weights, &gradients, 1e-2 * f64::from(300 - step) / 300.0).unwrap();
        }
        losses.push(last);
        losses
    });
    eprintln!("losses every 75 steps in 32 bits {:?}, in 8 {:?}", losses[0], losses[1]);
    assert!(losses[0][4] < losses[0][0] / 20.0, "{losses:?}");
    for (in_32, in_8) in losses[0].iter().zip(&losses[1]) {
        assert!((in_8 - in_32).abs() <= 0.05 * in_32 + 0.002 * losses[0][0], "{losses:?}");
    }
}

#[test]
fn a_weight_whose_gradient_is_tiny_beside_its_blocks_makes_no_huge_step_when_it_is_0_for_once() {
    let mut weights = matrix(|_| 0.0, DType::F32);
    let h = Hyperparameters { max_grad_norm: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(&mut weights, h, Moments::Blocks8);
    let mut before = flat(&weights);
    for step in 0..51 {
        let tiny = if step < 50 { 1e-4 } else { 0.0 };
        optimizer.step(&weights, &given(|n| if n.is_multiple_of(256) { 1.0 } else { tiny }), 1e-3).unwrap();
        let after = flat(&weights);
        let furthest =
            before.iter().zip(&after).map(|(before, after)| (before - after).abs()).fold(0.0, f32::max);
        assert!(furthest <= 1.1e-3, "step {step} is {furthest} long");
        before = after;
    }
}

#[test]
fn moments_in_8_bits_take_2_03_bytes_an_element_and_a_remainder_2_more() {
    let bytes = |dtype, moments| {
        let mut weights = matrix(|_| 0.0, dtype);
        AdamW::new(&mut weights, Hyperparameters::default(), moments).state_bytes() as f64 / 4096.0
    };
    assert_eq!(bytes(DType::F32, Moments::F32), 8.0);
    assert_eq!(bytes(DType::BF16, Moments::F32), 10.0);
    assert_eq!(bytes(DType::F32, Moments::Blocks8), 2.031_25);
    assert_eq!(bytes(DType::BF16, Moments::Blocks8), 4.031_25);
}

#[test]
fn a_largest_norm_of_0_leaves_the_gradients_as_they_are() {
    let first = |max_grad_norm| {
        let mut weights = matrix(|_| 0.0, DType::F32);
        let h = Hyperparameters { max_grad_norm, ..Default::default() };
        let mut optimizer = AdamW::new(&mut weights, h, Moments::F32);
        let norm = optimizer.step(&weights, &given(|_| 0.5), 1e-3).unwrap();
        let Kept::F32 { first, .. } = &optimizer.states[0].moments else { unreachable!() };
        (norm, first[0])
    };
    assert_eq!(first(0.0), (32.0, 0.1 * 0.5));
    assert_eq!(first(1.0).0, 32.0);
    assert!((first(1.0).1 - 0.1 * 0.5 / 32.0).abs() < 1e-8);
}

#[test]
fn gradients_that_are_not_finite_move_nothing_and_count_no_step() {
    for (bad, moments) in [(f32::NAN, Moments::F32), (f32::INFINITY, Moments::Blocks8)] {
        let mut weights = matrix(|n| n as f32, DType::F32);
        let mut optimizer = AdamW::new(&mut weights, Hyperparameters::default(), moments);
        optimizer.step(&weights, &given(|n| n as f32), 1e-3).unwrap();
        let (before, states) = (flat(&weights), optimizer.states.clone());
        let norm = optimizer.step(&weights, &given(|n| if n == 5 { bad } else { 1.0 }), 1e-3).unwrap();
        assert!(!norm.is_finite());
        assert!(flat(&weights) == before && optimizer.states == states && optimizer.step == 1);
    }
}
