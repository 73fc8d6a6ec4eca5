//! BERT against Transformers and PyTorch, by the fixtures that tests/reference/bert.py writes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::HashMap, path::PathBuf};

use candle_core::{Device, Tensor};
use data::Batch;
use mbti::{Axis, Type};
use model::{Mode, Network};
use serde_json::Value;
use train::{AdamW, ClassWeights, Gradients, Hyperparameters};

struct Case {
    network: Network,
    batch: Batch,
    types: Vec<Type>,
    weights: ClassWeights,
    expected: HashMap<String, Tensor>,
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/fixtures").join(name)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn case(name: &str, axes: &[Axis]) -> Case {
    let folder = folder(name);
    let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let mut batch = Batch { ids: vec![], offsets: vec![0], rows: vec![], tokens: 0 };
    for (row, text) in case["texts"].as_array().unwrap().iter().enumerate() {
        batch.ids.extend(numbers(text).into_iter().map(|id| id as u32));
        batch.offsets.push(batch.ids.len() as u32);
        batch.rows.push(row as u32);
    }
    let class =
        |text: &Value| Type::from_classes(<[f64; 4]>::try_from(numbers(text)).unwrap().map(|c| c == 1.0));
    let types = case["classes"].as_array().unwrap().iter().map(class).collect();
    let pair = |pair: &Value| <[f64; 2]>::try_from(numbers(pair)).unwrap().map(|weight| weight as f32);
    let weights = case["weights"].as_array().unwrap().iter().map(pair).collect();
    let expected = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
    Case { network: model::start(&folder, axes, 0).unwrap(), batch, types, weights, expected }
}

fn both() -> [Case; 2] {
    [case("bert-J-P", &[Axis::JudgingPerceiving]), case("bert-all", &Axis::ALL)]
}

fn group_weight(case: &Case) -> Vec<f64> {
    let weight = |(place, axis): (usize, &Axis)| {
        case.types.iter().map(|mbti| f64::from(case.weights[place][usize::from(mbti.class(*axis))])).sum()
    };
    case.network.head.axes.iter().enumerate().map(weight).collect()
}

/// Loss and gradients with the network as in training; its dropout is zero by its config.
fn learn(case: &Case) -> (f64, Gradients) {
    let logits = case.network.forward(&case.batch, Mode::Train { seed: 1 }).unwrap();
    let loss =
        train::loss(&logits, &case.types, &case.network.head, &case.weights, &group_weight(case)).unwrap();
    let mut gradients = Gradients::default();
    gradients.add(&case.network.weights, loss.backward().unwrap()).unwrap();
    (f64::from(loss.to_scalar::<f32>().unwrap()), gradients)
}

fn largest(tensor: &Tensor) -> f32 {
    tensor.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    largest(&(a - b).unwrap())
}

#[test]
fn logits_equal_those_of_transformers_in_evaluation_and_in_training() {
    for case in both() {
        for mode in [Mode::Evaluate, Mode::Train { seed: 1 }] {
            let logits = case.network.forward(&case.batch, mode).unwrap();
            let difference = difference(&logits, &case.expected["logits"]);
            assert!(difference < 1e-5, "{difference}");
        }
    }
}

#[test]
fn the_loss_and_the_gradient_of_every_parameter_equal_those_of_pytorch() {
    for case in both() {
        let (loss, gradients) = learn(&case);
        let expected = f64::from(case.expected["loss"].to_vec1::<f32>().unwrap()[0]);
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        // The biases of the keys have no gradient but rounding, since a softmax does not see what
        // is added to all its inputs; so the yardstick is the largest gradient of any parameter.
        let scale = case.network.weights.parameters.iter();
        let scale =
            scale.map(|p| largest(&case.expected[&format!("gradient.{}", p.name)])).fold(0f32, f32::max);
        let mut compared = 0;
        for (place, parameter) in case.network.weights.parameters.iter().enumerate() {
            let expected = &case.expected[&format!("gradient.{}", parameter.name)];
            let found = gradients.get(place).unwrap_or_else(|| panic!("{} has no gradient", parameter.name));
            let relative = difference(found, expected) / largest(expected).max(1e-4 * scale);
            assert!(relative < 1e-3, "{}: {relative}", parameter.name);
            compared += 1;
        }
        let all = case.expected.keys().filter(|name| name.starts_with("gradient.")).count();
        assert_eq!(compared, all, "every parameter of the reference is one of ours");
    }
}

#[test]
fn losses_and_weights_of_three_adamw_steps_equal_those_of_pytorch_and_every_parameter_moves() {
    for case in both() {
        let parameters = &case.network.weights.parameters;
        let before: Vec<Tensor> = parameters.iter().map(|p| p.var.as_tensor().copy().unwrap()).collect();
        let mut optimizer = AdamW::new(&case.network.weights, Hyperparameters::default());
        for expected in case.expected["losses"].to_vec1::<f32>().unwrap() {
            let (loss, gradients) = learn(&case);
            assert!((loss - f64::from(expected)).abs() < 1e-4, "{loss} {expected}");
            optimizer.step(&case.network.weights, &gradients, 1e-2).unwrap();
        }
        for (parameter, before) in parameters.iter().zip(before) {
            let now = parameter.var.as_tensor();
            // Rows of embeddings that no text has do not move; of every tensor some rows do.
            assert!(difference(now, &before) > 1e-4, "{} does not move", parameter.name);
            // AdamW divides a gradient by its own size, so that where the gradient is only
            // rounding (the biases of the keys) the direction of its step is, too.
            if !parameter.name.ends_with("key.bias") {
                let difference = difference(now, &case.expected[&format!("after.{}", parameter.name)]);
                assert!(difference < 1e-3, "{}: {difference}", parameter.name);
            }
        }
    }
}

#[test]
fn a_saved_network_opens_with_the_same_head_and_gives_the_same_logits() {
    for case in both() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        // Twice, since the second time a whole folder has to be replaced.
        for _ in 0..2 {
            model::save(&case.network, &folder, Default::default()).unwrap();
        }
        let opened = model::open(&folder).unwrap();
        assert_eq!(opened.head, case.network.head);
        let logits = |network: &Network| network.forward(&case.batch, Mode::Evaluate).unwrap();
        assert_eq!(difference(&logits(&opened), &logits(&case.network)), 0.0);
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["model"]);
    }
}

#[test]
fn dropout_works_in_training_and_only_there() {
    let folder = folder("bert-all");
    let place = tempfile::tempdir().unwrap();
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    config["hidden_dropout_prob"] = 0.1.into();
    config["attention_probs_dropout_prob"] = 0.1.into();
    std::fs::write(place.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(folder.join("model.safetensors"), place.path().join("model.safetensors")).unwrap();
    let network = model::start(place.path(), &Axis::ALL, 0).unwrap();
    let case = case("bert-all", &Axis::ALL);
    let logits = |mode| network.forward(&case.batch, mode).unwrap();
    assert!(difference(&logits(Mode::Evaluate), &case.expected["logits"]) < 1e-5);
    let (first, second) = (logits(Mode::Train { seed: 1 }), logits(Mode::Train { seed: 2 }));
    assert!(difference(&first, &second) > 1e-3);
    assert_eq!(difference(&first, &logits(Mode::Train { seed: 1 })), 0.0);
}
