//! The main job by commands: import, train, look, predict.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::Write;

use common::{Engine, tiny_bert};
use serde_json::Value;

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn the_bundled_sample_trains_words_to_beat_the_majority_and_predicts_a_type() {
    let engine = Engine::new();
    let report = engine.json(&["datasets", "import", "--sample"]);
    assert_eq!(report["data_set"]["examples"], 2000);
    assert_eq!(report["data_set"]["made_up"], true);
    assert_eq!(report["data_set"]["types"].as_object().unwrap().len(), 16);

    let events = engine.events(&["train", "--data", "made-up-sample", "--model", "words", "--epochs", "3"]);
    let kinds = kinds(&events);
    assert_eq!(kinds.last(), Some(&"finished"));
    assert!(kinds.contains(&"evaluation"));
    let first = events.iter().find(|event| event["event"] == "step").unwrap();
    for name in
        ["step", "epoch", "loss", "learning_rate", "samples_per_second", "tokens_per_second", "seconds_left"]
    {
        assert!(first[name].is_number(), "a step has {name}: {first}");
    }
    let finished = events.last().unwrap();
    for name in ["run", "steps", "train_seconds", "tokens_per_second", "peak_rss_mib"] {
        assert!(finished[name].is_number(), "the end has {name}: {finished}");
    }
    for axis in ["E-I", "N-S", "F-T", "J-P"] {
        let metrics = &finished["axes"][axis];
        for name in ["accuracy", "f1", "macro_f1", "balanced_accuracy", "mcc", "majority_accuracy"] {
            assert!(metrics[name].is_number(), "{axis} has {name}: {metrics}");
        }
        let balanced = metrics["balanced_accuracy"].as_f64().unwrap();
        assert!(balanced > 0.55, "{axis}: {balanced} is no better than a coin");
    }

    let run = finished["run"].to_string();
    let shown = engine.json(&["runs", "show", &run]);
    assert_eq!(shown["run"]["status"], "finished");
    assert_eq!(shown["run"]["axes"], finished["axes"]);
    assert_eq!(shown["run"]["split"]["method"], "by_author");
    assert_eq!(shown["run"]["split"]["shared_authors"], 0);
    assert_eq!(shown["steps"].as_array().unwrap().len() as u64, finished["steps"].as_u64().unwrap());
    let split: Value = serde_json::from_slice(
        &std::fs::read(engine.home.path().join("runs").join(&run).join("split.json")).unwrap(),
    )
    .unwrap();
    let rows = ["train", "valid"].map(|part| split[part].as_array().unwrap().len());
    assert_eq!(rows[0] + rows[1], 2000);
    let listed = engine.json(&["runs", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&finished["run"], &Value::from("finished")));

    let prediction = engine.json(&["predict", "Stayed in with a book and a quiet evening."]);
    assert_eq!(prediction["type"].as_str().unwrap().len(), 4);
    assert_eq!(prediction["model"], "words");
    assert_eq!(prediction["run"], finished["run"]);
    for axis in ["E-I", "N-S", "F-T", "J-P"] {
        let p = prediction["axes"][axis]["probability"].as_f64().unwrap();
        assert!((0.5..=1.0).contains(&p));
        let letter = prediction["axes"][axis]["letter"].as_str().unwrap();
        assert!(axis.contains(letter) && prediction["type"].as_str().unwrap().contains(letter));
    }
}

