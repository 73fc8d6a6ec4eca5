//! What a run is said to need at least, beside what it holds, and the settings that are proposed where it does not fit.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use compute::{Cpu, Moments};
use model::Setup;
use record::{Dtype, GradientCheckpointing, Optim, Quantization, TrainConfig, Trainable};

use super::{check_room, fewest_changes, least_mib, least_of_a_gpu_mib};
use crate::{AdamW, Gradients, Hyperparameters, MemoryOf};

const MIB: f64 = 1024.0 * 1024.0;

/// The tiny BERT with other sizes: `vocabulary` rows in its table, and layers `width` wide.
fn bert(folder: &Path, vocabulary: usize, width: usize) -> PathBuf {
    let folder = crate::tiny_models::tiny_bert(folder);
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let old = |name: &str| config[name].as_u64().unwrap() as usize;
    let sizes: HashMap<usize, usize> =
        [(old("vocab_size"), vocabulary), (old("hidden_size"), width), (old("intermediate_size"), 2 * width)]
            .into();
    assert_eq!(sizes.len(), 3, "sizes of the fixture are told apart by their values");
    for (name, size) in [("vocab_size", vocabulary), ("hidden_size", width), ("intermediate_size", 2 * width)]
    {
        config[name] = size.into();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    let path = folder.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let resized = tensors.into_iter().map(|(name, tensor)| {
        let shape: Vec<usize> = tensor.dims().iter().map(|size| *sizes.get(size).unwrap_or(size)).collect();
        (name, Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap())
    });
    candle_core::safetensors::save(&resized.collect(), path).unwrap();
    folder
}

/// What weights, gradients and the optimizer of a run hold once they are made.
fn held_mib(folder: &Path, config: &TrainConfig) -> f64 {
    let mut weights = model::start(folder, &Setup::of(config)).unwrap().weights;
    let moments = if config.optim == Optim::Adamw8bit { Moments::Blocks8 } else { Moments::F32 };
    let learning = weights.parameters.iter().map(|parameter| {
        let tensor = parameter.var.as_tensor();
        tensor.elem_count() * tensor.dtype().size_in_bytes()
    });
    let frozen = weights.frozen.iter().map(|(_, held)| held.bytes());
    let all: usize = learning.chain(frozen).sum();
    let gradients = Gradients::new(Cpu, &weights).unwrap().bytes();
    let optimizer = AdamW::new(&mut weights, Hyperparameters::default(), moments).state_bytes();
    (all + gradients + optimizer) as f64 / MIB
}

#[test]
fn what_a_run_needs_at_least_is_what_it_holds_of_weights_gradients_and_optimizer() {
    let home = tempfile::tempdir().unwrap();
    let folder = bert(home.path(), 3000, 128);
    for (trainable, quantization) in [
        (Trainable::All, Quantization::None),
        (Trainable::Head, Quantization::None),
        (Trainable::Lora, Quantization::None),
        (Trainable::Lora, Quantization::Int8),
        (Trainable::Lora, Quantization::Nf4),
    ] {
        for dtype in [Dtype::F32, Dtype::Bf16] {
            for optim in [Optim::Adamw, Optim::Adamw8bit] {
                let config = TrainConfig { trainable, quantization, dtype, optim, ..Default::default() };
                let (said, held) = (least_mib(&folder, &config).unwrap(), held_mib(&folder, &config));
                assert!((said / held - 1.0).abs() < 0.02, "{config:?}: {said} said, {held} held");
            }
        }
    }
}

#[test]
fn a_gpu_needs_room_for_a_step_too_and_the_less_the_more_layers_are_computed_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = bert(home.path(), 3000, 128);
    let needed = |gradient_checkpointing| {
        let config = TrainConfig { gradient_checkpointing, ..Default::default() };
        (least_mib(&folder, &config).unwrap(), least_of_a_gpu_mib(&folder, &config).unwrap())
    };
    let (held, all) = needed(GradientCheckpointing::All);
    let (_, none) = needed(GradientCheckpointing::None);
    assert!(held < all && all < none, "{held} held, {all} with all layers computed again, {none} with none");
    assert_eq!(needed(GradientCheckpointing::Auto).1, all);
}

