//! Many runs from one command, and the look ahead that leaves no trace.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::process::{Command, Stdio};

use common::{Engine, tiny_bert, wait_until};
use serde_json::Value;

fn statuses(engine: &Engine) -> Vec<String> {
    let runs = engine.json(&["runs", "list"]);
    runs.as_array().unwrap().iter().rev().map(|run| run["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_estimate_tells_what_a_run_needs_and_writes_nothing() {
    let engine = Engine::new();
    engine.import_small("d");
    let settings = ["train", "--data", "d", "--model", "words", "--estimate"];
    let events = engine.events(&settings);
    assert_eq!(events.first().unwrap()["used_device"]["device"], "cpu");
    assert_eq!(events.last().unwrap()["event"], "estimate");
    assert!(events.last().unwrap()["peak_mib"].as_f64().unwrap() > 0.0);
    assert!(engine.ok(&settings).contains("peak"));
    assert_eq!(statuses(&engine), [""; 0]);
    assert_eq!(std::fs::read_dir(engine.home.path().join("runs")).map_or(0, Iterator::count), 0);
    // What is wrong is told in the place of the estimate.
    let wrong = engine.output(&["train", "--data", "none", "--model", "words", "--estimate", "--json"]);
    assert_eq!(wrong.status.code(), Some(1));
    // After the device comes what is wrong.
    let told = String::from_utf8(wrong.stdout).unwrap();
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(told["problem"]["code"], "unknown_data_set");
}

#[test]
fn a_sweep_goes_on_after_a_run_that_failed_and_ends_with_a_comparison() {
    let engine = Engine::new();
    engine.import_small("d");
    // Of one type alone there is nothing to learn.
    let one: String = (0..20).map(|n| format!("a{n},some text {n},INFP\n")).collect();
    let one = engine.file("one.csv", format!("author,body,mbti\n{one}"));
    engine.ok(&["datasets", "import", one.to_str().unwrap()]);
    let output = engine.output(&[
        "train",
        "--data",
        "d",
        "--model",
        "words",
        "--max-steps",
        "3",
        "--sweep",
        "data=one,d",
        "--sweep",
        "axes=E-I;J-P",
    ]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("2 of 4 runs"), "{error}");
    assert_eq!(statuses(&engine), ["failed", "failed", "finished", "finished"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for part in ["run 4", "data", "E-I accuracy of the majority by texts", "J-P mcc by authors"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    // What is the same in all runs is not among what differs.
    assert!(!table.contains("max_steps"), "{table}");

    let compared = engine.json(&["runs", "compare", "4", "3"]);
    assert_eq!((&compared[0]["id"], &compared[1]["id"]), (&Value::from(4), &Value::from(3)));
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_to_end_lets_its_run_save_and_begins_no_other() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let settings =
        ["train", "--data", "d", "--model", "tiny", "--max-steps", "1000000", "--sweep", "seed=0,1,2"];
    let mut sweep = engine.command(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first steps", || {
        let shown = engine.output(&["runs", "show", "1", "--json"]);
        serde_json::from_slice::<Value>(&shown.stdout)
            .is_ok_and(|shown| shown["steps"].as_array().is_some_and(|steps| !steps.is_empty()))
    });
    // The signal is for the sweep alone, as a service manager might send it.
    Command::new("kill").args(["-TERM", &sweep.id().to_string()]).status().unwrap();
    wait_until("the sweep's end", || sweep.try_wait().unwrap().is_some());
    assert!(sweep.wait().unwrap().success());
    assert_eq!(statuses(&engine), ["stopped"; 3]);
    assert_eq!(engine.json(&["runs", "show", "1"])["resumable"], true);
}