#[test]
fn a_transformer_trains_evaluates_and_predicts_on_one_axis_and_on_all() {
    let engine = Engine::new();
    engine.import_small("train");
    engine.import_small("valid");
    let folder = tiny_bert(engine.home.path());
    let model = engine.json(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    assert_eq!((&model["family"], &model["name"]), (&Value::from("bert"), &Value::from("tiny")));
    std::fs::remove_dir_all(folder).unwrap();
    for axes in ["J-P", "all"] {
        let events = engine.events(&[
            "train",
            "--data",
            "train",
            "--valid",
            "valid",
            "--model",
            "tiny",
            "--axes",
            axes,
            "--batch-size",
            "4",
            "--warmup-ratio",
            "0",
            "--gradient-accumulation-steps",
            "2",
            "--max-steps",
            "6",
            "--eval-steps",
            "3",
            "--learning-rate",
            "1e-3",
        ]);
        let expected = [
            // It is judged by the very texts that it learns from, which is told.
            &["notice", "baseline", "estimate", "step", "step", "step", "evaluation"][..],
            &["step", "step", "step", "evaluation", "assessment", "finished"],
        ];
        assert_eq!(kinds(&events), expected.concat());
        assert_eq!(events[0]["problem"]["code"], "split_leaks");
        let rates: Vec<f64> = events.iter().filter_map(|event| event["learning_rate"].as_f64()).collect();
        assert!((rates[0] - 1e-3).abs() < 1e-12 && rates.windows(2).all(|pair| pair[0] > pair[1]));
        let prediction = engine.json(&["predict", "abc"]);
        let known = if axes == "all" { 4 } else { 1 };
        assert_eq!(prediction["axes"].as_object().unwrap().len(), known);
        assert_eq!(prediction["type"].as_str().unwrap().matches('-').count(), 4 - known);
        // The two sets are the same file, which the user is told.
        let run = events.last().unwrap()["run"].to_string();
        assert_eq!(engine.json(&["runs", "show", &run])["run"]["split"]["shared_authors"], 8);
        assert!(engine.ok(&["runs", "show", &run]).contains("Beware"));
    }
}

#[test]
fn a_run_that_goes_nowhere_says_so_once_in_the_past_tense_and_is_marked_in_the_list() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let fixed = ["train", "--data", "d", "--model", "tiny", "--batch-size", "4"];
    let output = engine.output(&[&fixed[..], &["--max-steps", "200", "--learning-rate", "1"]].concat());
    assert!(output.status.success());
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();

    let run = engine.json(&["runs", "show", "1"])["run"].clone();
    let notices = run["collapse"].as_array().unwrap();
    assert!(notices.iter().any(|notice| notice["code"] == "loss_diverged"), "{run}");
    let shown = engine.ok(&["runs", "show", "1"]);
    for message in notices.iter().map(|notice| notice["message"].as_str().unwrap()) {
        assert_eq!((said.matches(message).count(), shown.matches(message).count()), (1, 1), "{said}{shown}");
        assert!(message.contains("(it was 1)") && !message.contains(" does "), "{message}");
    }
    let list = engine.ok(&["runs", "list"]);
    assert!(list.contains("finished !") && list.contains("The training loss diverged"), "{list}");

    engine.ok(&[&fixed[..], &["--max-steps", "2", "--learning-rate", "1e-3"]].concat());
    assert_eq!(engine.json(&["runs", "list"])[0]["collapse"], Value::Array(vec![]));
    assert!(!engine.ok(&["runs", "list"]).contains("! run 2"));
}

#[test]
fn the_same_seed_gives_the_same_losses_and_another_seed_others() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let losses = |seed: &str| -> Vec<f64> {
        let events =
            engine.events(&["train", "--data", "d", "--model", "tiny", "--max-steps", "5", "--seed", seed]);
        events
            .iter()
            .filter(|event| event["event"] == "step")
            .map(|event| event["loss"].as_f64().unwrap())
            .collect()
    };
    assert_eq!(losses("1"), losses("1"));
    assert_ne!(losses("1"), losses("2"));
}

#[test]
fn lines_are_answered_one_by_one_and_a_bad_one_does_not_end_the_rest() {
    let engine = Engine::new();
    engine.import_small("d");
    engine.ok(&["train", "--data", "d", "--model", "words"]);
    let mut command = engine.command(&["predict", "--lines"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"plain text\n\n{\"text\": \"two\\nlines\"}\n\xff\xfe bytes\n{\"text\": \"\"}\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let good: Vec<bool> = answers.iter().map(|answer| answer["type"].is_string()).collect();
    assert_eq!(good, [true, false, true, true, false]);
    assert_eq!(answers[1]["problem"]["code"], "empty_text");
}

#[test]
fn what_is_removed_is_gone_from_the_list_and_from_the_disk() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap()]);
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    engine.ok(&["datasets", "remove", "d"]);
    engine.ok(&["models", "remove", "tiny-bert"]);
    engine.ok(&["runs", "remove", "1"]);
    for (list, part) in [("datasets", "datasets"), ("runs", "runs")] {
        assert_eq!(engine.json(&[list, "list"]).as_array().unwrap().len(), 0);
        assert_eq!(std::fs::read_dir(engine.home.path().join(part)).unwrap().count(), 0);
    }
    let models = engine.json(&["models", "list"]);
    assert_eq!(models.as_array().unwrap().len(), 1, "only words, which is built in: {models}");
    assert!(engine.fails(&["models", "remove", "words"]).contains("built in"));
}
