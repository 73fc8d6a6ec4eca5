//! AdamW in 8 bits beside the plain reference in tests/reference/adamw_8bit.py.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use compute::{
    Cpu,
    cpu::adamw::CodeBook,
    halves::{join, split},
};
use model::{Gradients, Parameter, Weights};
use serde_json::Value;

use super::{AdamW, Blocks, Hyperparameters, Kept, Moments};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/fixtures/adamw_8bit.json");

fn fixture() -> Value {
    serde_json::from_slice(&std::fs::read(FIXTURE).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// 32 bits that look random.
fn mixed(place: u32, step: u32, salt: u32) -> u32 {
    let mut h = place.wrapping_mul(2_654_435_761);
    h = h.wrapping_add(step.wrapping_mul(2_246_822_519)).wrapping_add(salt.wrapping_mul(3_266_489_917));
    h = (h ^ h >> 15).wrapping_mul(2_246_822_519);
    h = (h ^ h >> 13).wrapping_mul(3_266_489_917);
    h ^ h >> 16
}

/// Numbers in [−0.5, 0.5).
fn even(place: u32, step: u32, salt: u32) -> f32 {
    (mixed(place, step, salt) >> 8) as f32 / (1 << 24) as f32 - 0.5
}

/// Towards a target, with noise, of sizes from 1 to 2⁻¹¹, and an eighth of them 0 in each step.
fn gradient(parameter: &Parameter, step: u32, salt: u32) -> Tensor {
    let var = &parameter.var;
    let values: Vec<f32> = var.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let of = |(place, w): (usize, f32)| {
        let place = place as u32;
        let size = 0.5f32.powi((mixed(place, 1 << 20, salt) % 12) as i32);
        let zero = mixed(place, step, salt + 7).is_multiple_of(8);
        if zero { 0.0 } else { ((w - even(place, 1 << 21, salt)) + even(place, step, salt)) * size }
    };
    let values: Vec<f32> = values.into_iter().enumerate().map(of).collect();
    Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap().to_dtype(var.dtype()).unwrap()
}

fn start(case: &Value, salt: u32) -> Parameter {
    let shape: Vec<usize> =
        case["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
    let values: Vec<f32> =
        (0..shape.iter().product::<usize>()).map(|place| even(place as u32, 0, salt) * 0.25).collect();
    let (tensor, remainder) = if case["halved"].as_bool().unwrap() {
        let (upper, remainder): (Vec<_>, Vec<_>) = values.into_iter().map(split).unzip();
        (Tensor::from_vec(upper, &shape[..], &Device::Cpu).unwrap(), Some(remainder))
    } else {
        (Tensor::from_vec(values, &shape[..], &Device::Cpu).unwrap(), None)
    };
    let name = case["name"].as_str().unwrap().to_owned();
    Parameter { name, var: Var::from_tensor(&tensor).unwrap(), decays: shape.len() >= 2, remainder }
}

/// The weights of all tensors in 32 bits, and the optimizer, after these steps.
fn steps(cases: &[Value], steps: u32) -> (Vec<Vec<f32>>, AdamW) {
    let parameters: Vec<Parameter> = cases.iter().zip(0..).map(|(case, salt)| start(case, salt)).collect();
    let mut weights = Weights::from(parameters);
    let mut optimizer = AdamW::new(&mut weights, Hyperparameters::default(), Moments::Blocks8);
    for step in 1..=steps {
        let mut gradients = Gradients::new(Cpu, &weights).unwrap();
        for (place, (parameter, salt)) in weights.parameters.iter().zip(0..).enumerate() {
            gradients.add_tensor(place, &gradient(parameter, step, salt)).unwrap();
        }
        let learning_rate = 1e-3 * f64::from(steps + 1 - step) / f64::from(steps);
        optimizer.step(&weights, &gradients, learning_rate).unwrap();
    }
    let values = weights.parameters.iter().zip(&optimizer.states).map(|(parameter, state)| {
        let flat = parameter.var.flatten_all().unwrap();
        match parameter.var.dtype() {
            DType::BF16 => {
                let upper = flat.to_vec1::<half::bf16>().unwrap();
                upper.into_iter().zip(&state.remainder).map(|(upper, rest)| join(upper, *rest)).collect()
            }
            _ => flat.to_vec1::<f32>().unwrap(),
        }
    });
    (values.collect(), optimizer)
}

#[test]
fn the_code_books_are_those_of_the_reference_to_the_last_bit() {
    let fixture = fixture();
    assert_eq!(numbers(&fixture["signed"]), CodeBook::signed().values);
    assert_eq!(numbers(&fixture["unsigned"]), CodeBook::unsigned().values);
}

#[test]
fn a_hundred_steps_in_8_bits_give_the_weights_scales_and_codes_of_the_reference() {
    let fixture = fixture();
    let cases = fixture["tensors"].as_array().unwrap();
    let (weights, optimizer) = steps(cases, fixture["steps"].as_u64().unwrap() as u32);
    for ((case, weights), state) in cases.iter().zip(&weights).zip(&optimizer.states) {
        let name = case["name"].as_str().unwrap();
        let relative =
            |found: f32, exact: f32| f64::from((found - exact).abs()) / f64::from(exact.abs().max(1e-3));
        let every_fifth = weights.iter().step_by(5).zip(numbers(&case["weights"]));
        let furthest = every_fifth.map(|(found, exact)| relative(*found, exact)).fold(0.0, f64::max);
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        let off = (sum - case["sum"].as_f64().unwrap()).abs();
        eprintln!("{name}: weights differ by {furthest:e} at most, their sums by {off:e}");
        assert!(furthest <= 1e-6 && off <= 1e-6 * weights.len() as f64, "{name}: {furthest:e} {off:e}");

        let in_8_bits = case["in_8_bits"].as_bool().unwrap();
        let Kept::Blocks8 { first, second } = &state.moments else {
            assert!(!in_8_bits, "{name}");
            continue;
        };
        assert!(in_8_bits, "{name}");
        for (moment, blocks) in [("first", first), ("second", second)] {
            let (others, widest, scale) = compare(case, moment, blocks);
            eprintln!("{name}: {others} codes of the {moment} moment differ, scales by {scale:e} at most");
            // The power of a double may be rounded otherwise on another machine. A code then is one off.
            assert!(others * 1000 <= blocks.codes.len() && widest <= 1 && scale <= 1e-6, "{name} {moment}");
        }
    }
}

/// How many codes are others, by how much at most, and the largest relative difference of scales.
fn compare(case: &Value, moment: &str, blocks: &Blocks) -> (usize, u8, f64) {
    let hex = case[moment].as_str().unwrap();
    let codes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
    let off: Vec<u8> = codes.zip(&blocks.codes).map(|(code, found)| code.abs_diff(*found)).collect();
    assert_eq!(off.len(), blocks.codes.len());
    let scales = numbers(&case[format!("{moment}_scale")]);
    assert_eq!(scales.len(), blocks.scales.len());
    let scale =
        scales.iter().zip(&blocks.scales).map(|(scale, found)| f64::from((found / scale - 1.0).abs()));
    (
        off.iter().filter(|&&off| off > 0).count(),
        off.into_iter().max().unwrap_or(0),
        scale.fold(0.0, f64::max),
    )
}

#[test]
fn steps_in_8_bits_do_not_depend_on_the_number_of_threads() {
    // Larger than one task's piece, and no multiple of it.
    let case =
        |name: &str, halved: bool| serde_json::json!({"name": name, "shape": [257, 301], "halved": halved});
    let cases = [case("whole", false), case("halved", true)];
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| steps(&cases, 5))
    };
    let ((one, of_one), (four, of_four)) = (run(1), run(4));
    assert!(one == four && of_one.states == of_four.states);
}