#[test]
fn the_fewest_settings_that_make_a_run_fit_are_proposed_and_none_that_does_not_help() {
    let home = tempfile::tempdir().unwrap();
    // Its table is nearly all of it, and moments of tables are never in 8 bits.
    let tables = bert(home.path(), 20_000, 64);
    let all = TrainConfig::default();
    let proposed = |folder: &Path, config: &TrainConfig, share: f64| {
        let available = least_mib(folder, config).unwrap() * share;
        fewest_changes(folder, config, available).unwrap().join(",")
    };
    assert_eq!(proposed(&tables, &all, 0.6), "trainable=lora");
    assert_eq!(proposed(&tables, &all, 0.2), "dtype=bf16,trainable=lora");
    assert_eq!(proposed(&tables, &all, 0.001), "");
    // With the head alone learning, LoRA would need more.
    let head = TrainConfig { trainable: Trainable::Head, ..Default::default() };
    assert_eq!(proposed(&tables, &head, 0.8), "dtype=bf16");

    let home = tempfile::tempdir().unwrap();
    let layers = bert(home.path(), 100, 256);
    assert_eq!(proposed(&layers, &all, 0.9), "optim=adamw_8bit");
    let lora = TrainConfig { trainable: Trainable::Lora, ..Default::default() };
    assert_eq!(proposed(&layers, &lora, 0.7), "quantization=int8");
    assert_eq!(proposed(&layers, &lora, 0.55), "quantization=nf4");
}

#[test]
fn the_head_alone_is_proposed_where_nothing_else_is_enough() {
    let home = tempfile::tempdir().unwrap();
    // So small that LoRA's matrices are larger than the model's own.
    let tiny = bert(home.path(), 100, 8);
    let all = TrainConfig::default();
    let [whole, lora] = [Trainable::All, Trainable::Lora].map(|trainable| {
        let smallest = TrainConfig { trainable, dtype: Dtype::Bf16, optim: Optim::Adamw8bit, ..all.clone() };
        least_mib(&tiny, &smallest).unwrap()
    });
    let head = least_mib(&tiny, &TrainConfig { trainable: Trainable::Head, ..all.clone() }).unwrap();
    let available = head / 0.79;
    assert!(available < whole.min(lora), "{head} for the head, {whole} for all, {lora} for LoRA");
    assert_eq!(fewest_changes(&tiny, &all, available).unwrap(), ["trainable=head"]);
}

#[test]
fn a_run_that_does_not_fit_a_card_names_it_and_the_processor_where_that_has_room() {
    let home = tempfile::tempdir().unwrap();
    let model = bert(home.path(), 3000, 128);
    let refused = |available: f64, of: MemoryOf| {
        check_room(&model, &TrainConfig::default(), available, of).unwrap_err().problem()
    };
    let card = refused(0.01, MemoryOf::card(Some("Card"), "cuda:1"));
    assert!(card.message.contains("10 KiB can be had of Card (cuda:1)"), "{}", card.message);
    assert!(card.message.contains("The processor has room for it: device=cpu."), "{}", card.message);
    assert!(!card.message.contains("other programs"), "{}", card.message);
    let [card_name, settings, processor] =
        ["card", "settings", "processor"].map(|name| card.params[name].as_str());
    assert_eq!((card_name, settings, processor), ("Card (cuda:1)", "device=cpu", "device=cpu"));
    let own = refused(0.01, MemoryOf::Computer);
    assert!(
        own.message.contains("of this computer. Choose a smaller model, or close other"),
        "{}",
        own.message
    );
    assert_eq!(
        (&own.params["card"][..], &own.params["settings"][..], &own.params["processor"][..]),
        ("", "", "")
    );
}
