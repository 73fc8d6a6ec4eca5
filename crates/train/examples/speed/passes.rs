//! Passes over a batch of texts of equal length, and steps of the optimizer, on any device.

use std::path::Path;

use compute::{Backend, on_device};
use data::Batch;
use mbti::Type;
use model::Network;
use serde_json::{Value, json};
use train::{AdamW, Gradients, Hyperparameters};

use crate::{AXES, Case, WEIGHTS, Work, timed};

pub fn measure(case: &Case, folder: &Path) -> Value {
    let vocabulary = vocabulary(folder);
    let mut network = case.start(folder);
    on_device!(case.device().clone(), backend => run(&backend.clone(), case, &mut network, vocabulary))
}

fn run<B: Backend>(backend: &B, case: &Case, network: &mut Network, vocabulary: usize) -> Value {
    let (batch, types) = batch(case, vocabulary);
    let hyperparameters = Hyperparameters::default();
    let optimizer = case.work != Work::Dense;
    let mut optimizer = optimizer.then(|| {
        AdamW::on(backend, &mut network.weights, hyperparameters, case.moments)
            .expect("room for the optimizer")
    });
    let mut gradients = Gradients::new(backend.clone(), &network.weights).expect("room for gradients");
    if case.work == Work::Optimizer {
        for (place, parameter) in network.weights.parameters.iter().enumerate() {
            let gradient = parameter.var.ones_like().unwrap().affine(1e-3, 0.0).unwrap();
            gradients.add_tensor(place, &gradient).expect("a gradient");
        }
    }
    let mut once = || {
        if case.work != Work::Optimizer {
            gradients.clear();
            for number in 0..case.batches {
                add_pass(network, &batch, &types, 1 + number as u64, &mut gradients);
            }
        }
        if let Some(optimizer) = &mut optimizer {
            optimizer.step(&network.weights, &gradients, 1e-6).expect("a step");
        }
        backend.synchronise().expect("the device");
    };
    backend.forget_peak();
    let times = case.times.unwrap_or(if case.work == Work::Optimizer { 15 } else { 7 });
    let seconds = timed(times, &mut once);
    let peak = if case.device().is_cpu() { None } else { backend.peak() };
    let mut found =
        json!({ "seconds": seconds, "device_peak_mib": peak.map(|bytes| bytes as f64 / 1048576.0) });
    if case.profile {
        found["kernels"] = profile(case.device(), once);
    }
    found
}

/// Milliseconds and launches by kernel, those that take longest first; nothing on a processor.
#[cfg(feature = "cuda")]
fn profile(device: &compute::Device, once: impl FnOnce()) -> Value {
    let compute::Device::Cuda(gpu) = device else { return json!([]) };
    gpu.begin_profile();
    once();
    let mut spent: Vec<_> = gpu.end_profile().expect("a profile").into_iter().collect();
    spent.sort_by(|(_, a), (_, b)| b.milliseconds.total_cmp(&a.milliseconds));
    spent.iter().map(|(name, spent)| json!([name, spent.milliseconds, spent.launches])).collect()
}

#[cfg(not(feature = "cuda"))]
fn profile(_device: &compute::Device, _once: impl FnOnce()) -> Value {
    json!([])
}

/// Forward and backward of the weighted loss.
pub fn pass<B: Backend>(
    network: &Network,
    batch: &Batch,
    types: &[Type],
    seed: u64,
    gradients: &mut Gradients<B>,
) {
    gradients.clear();
    add_pass(network, batch, types, seed, gradients);
}

/// The same, added to the gradients that are there.
fn add_pass<B: Backend>(
    network: &Network,
    batch: &Batch,
    types: &[Type],
    seed: u64,
    gradients: &mut Gradients<B>,
) {
    let total = vec![types.iter().map(|mbti| f64::from(WEIGHTS[usize::from(mbti.class(AXES[0]))])).sum()];
    let targets = train::targets(types, &network.head, &vec![WEIGHTS], &total);
    network.learn(batch, seed, false, &targets, gradients).expect("a pass");
}

fn batch(case: &Case, vocabulary: usize) -> (Batch, Vec<Type>) {
    let (texts, tokens) = (case.texts, case.tokens);
    let types = (0..texts).map(|n| if n % 2 == 0 { "INFP" } else { "INFJ" }.parse().unwrap()).collect();
    let known = vocabulary.saturating_sub(3).clamp(1, 30_000);
    let batch = Batch {
        ids: (0..texts * tokens).map(|at| (at * 7919 % known) as u32 + 3).collect(),
        offsets: (0..=texts).map(|text| (text * tokens) as u32).collect(),
        rows: (0..texts as u32).collect(),
        tokens: (texts * tokens) as u64,
    };
    (batch, types)
}

/// How many tokens a model knows.
fn vocabulary(folder: &Path) -> usize {
    let config = crate::config(folder);
    config["vocab_size"].as_u64().expect("vocab_size") as usize
}
