//! The tutorial's run on a small Phi-3: what each of its arguments does is seen in what comes out.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use common::{Engine, letters_tokenizer};
use serde_json::Value;

/// A Phi-3 of 100,000 random weights, with a tokenizer of letters.
fn tiny_phi3(folder: &Path) -> PathBuf {
    let folder = folder.join("tiny-phi3");
    std::fs::create_dir_all(&folder).unwrap();
    let config = serde_json::json!({
        "model_type": "phi3", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 40, "max_position_embeddings": 512,
        "original_max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "pad_token_id": 0,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut state = 1u32;
    let mut matrix = |rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32 * 0.3
            })
            .collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    };
    let norm = || Tensor::ones(64, DType::F32, &Device::Cpu).unwrap();
    let mut weights = HashMap::from([
        ("model.embed_tokens.weight".to_owned(), matrix(40, 64)),
        ("model.norm.weight".to_owned(), norm()),
    ]);
    for layer in 0..2 {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        weights.insert(name("input_layernorm"), norm());
        weights.insert(name("post_attention_layernorm"), norm());
        weights.insert(name("self_attn.qkv_proj"), matrix(192, 64));
        weights.insert(name("self_attn.o_proj"), matrix(64, 64));
        weights.insert(name("mlp.gate_up_proj"), matrix(256, 64));
        weights.insert(name("mlp.down_proj"), matrix(64, 128));
    }
    candle_core::safetensors::save(&weights, folder.join("model.safetensors")).unwrap();
    std::fs::write(folder.join("tokenizer.json"), letters_tokenizer("null")).unwrap();
    folder
}

/// 800 texts of four types in the proportions 4 : 3 : 2 : 1, ten by each author.
fn prepared() -> Engine {
    let engine = Engine::new();
    let mut text = "author,body,mbti\n".to_owned();
    for n in 0..800 {
        let mbti = ["INFP", "INFP", "INFP", "INFP", "ESTJ", "ESTJ", "ESTJ", "ENTP", "ENTP", "ISFJ"][n % 10];
        text += &format!("a{},\"number {} of the texts {}\",{mbti}\n", n / 10, n, "abcdefgh".repeat(n % 6));
    }
    let path = engine.file("texts.csv", text);
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "texts"]);
    let folder = tiny_phi3(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "phi3"]);
    engine
}

/// The tutorial's run with these settings changed: its number and what it told.
fn run(engine: &Engine, changed: &[&str]) -> (String, Vec<Value>) {
    let tutorial = ["train", "--preset", "tutorial", "--data", "texts", "--model", "phi3"];
    let events = engine.events(&[&tutorial, changed].concat());
    (events.last().unwrap()["run"].to_string(), events)
}

fn told<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

fn losses(events: &[Value]) -> Vec<f64> {
    told(events, "step").iter().map(|step| step["loss"].as_f64().unwrap()).collect()
}

fn weights(engine: &Engine, run: &str) -> Vec<u8> {
    std::fs::read(engine.home.path().join("runs").join(run).join("model/model.safetensors")).unwrap()
}

#[test]
fn a_stratified_tenth_is_split_80_to_20_by_text() {
    let engine = prepared();
    let (number, _) = run(&engine, &[]);
    let split = engine.home.path().join("runs").join(number).join("split.json");
    let split: Value = serde_json::from_slice(&std::fs::read(split).unwrap()).unwrap();
    let rows = |part: &str| -> Vec<u64> {
        split[part].as_array().unwrap().iter().map(|row| row.as_u64().unwrap()).collect()
    };
    let (train, valid) = (rows("train"), rows("valid"));
    assert_eq!((train.len(), valid.len()), (64, 16));
    let of_type = |places: std::ops::Range<u64>| {
        train.iter().chain(&valid).filter(|&&row| places.contains(&(row % 10))).count()
    };
    assert_eq!([of_type(0..4), of_type(4..7), of_type(7..9), of_type(9..10)], [32, 24, 16, 8]);
    assert_eq!(split["summary"]["method"], "by_text");
}

#[test]
fn batches_of_4_times_2_go_once_through_the_texts_at_2e_5_down_a_straight_line() {
    let engine = prepared();
    let (_, events) = run(&engine, &[]);
    let steps = told(&events, "step");
    assert_eq!(steps.len(), 8);
    assert_eq!(steps[7]["epoch"].as_f64(), Some(1.0));
    for (place, step) in steps.iter().enumerate() {
        let expected = 2e-5 * (1.0 - place as f64 / 8.0);
        assert!((step["learning_rate"].as_f64().unwrap() - expected).abs() < 1e-18);
    }
    // The same texts in one pass a step are the same step; half as many are twice the steps.
    let (_, large) = run(&engine, &["--batch-size", "8", "--gradient-accumulation-steps", "1"]);
    for (two, one) in losses(&events).iter().zip(losses(&large)) {
        assert!((two - one).abs() < 1e-5, "{two} {one}");
    }
    assert_eq!(losses(&run(&engine, &["--gradient-accumulation-steps", "1"]).1).len(), 16);
}

