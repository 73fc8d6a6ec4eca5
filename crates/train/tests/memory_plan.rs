//! What memory a step of a run is planned to need, beside what the driver of the emulated GPU counts in that step.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, dead_code)]

#[path = "launches/model.rs"]
mod model_folder;
#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use compute::{Backend, Cuda, Device, Products};
use data::Batch;
use mbti::{Axis, Type};
use model::{Checkpointing, Gradients, Network, Setup};
use model_folder::Shape;
use record::{Dtype, Optim, Quantization, TrainConfig, Trainable};
use train::{AdamW, Hyperparameters, MemoryPlan, Moments};

const PHI3: Shape = Shape { name: "narrow", hidden: 64, inner: 96, heads: 2, texts: 2, tokens: 0 };
const LAYERS: usize = 4;

/// Full in f32; in bf16 with moments in 8 bits and the optimizer's step by layers; LoRA; LoRA over 4 and over 8 bits, with
/// dropout and without.
fn ways() -> [(&'static str, TrainConfig); 6] {
    let full = TrainConfig { axes: vec![Axis::JudgingPerceiving], ..Default::default() };
    let bf16 =
        TrainConfig { dtype: Dtype::Bf16, optim: Optim::Adamw8bit, max_grad_norm: 0.0, ..full.clone() };
    let lora = TrainConfig { dtype: Dtype::Bf16, trainable: Trainable::Lora, ..full.clone() };
    let tf32 = TrainConfig { dtype: Dtype::Tf32, gradient_accumulation_steps: 2, ..full.clone() };
    let nf4 = TrainConfig { quantization: Quantization::Nf4, lora_dropout: 0.1, ..lora.clone() };
    let int8 = TrainConfig { quantization: Quantization::Int8, ..lora.clone() };
    [("f32", full), ("bf16", bf16), ("tf32", tf32), ("lora", lora), ("nf4", nf4), ("int8", int8)]
}

/// What a step takes of the GPU.
fn measured(
    gpu: &Cuda,
    folder: &Path,
    config: &TrainConfig,
    batch: &Batch,
    checkpointing: Checkpointing,
) -> MemoryPlan {
    let held = || gpu.memory().held.unwrap();
    let tables = held();
    let setup = Setup { device: Device::Cuda(gpu.clone()), ..Setup::of(config) };
    let mut network = model::start(folder, &setup).unwrap();
    network.products = match config.dtype {
        Dtype::Bf16 => Products::Bf16,
        Dtype::Tf32 => Products::Tf32,
        _ => Products::F32,
    };
    let weights = held() - tables;
    let hyperparameters = Hyperparameters { max_grad_norm: config.max_grad_norm, ..Default::default() };
    let moments = if config.optim == Optim::Adamw8bit { Moments::Blocks8 } else { Moments::F32 };
    let mut optimizer = AdamW::on(gpu, &mut network.weights, hyperparameters, moments).unwrap();
    let optimizer_bytes = held() - tables - weights;
    let by_pieces = config.max_grad_norm == 0.0 && config.gradient_accumulation_steps == 1;
    let mut gradients = match by_pieces {
        true => Gradients::by_pieces(gpu.clone(), &network.weights).unwrap(),
        false => Gradients::new(gpu.clone(), &network.weights).unwrap(),
    };
    let before = held();
    gpu.forget_peak();
    for _ in 0..2 {
        step(&network, config, batch, checkpointing, &mut optimizer, &mut gradients);
    }
    gpu.synchronise().unwrap();
    assert_eq!(held(), before, "a step leaves nothing behind");
    MemoryPlan {
        tables,
        weights,
        optimizer: optimizer_bytes,
        gradients: before - tables - weights - optimizer_bytes,
        activations: gpu.peak().unwrap() - before,
        allocations: 0,
    }
}

fn step(
    network: &Network,
    config: &TrainConfig,
    batch: &Batch,
    checkpointing: Checkpointing,
    optimizer: &mut AdamW<Cuda>,
    gradients: &mut Gradients<Cuda>,
) {
    let types: Vec<Type> =
        batch.rows.iter().map(|row| Type::all().nth(*row as usize % 16).unwrap()).collect();
    let weights = vec![[1.0, 1.0]];
    let targets = train::targets(&types, &network.head, &weights, &[types.len() as f64]);
    gradients.clear();
    if gradients.is_by_pieces() {
        let mut step = optimizer.by_pieces(&network.weights, 1e-4).unwrap();
        let take = &mut |gradients: &mut Gradients<Cuda>| step.take(gradients);
        let found = network.learn_by_pieces(batch, 0, checkpointing, &targets, gradients, take).unwrap();
        assert!(step.finish(&found).unwrap().is_finite());
        return;
    }
    let passes = 0..config.gradient_accumulation_steps;
    let losses: Vec<_> =
        passes.map(|_| network.learn(batch, 0, checkpointing, &targets, gradients).unwrap()).collect();
    assert!(optimizer.step_and_read(&network.weights, gradients, &losses, 1e-4).unwrap().is_finite());
}

/// The driver counts for all tests together, so that there is one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn held_to_the_gpu(folder: &Path, lengths: &[u32]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let gpu = Cuda::new(0).unwrap();
    for (name, config) in ways() {
        let shapes = train::shapes(folder, &config).unwrap();
        let batch = train::texts_of(&shapes, lengths);
        let mut activations = Vec::new();
        for checkpointing in Checkpointing::WAYS {
            let plan = train::planned(&shapes, &config, &batch, None, checkpointing).unwrap();
            let found = measured(&gpu, folder, &config, &batch, checkpointing);
            assert_eq!(MemoryPlan { allocations: 0, ..plan }, found, "{name}, {checkpointing:?}");
            activations.push(plan.activations);
        }
        // Of two layers, every other one computes again what all do: the last has nothing above it.
        let saves = activations.is_sorted_by(|more, less| more >= less) && activations[0] > activations[2];
        assert!(saves, "{name}: {activations:?}");
    }
}

#[test]
fn a_step_of_phi3_takes_what_is_planned_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    model_folder::write(folder.path(), PHI3, LAYERS);
    held_to_the_gpu(folder.path(), &[24, 17]);
}

#[test]
fn a_step_of_bert_takes_what_is_planned_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    held_to_the_gpu(&tiny_models::tiny_bert(folder.path()), &[31, 12, 8, 40]);
}
