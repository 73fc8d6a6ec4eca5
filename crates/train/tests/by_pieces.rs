//! Steps that take the gradients a piece of the network at a time are the ordinary steps, to the last bit, in less memory.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use compute::{Backend, Cpu};
use data::{Batch, Example, Part, Table};
use mbti::{Axis, Type};
use model::{LoraSetup, Network, Setup, Targets};
use record::{Dtype, Event, Optim, TrainConfig, Trainable};
use tiny_models::tiny_bert;
use train::{AdamW, Gradients, Hyperparameters, Inputs, Kept, Moments, Progress, Wish};

const AXES: [Axis; 1] = [Axis::JudgingPerceiving];

/// A Llama with matrices that are large enough for moments in 8 bits, and no two layers alike.
fn random_llama(folder: &Path) -> PathBuf {
    let folder = folder.join("random-llama");
    std::fs::create_dir_all(&folder).unwrap();
    let config = r#"{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 64,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    let mut tensors = HashMap::new();
    let mut seed = 1u32;
    let mut add = |name: String, shape: &[usize]| {
        let values = (0..shape.iter().product::<usize>()).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.3 + if shape.len() == 1 { 1.0 } else { 0.0 }
        });
        tensors.insert(name, Tensor::from_vec(values.collect(), shape, &Device::Cpu).unwrap());
    };
    add("model.embed_tokens.weight".into(), &[40, 64]);
    for layer in 0..3 {
        let mut add = |part: &str, shape: &[usize]| add(format!("model.layers.{layer}.{part}.weight"), shape);
        add("input_layernorm", &[64]);
        add("self_attn.q_proj", &[64, 64]);
        add("self_attn.k_proj", &[32, 64]);
        add("self_attn.v_proj", &[32, 64]);
        add("self_attn.o_proj", &[64, 64]);
        add("post_attention_layernorm", &[64]);
        add("mlp.gate_proj", &[96, 64]);
        add("mlp.up_proj", &[96, 64]);
        add("mlp.down_proj", &[64, 96]);
    }
    add("model.norm.weight".into(), &[64]);
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    folder
}

/// Other tokens in each step, so that other rows of the tables have a gradient.
fn batch(step: u32) -> Batch {
    let ids = (0..13).map(|at| 4 + (step * 5 + at * (3 + step)) % 24).collect();
    Batch { ids, offsets: vec![0, 8, 13], rows: vec![0, 1], tokens: 13 }
}

fn targets(network: &Network) -> Targets {
    let types: Vec<Type> = ["INFP", "ESTJ"].map(|name| name.parse().unwrap()).into();
    let weights = vec![[0.5, 0.5]; network.head.axes.len()];
    train::targets(&types, &network.head, &weights, &[1.0])
}

fn hyperparameters() -> Hyperparameters {
    Hyperparameters { max_grad_norm: 0.0, ..Default::default() }
}