#[test]
fn the_classes_weigh_06_and_04() {
    let engine = prepared();
    let first = |changed: &[&str]| losses(&run(&engine, changed).1)[0];
    let (given, mirrored, none) =
        (first(&[]), first(&["--class-weights", "0.4,0.6"]), first(&["--class-weights", "none"]));
    // A weighted mean lies on the other side of the plain one when the weights are exchanged.
    assert!((given - none) * (mirrored - none) < 0.0, "{given} {mirrored} {none}");
    assert!((given - first(&["--class-weights", "6,4"])).abs() < 1e-6);
}

#[test]
fn adamw_keeps_its_moments_in_8_bits_and_decays_the_weights() {
    let engine = prepared();
    let (eight, events) = run(&engine, &[]);
    let (whole, other) = run(&engine, &["--optim", "adamw"]);
    let optimizer = |events: &[Value]| events.last().unwrap()["optimizer_mib"].as_f64().unwrap();
    assert!(optimizer(&events) < 0.8 * optimizer(&other), "{} {}", optimizer(&events), optimizer(&other));
    assert_ne!(weights(&engine, &eight), weights(&engine, &whole));
    let (undecayed, _) = run(&engine, &["--weight-decay", "0"]);
    assert_ne!(weights(&engine, &eight), weights(&engine, &undecayed));
    let (again, _) = run(&engine, &[]);
    assert_eq!(weights(&engine, &eight), weights(&engine, &again));
}

#[test]
fn products_in_bf16_are_made_where_they_are_faster_and_where_they_are_not_it_is_told() {
    let engine = prepared();
    let (number, events) = run(&engine, &["--dtype", "bf16_mixed"]);
    let told = told(&events, "notice").iter().any(|notice| notice["problem"]["code"] == "no_bf16_products");
    assert_eq!(told, !model::bf16_products_are_faster());
    let config = engine.home.path().join("runs").join(&number).join("model/config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["dtype"], "float32", "the weights stay in 32 bits");
    let (in_f32, _) = run(&engine, &["--dtype", "f32"]);
    assert_eq!(weights(&engine, &number) == weights(&engine, &in_f32), told);
}

#[test]
fn one_axis_is_learned_in_32_bits_where_there_is_no_tf32_and_it_is_told() {
    let engine = prepared();
    let (number, events) = run(&engine, &[]);
    let codes: Vec<&Value> =
        told(&events, "notice").iter().map(|notice| &notice["problem"]["code"]).collect();
    // Its split by text has authors on both sides, which is told as well.
    assert_eq!(codes, ["split_leaks", "no_tf32"]);
    let config = engine.home.path().join("runs").join(number).join("model/config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["dtype"], "float32");
    assert_eq!(config["id2label"], serde_json::json!({"0": "J", "1": "P"}));
    assert_eq!(events.last().unwrap()["axes"].as_object().unwrap().len(), 1);
}

#[test]
fn texts_are_cut_where_the_model_ends_and_not_before() {
    let engine = prepared();
    let tokens = |changed: &[&str]| told(&run(&engine, changed).1, "estimate")[0]["tokens"].as_u64().unwrap();
    assert!(tokens(&["--max-length", "8"]) <= 64 * 8);
    assert!(tokens(&[]) > 64 * 20);
}

#[test]
fn it_evaluates_and_saves_by_step_and_keeps_the_best_by_accuracy() {
    let engine = prepared();
    let shown = engine.ok(&["runs", "show", &run(&engine, &[]).0, "--config"]);
    for line in
        ["eval_steps = 1000", "save_steps = 1000", "metric_for_best_model = \"accuracy\"", "seed = 42"]
    {
        assert!(shown.contains(line), "{shown}");
    }
    // With fewer texts than 1,000 steps have, by twos.
    let (number, events) =
        run(&engine, &["--eval-steps", "2", "--save-steps", "2", "--learning-rate", "0.01"]);
    let evaluations = told(&events, "evaluation");
    assert_eq!(evaluations.len(), 4);
    let accuracy = |found: &&&Value| found["axes"]["J-P"]["accuracy"].as_f64().unwrap();
    for name in ["accuracy", "f1", "mcc"] {
        assert!(evaluations[0]["axes"]["J-P"].get(name).is_some());
    }
    let best = evaluations.iter().map(|found| accuracy(&found)).fold(0.0, f64::max);
    let finished = events.last().unwrap();
    assert_eq!(finished["axes"]["J-P"]["accuracy"].as_f64(), Some(best));
    let kept = engine.json(&["runs", "show", &number])["run"]["assessment"]["step"].as_u64().unwrap();
    let first_best = evaluations.iter().find(|found| accuracy(found) == best).unwrap();
    assert_eq!(Some(kept), first_best["step"].as_u64());
}

#[test]
fn a_run_repeats_from_the_settings_that_it_shows() {
    let engine = prepared();
    let (number, events) = run(&engine, &[]);
    let file = engine.file("run.toml", engine.ok(&["runs", "show", &number, "--config"]));
    let again = engine.events(&["train", "--config", file.to_str().unwrap()]);
    assert_eq!(losses(&events), losses(&again));
    assert_eq!(weights(&engine, &number), weights(&engine, &again.last().unwrap()["run"].to_string()));
}
