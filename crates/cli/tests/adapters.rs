//! Learning by LoRA: what is saved is an adapter, which stands on its base model until it is merged.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Engine, tiny_bert};
use serde_json::Value;

fn probability(engine: &Engine, run: &str) -> f64 {
    let prediction = engine.json(&["predict", "--run", run, "abc"]);
    prediction["axes"]["J-P"]["probability"].as_f64().unwrap()
}

#[test]
fn an_adapter_predicts_keeps_its_base_model_and_merged_predicts_the_same_without_it() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let mut settings = vec!["train", "--data", "d", "--model", "tiny", "--axes", "J-P", "--max-steps", "4"];
    settings.extend(["--trainable", "lora", "--lora-rank", "2", "--lora-target-modules", "query,value"]);
    settings.extend(["--lora-dropout", "0.1", "--gradient-checkpointing", "--learning-rate", "0.01"]);
    let run = engine.events(&settings).last().unwrap()["run"].to_string();
    let shown = engine.json(&["runs", "show", &run]);
    let model = std::path::PathBuf::from(shown["run"]["model_folder"].as_str().unwrap());
    let config = std::fs::read(model.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["target_modules"], serde_json::json!(["attention.self.query", "attention.self.value"]));
    assert!(!model.join("model.safetensors").exists());

    let adapter = probability(&engine, &run);
    let error = engine.fails(&["models", "remove", "tiny"]);
    assert!(error.contains("base model of run") && error.contains("mbti runs merge"), "{error}");

    let out = engine.home.path().join("merged");
    engine.ok(&["runs", "merge", &run, "--out", out.to_str().unwrap()]);
    assert!(out.join("model.safetensors").exists() && out.join("tokenizer.json").exists());
    assert!(engine.fails(&["runs", "merge", &run, "--out", out.to_str().unwrap()]).contains("there already"));
    let inside = engine.home.path().join("models/merged");
    assert!(
        engine
            .fails(&["runs", "merge", &run, "--out", inside.to_str().unwrap()])
            .contains("lies in the home")
    );
    assert!(!inside.exists());
    let mut relative = engine.command(&["runs", "merge", &run, "--out", "near"]);
    assert!(relative.current_dir(engine.home.path()).status().unwrap().success());
    assert!(engine.home.path().join("near/model.safetensors").exists());
    engine.ok(&["runs", "merge", &run]);
    engine.ok(&["models", "remove", "tiny"]);
    assert!((probability(&engine, &run) - adapter).abs() < 1e-5);
}

#[test]
fn lora_beside_a_base_in_4_or_8_bits_is_resumed_predicts_and_is_merged_into_the_base_as_it_is() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    for quantization in ["nf4", "int8"] {
        let mut settings =
            vec!["train", "--data", "d", "--model", "tiny", "--axes", "J-P", "--max-steps", "4"];
        settings.extend(["--quantization", quantization, "--trainable", "lora", "--learning-rate", "0.01"]);
        let run = engine.events(&settings).last().unwrap()["run"].to_string();
        let shown = engine.json(&["runs", "show", &run]);
        assert_eq!(shown["run"]["config"]["quantization"], quantization);
        let model = std::path::PathBuf::from(shown["run"]["model_folder"].as_str().unwrap());
        let config: Value =
            serde_json::from_slice(&std::fs::read(model.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["mbti_tuner"]["quantization"], quantization);
        let adapter = probability(&engine, &run);
        engine.ok(&["runs", "merge", &run]);
        let config: Value =
            serde_json::from_slice(&std::fs::read(model.join("config.json")).unwrap()).unwrap();
        assert!(config["mbti_tuner"].get("quantization").is_none(), "{config}");
        // The base has its own numbers again, so that the answer is nearly the same.
        assert!((probability(&engine, &run) - adapter).abs() < 0.2, "{quantization}");
    }
    let refused = ["train", "--data", "d", "--model", "tiny", "--quantization", "nf4"];
    let error = engine.fails(&refused);
    assert!(error.contains("quantization cannot be nf4") && error.contains("lora"), "{error}");
}

#[test]
fn half_precision_and_the_head_alone_train_and_predict() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    for dtype in ["f32", "bf16"] {
        for trainable in ["all", "lora", "head"] {
            let mut settings = vec!["train", "--data", "d", "--model", "tiny", "--axes", "J-P"];
            settings.extend(["--max-steps", "3", "--dtype", dtype, "--trainable", trainable]);
            settings.extend(["--class-weights", "0.6,0.4"]);
            let events = engine.events(&settings);
            let run = events.last().unwrap()["run"].to_string();
            assert!((0.5..=1.0).contains(&probability(&engine, &run)), "{dtype} {trainable}");
            assert!(engine.json(&["runs", "show", &run])["run"]["failure"].is_null());
        }
    }
}

#[test]
fn a_layer_that_is_not_there_is_refused_with_those_that_are() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let mut settings = vec!["train", "--data", "d", "--model", "tiny", "--trainable", "lora"];
    settings.extend(["--lora-target-modules", "q_proj"]);
    let error = engine.fails(&settings);
    assert!(error.contains("q_proj") && error.contains("attention.self.query"), "{error}");
}