fn bits(network: &Network) -> Vec<Vec<u32>> {
    let of = |tensor: &Tensor| -> Vec<u32> {
        let values = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    network.weights.parameters.iter().map(|parameter| of(parameter.var.as_tensor())).collect()
}

/// Numbers in the largest piece of a network, by the names of what learns.
fn largest_piece(network: &Network) -> usize {
    let mut pieces: BTreeMap<String, usize> = BTreeMap::new();
    for parameter in &network.weights.parameters {
        let layer = parameter.name.split('.').find(|part| part.parse::<usize>().is_ok());
        let embeddings = parameter.name.contains("embed");
        let piece = layer.unwrap_or(if embeddings { "embeddings" } else { "head" });
        *pieces.entry(piece.to_owned()).or_default() += parameter.var.elem_count();
    }
    pieces.into_values().max().unwrap()
}

#[test]
fn weights_moments_and_norms_are_those_of_the_ordinary_step_and_the_gradients_of_one_piece_exist_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (bert, llama) = (tiny_bert(folder.path()), random_llama(folder.path()));
    let plain = Setup::plain(&AXES, 3);
    let bf16 = Setup { dtype: Dtype::Bf16, ..plain.clone() };
    let lora = LoraSetup { dropout: 0.1, ..Default::default() };
    let lora = Setup { trainable: Trainable::Lora, lora, ..plain.clone() };
    let head = Setup { trainable: Trainable::Head, ..plain.clone() };
    let ways = [
        ("f32", &plain, Moments::F32, false),
        ("f32, checkpointed", &plain, Moments::F32, true),
        ("8 bits", &plain, Moments::Blocks8, false),
        ("bf16", &bf16, Moments::F32, false),
        ("bf16 in 8 bits, checkpointed", &bf16, Moments::Blocks8, true),
        ("LoRA", &lora, Moments::F32, false),
        ("LoRA, checkpointed", &lora, Moments::F32, true),
        ("head", &head, Moments::F32, false),
    ];
    for (model, name) in [(&bert, "bert"), (&llama, "llama")] {
        for (way, setup, moments, checkpointing) in ways {
            let start = || {
                let mut network = model::start(model, setup).unwrap();
                let optimizer = AdamW::new(&mut network.weights, hyperparameters(), moments);
                (network, optimizer)
            };
            let ((one, mut whole), (other, mut by_pieces)) = (start(), start());
            let mut all = one.gradients().unwrap();
            let mut piece = Gradients::by_pieces(Cpu, &other.weights).unwrap();
            assert_eq!(piece.bytes(), 4 * largest_piece(&other), "{name}, {way}");
            assert_eq!(other.weights.largest_piece(), largest_piece(&other), "{name}, {way}");
            assert!(setup.trainable == Trainable::Head || piece.bytes() < all.bytes(), "{name}, {way}");
            for number in 0..6 {
                all.clear();
                let batch = batch(number);
                let rate = 1e-2 / f64::from(number + 1);
                let seed = u64::from(number);
                let first = one.learn(&batch, seed, checkpointing, &targets(&one), &mut all).unwrap();
                let norm = whole.step(&one.weights, &all, rate).unwrap();
                let mut step = by_pieces.by_pieces(&other.weights, rate).unwrap();
                let second = other.learn_by_pieces(
                    &batch,
                    seed,
                    checkpointing,
                    &targets(&other),
                    &mut piece,
                    &mut |gradients| step.take(gradients),
                );
                assert!(step.has_moved());
                let read = step.finish(&second.unwrap()).unwrap();
                assert_eq!(read.norm.to_bits(), norm.to_bits(), "{name}, {way}, step {number}");
                assert_eq!(read.losses, first[..], "{name}, {way}, step {number}");
                assert!(bits(&one) == bits(&other), "{name}, {way}: weights after step {number}");
            }
            assert!(whole.states == by_pieces.states && whole.step == by_pieces.step, "{name}, {way}");
            let in_8_bits = whole.states.iter().any(|s| matches!(s.moments, Kept::Blocks8 { .. }));
            assert_eq!(in_8_bits, name == "llama" && moments == Moments::Blocks8, "{name}, {way}");
            let halved = whole.states.iter().any(|state| !state.remainder.is_empty());
            assert_eq!(halved, way.starts_with("bf16"), "{name}, {way}");
        }
    }
}

#[test]
fn gradients_that_nobody_takes_are_not_overwritten_by_those_of_the_next_piece() {
    let folder = tempfile::tempdir().unwrap();
    let network = model::start(&tiny_bert(folder.path()), &Setup::plain(&AXES, 3)).unwrap();
    let mut piece = Gradients::by_pieces(Cpu, &network.weights).unwrap();
    let found = network.learn(&batch(0), 0, false, &targets(&network), &mut piece);
    assert!(found.unwrap_err().to_string().contains("were not taken"));
}

