//! Gradients of batch after batch in the same memory, with and without accumulation.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use data::Batch;
use mbti::{Axis, Type};
use model::{Checkpointing, LoraSetup, Network, Setup};
use record::Trainable;
use train::{AdamW, Gradients, Hyperparameters, Moments};

fn batch(first: u32) -> Batch {
    let ids = (0..12).map(|at| 4 + (first + at * 3) % 20).collect();
    Batch { ids, offsets: vec![0, 7, 12], rows: vec![0, 1], tokens: 12 }
}

fn learn(network: &Network, first: u32, checkpointing: Checkpointing, gradients: &mut Gradients) {
    let types: Vec<Type> = ["INFP", "ESTJ"].map(|name| name.parse().unwrap()).into();
    let weights = vec![[0.5, 0.5]];
    let targets = train::targets(&types, &network.head, &weights, &[1.0]);
    network.learn(&batch(first), 1, checkpointing, &targets, gradients).unwrap();
}

fn values(network: &Network, gradients: &Gradients) -> Vec<Vec<f32>> {
    let places = 0..network.weights.parameters.len();
    let flat = |place| gradients.get(place).unwrap().unwrap().flatten_all().unwrap().to_vec1().unwrap();
    places.map(flat).collect()
}

#[test]
fn memory_that_is_used_again_shows_nothing_of_the_batches_before_and_the_norm_is_that_of_all_elements() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_models::tiny_bert(folder.path());
    let start = || model::start(&model, &Setup::plain(&[Axis::JudgingPerceiving], 0)).unwrap();
    let used = start();
    let mut again = used.gradients().unwrap();
    // One batch a step, then several, then one again: other rows of the table of words each time.
    for firsts in [&[0][..], &[5], &[1, 9], &[2, 3, 11], &[7], &[8]] {
        let fresh = start();
        let mut anew = fresh.gradients().unwrap();
        again.clear();
        for (network, gradients) in [(&used, &mut again), (&fresh, &mut anew)] {
            firsts.iter().for_each(|&first| learn(network, first, Checkpointing::None, gradients));
        }
        let (found, expected) = (values(&used, &again), values(&fresh, &anew));
        assert_eq!(found, expected, "{firsts:?}");
        let squares: f64 = expected.iter().flatten().map(|&x| f64::from(x).powi(2)).sum();
        for gradients in [&again, &anew] {
            assert!((gradients.norm().unwrap() / squares.sqrt() - 1.0).abs() < 1e-12, "{firsts:?}");
        }
    }
}

#[test]
fn gradients_are_the_same_to_the_last_bit_whichever_layers_are_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_models::tiny_bert(folder.path());
    let plain = Setup::plain(&[Axis::JudgingPerceiving], 0);
    let lora = LoraSetup { dropout: 0.3, ..Default::default() };
    for setup in [plain.clone(), Setup { trainable: Trainable::Lora, lora, ..plain }] {
        let network = model::start(&model, &setup).unwrap();
        let of = |checkpointing| {
            let mut gradients = network.gradients().unwrap();
            learn(&network, 3, checkpointing, &mut gradients);
            values(&network, &gradients)
        };
        let kept = of(Checkpointing::None);
        assert!(kept.iter().flatten().any(|x| *x != 0.0));
        for checkpointing in [Checkpointing::Alternate, Checkpointing::All] {
            assert_eq!(of(checkpointing), kept, "{checkpointing:?}");
        }
    }
}

#[test]
fn the_head_alone_moves_at_a_multiple_of_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_models::tiny_bert(folder.path());
    let moved = |multiple: f64| -> Vec<(String, Vec<f32>)> {
        let mut network = model::start(&model, &Setup::plain(&[Axis::JudgingPerceiving], 0)).unwrap();
        let values = |network: &Network| -> Vec<Vec<f32>> {
            let of = |parameter: &model::Parameter| parameter.var.flatten_all().unwrap().to_vec1().unwrap();
            network.weights.parameters.iter().map(of).collect()
        };
        let before = values(&network);
        let mut optimizer = AdamW::new(&mut network.weights, Hyperparameters::default(), Moments::F32);
        optimizer.multiply_rate(&network.weights, |name| network.is_in_head(name), multiple);
        let mut gradients = network.gradients().unwrap();
        learn(&network, 3, Checkpointing::None, &mut gradients);
        optimizer.step(&network.weights, &gradients, 1e-3).unwrap();
        let by: Vec<Vec<f32>> = values(&network)
            .iter()
            .zip(&before)
            .map(|(now, before)| now.iter().zip(before).map(|(now, before)| now - before).collect())
            .collect();
        network.weights.parameters.iter().map(|parameter| parameter.name.clone()).zip(by).collect()
    };
    let mut of_the_head = Vec::new();
    for ((name, once), (_, ten_times)) in moved(1.0).into_iter().zip(moved(10.0)) {
        if once == ten_times {
            continue;
        }
        let sum = |values: &[f32]| values.iter().map(|value| f64::from(value.abs())).sum::<f64>();
        let ratio = sum(&ten_times) / sum(&once);
        assert!((ratio - 10.0).abs() < 0.01, "{name}: {ratio}");
        of_the_head.push(name);
    }
    let names =
        ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];
    assert_eq!(of_the_head, names);
}