#[test]
fn a_step_by_pieces_clips_nothing_and_is_not_counted_where_the_loss_or_a_gradient_is_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = model::start(&tiny_bert(folder.path()), &Setup::plain(&AXES, 3)).unwrap();
    let mut clipping = AdamW::new(&mut network.weights, Hyperparameters::default(), Moments::F32);
    assert!(clipping.by_pieces(&network.weights, 1e-3).is_none());
    let mut optimizer = AdamW::new(&mut network.weights, hyperparameters(), Moments::F32);
    let mut piece = Gradients::by_pieces(Cpu, &network.weights).unwrap();
    let step = optimizer.by_pieces(&network.weights, 1e-3).unwrap();
    let mut infinite = Cpu.buffer(1).unwrap();
    infinite[0] = f32::INFINITY;
    assert!(!step.has_moved() && !step.finish(&infinite).unwrap().is_finite());
    let not_finite = Targets { values: vec![f32::NAN; 2], axes: 1 };
    let mut step = optimizer.by_pieces(&network.weights, 1e-3).unwrap();
    let take = &mut |gradients: &mut _| step.take(gradients);
    let found = network.learn_by_pieces(&batch(0), 0, false, &not_finite, &mut piece, take).unwrap();
    assert!(step.has_moved() && step.finish(&found).unwrap().norm.is_nan());
    assert_eq!(optimizer.step, 0);
}

struct Told {
    losses: Vec<(u64, u64)>,
    gradients_mib: f64,
    weights: Vec<u8>,
}

fn run(home: &Path, model: &Path, name: &str, config: &TrainConfig) -> Told {
    let examples = (0..40)
        .map(|n| Example {
            author: Some(format!("a{}", n / 2)),
            text: format!("text {} about {n}", "abcdefgh".repeat(n % 5 + 1)),
            mbti: Type::all().nth(n * 7 % 16).unwrap(),
        })
        .collect();
    let table = Table::of(examples);
    let (valid, train): (Vec<u32>, Vec<u32>) = table.rows().iter().partition(|&n| n % 5 == 0);
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let inputs = Inputs {
        run: 1,
        config,
        model_folder: model,
        run_folder: &folder,
        words_folder: None,
        train: Part { table: &table, rows: &train },
        valid: Part { table: &table, rows: &valid },
        made_up: false,
        resume: None,
    };
    let mut told = Told { losses: Vec::new(), gradients_mib: 0.0, weights: Vec::new() };
    train::run(&inputs, &mut |progress| {
        match progress {
            Progress::Event(Event::Step(step)) => {
                told.losses.push((step.loss.to_bits(), step.grad_norm.unwrap().to_bits()));
            }
            Progress::Event(Event::Estimate(estimate)) => told.gradients_mib = estimate.gradients_mib,
            _ => {}
        }
        Ok(Wish::GoOn)
    })
    .unwrap();
    told.weights = std::fs::read(folder.join("model/model.safetensors")).unwrap();
    told
}

#[test]
fn a_run_that_clips_nothing_steps_by_pieces_and_is_the_run_whose_limit_is_out_of_reach() {
    let home = tempfile::tempdir().unwrap();
    let model = tiny_bert(home.path());
    let config = |max_grad_norm, gradient_accumulation_steps| TrainConfig {
        axes: vec![Axis::JudgingPerceiving, Axis::ExtraversionIntroversion],
        max_steps: Some(8),
        per_device_train_batch_size: 3,
        learning_rate: Some(1e-3),
        optim: Optim::Adamw8bit,
        dtype: Dtype::Bf16,
        max_grad_norm,
        gradient_accumulation_steps,
        ..Default::default()
    };
    let by_pieces = run(home.path(), &model, "by-pieces", &config(0.0, 1));
    // So large a limit multiplies by 1.
    let whole = run(home.path(), &model, "whole", &config(1e6, 1));
    assert_eq!(by_pieces.losses, whole.losses);
    assert!(by_pieces.weights == whole.weights);
    assert!(by_pieces.gradients_mib < 0.6 * whole.gradients_mib, "{}", by_pieces.gradients_mib);
    // With several micro-batches a step there is room for all.
    let accumulated = run(home.path(), &model, "accumulated", &config(0.0, 2));
    assert_eq!(accumulated.gradients_mib, whole.gradients_mib);
}
