//! Numbers, texts and files without measure: each is refused at once, and the message says what is allowed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs::File,
    io::Write,
    process::{Child, Output, Stdio},
};

use common::{Engine, wait_until};

/// An engine with a data set `d`.
fn engine() -> Engine {
    let engine = Engine::new();
    engine.import_small("d");
    engine
}

/// What a command says that has to end by itself, and with this exit code.
fn ended(mut child: Child, code: i32) -> Output {
    wait_until("the command's end", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{} {error}", output.status);
    assert!(!error.contains("panicked"), "{error}");
    output
}

fn refused(engine: &Engine, args: &[&str], code: i32) -> String {
    let child = engine.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    String::from_utf8(ended(child, code).stderr).unwrap()
}

#[test]
fn settings_without_measure_are_refused_before_anything_is_read() {
    let engine = engine();
    let train = |more: &[&str]| {
        let args = [&["train", "--data", "d", "--model", "words", "--estimate"], more].concat();
        refused(&engine, &args, 1)
    };
    let steps = train(&["--max-steps", "4294967295"]);
    assert!(steps.contains("max_steps cannot be 4294967295") && steps.contains("to 10000000"), "{steps}");
    for name in [
        "--max-length",
        "--batch-size",
        "--max-tokens-per-batch",
        "--per-device-eval-batch-size",
        "--gradient-accumulation-steps",
        "--warmup-steps",
        "--eval-steps",
        "--save-steps",
        "--logging-steps",
        "--save-total-limit",
        "--early-stopping-patience",
        "--lora-rank",
    ] {
        let error = train(&[name, "4294967295"]);
        assert!(error.contains("cannot be 4294967295") && error.contains("a whole number from"), "{error}");
    }
    for (name, value) in [
        ("--epochs", "1e308"),
        ("--epochs", "nan"),
        ("--learning-rate", "inf"),
        ("--learning-rate", "-1"),
        ("--sample-fraction", "nan"),
        ("--validation-fraction", "1e308"),
        ("--lora-alpha", "1e308"),
        ("--seed", "-1"),
        ("--seed", "18446744073709551616"),
        ("--class-weights", "nan,1"),
        ("--class-weights", "1e308,1"),
        ("--device", "cuda:99999999999"),
    ] {
        let error = train(&[name, value]);
        assert!(error.contains("cannot be"), "{name} {value}: {error}");
    }
    let long = format!("--lora-target-modules={}", "a,".repeat(50_000));
    let error = train(&[&long]);
    assert!(error.len() < 1000, "a value is quoted in part: {} bytes", error.len());
    assert_eq!(engine.json(&["runs", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_run_of_the_most_steps_begins_and_one_of_more_by_its_epochs_does_not() {
    let engine = engine();
    let whole = ["train", "--data", "d", "--model", "words", "--estimate", "--json"];
    let most = [&whole[..], &["--max-steps", "10000000", "--batch-size", "65536"]].concat();
    let found = engine.ok(&[&most[..], &["--gradient-accumulation-steps", "65536"]].concat());
    assert!(found.contains("\"total_steps\":10000000"), "{found}");
}

#[test]
fn a_sweep_of_more_runs_than_anybody_waits_for_is_counted_and_refused() {
    let engine = engine();
    let values: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let sweep = format!("--sweep=seed={}", values.join(","));
    let args = [&["train", "--data", "d", "--model", "words"][..], &[sweep.as_str(); 7]].concat();
    let error = refused(&engine, &args, 1);
    assert!(error.contains("1280000000") && error.contains("at most 1000 runs"), "{error}");
    let many = format!("--sweep=seed={}1", "1,".repeat(50_000));
    let error = refused(&engine, &["train", "--data", "d", "--model", "words", &many], 1);
    assert!(error.contains("50001"), "{error}");
    assert_eq!(engine.json(&["runs", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn parts_that_are_none_are_refused_and_nothing_is_made() {
    let engine = engine();
    let one = |args: &[&str], code: i32| refused(&engine, args, code);
    one(&["datasets", "split", "d", "--folds", "4294967295"], 2);
    one(&["datasets", "split", "d", "--folds", "1"], 2);
    for value in ["nan", "inf", "-inf", "1e308", "-0.5", "0", "1"] {
        for args in [
            &["datasets", "sample", "d", "--to", "e", "--fraction"][..],
            &["datasets", "split", "d", "--valid"],
            &["datasets", "leaks", "d", "--valid"],
            &["datasets", "split", "d", "--valid=0.5", "--test"],
        ] {
            if args.contains(&"--test") && value == "0" {
                continue;
            }
            let (last, before) = args.split_last().unwrap();
            let error = one(&[before, &[&format!("{last}={value}")]].concat(), 1);
            assert!(error.contains("is no part of the whole"), "{args:?} {value}: {error}");
        }
    }
    one(&["datasets", "split", "d", "--valid=-0.5", "--test=0.9"], 1);
    one(&["datasets", "split", "d", "--valid=0.6", "--test=0.6"], 1);
    assert_eq!(engine.json(&["datasets", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_file_of_settings_that_is_none_is_refused_at_once() {
    let engine = engine();
    let deep = 100_000;
    for (name, text) in [
        ("a.json", format!("{{\"axes\": {}", "[".repeat(deep))),
        ("b.json", "{\"a\":".repeat(deep)),
        ("c.toml", format!("axes = {}", "[".repeat(deep))),
        ("d.toml", format!("a = {}", "{a = ".repeat(deep))),
        ("e.toml", format!("{}a = 1", "a.".repeat(deep))),
        ("f.toml", "x".repeat(2 << 20)),
        ("g.toml", "learning_rate = nan\n".to_owned()),
        ("h.toml", "max_steps = -5\n".to_owned()),
        ("i.toml", "num_train_epochs = inf\n".to_owned()),
    ] {
        let path = engine.file(name, text);
        let error = refused(&engine, &["train", "--config", path.to_str().unwrap()], 1);
        assert!(error.contains("cannot be used") && error.len() < 25_000, "{name}: {error}");
    }
    #[cfg(unix)]
    {
        let pipe = engine.home.path().join("pipe.toml");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in ["/dev/zero", pipe.to_str().unwrap()] {
            let error = refused(&engine, &["train", "--config", path], 1);
            assert!(error.contains("regular file"), "{error}");
        }
    }
}

#[test]
fn standard_input_without_end_is_refused_and_a_line_that_is_too_long_spoils_no_other() {
    let engine = engine();
    let endless = |args: &[&str]| {
        let mut command = engine.command(args);
        command.stdin(File::open("/dev/zero").unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        String::from_utf8(ended(command.spawn().unwrap(), 1).stderr).unwrap()
    };
    if cfg!(unix) {
        endless(&["login"]);
        endless(&["push", "1", "a/b", "--token-stdin"]);
    }
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "3"]);
    if cfg!(unix) {
        assert!(endless(&["predict"]).contains("16 MiB"));
    }
    let mut command = engine.command(&["predict", "--lines"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        input.write_all(b"first text\n").unwrap();
        input.write_all(&vec![b'x'; 20 << 20]).unwrap();
        input.write_all(b"\nlast text\n").unwrap();
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(answers[0]["type"].is_string() && answers[2]["type"].is_string(), "{answers:?}");
    assert_eq!(answers[1]["problem"]["code"], "bad_setting");
}

#[test]
fn names_and_lists_of_absurd_length_are_refused_in_a_few_words() {
    let engine = engine();
    let long = "x".repeat(100_000);
    for args in [
        &["datasets", "show", &long][..],
        &["datasets", "sample", "d", "--fraction", "0.5", "--to", &long],
        &["train", "--data", &long, "--model", "words"],
        &["train", "--data", "d", "--model", &long],
        &["models", "search", &long],
        &["datasets", "search", &long, &long],
        &["models", "remove", &long],
        &["models", "add", &format!("a/{long}")],
        &["push", "1", &format!("a/{long}")],
        &["train", "--data", "d", "--model", "words", "--push-to-hub", &format!("a/{long}")],
    ] {
        let error = refused(&engine, args, 1);
        assert!(error.len() < 25_000, "{:?}: {} bytes", &args[..2], error.len());
    }
    let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    refused(&engine, &[&["runs", "compare"], &ids[..]].concat(), 2);
    for id in ["9223372036854775807", "-9223372036854775808"] {
        refused(&engine, &["runs", "show", "--", id], 1);
    }
    refused(&engine, &["runs", "show", "9223372036854775808"], 2);
    let map = format!("--map=text=body,{}type=mbti", "author=a,".repeat(10_000));
    let path = engine.home.path().join("d.csv");
    refused(&engine, &["datasets", "import", path.to_str().unwrap(), "--name", "e", &map], 1);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let engine = engine();
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "3"]);
    for args in [
        &["datasets", "list"][..],
        &["datasets", "show", "d"],
        &["datasets", "show", "d", "--json"],
        &["models", "catalogue"],
        &["models", "list", "--json"],
        &["runs", "show", "1"],
        &["runs", "show", "1", "--json"],
        &["runs", "show", "1", "--config"],
        &["predict", "some text"],
        &["predict", "some text", "--json"],
        &["hub", "show"],
        &["--help"],
        &["train", "--help"],
    ] {
        let mut command = engine.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains("panicked") && !error.contains("error"), "{args:?}: {error}");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{args:?}: {}", output.status);
    }
    // And both at once.
    for args in [&["datasets", "show", "no"][..], &["datasets", "list"], &["--no-such-flag"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = engine.command(args);
        let status = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert!(matches!(status.code(), Some(1 | 2)), "{args:?}: {status}");
    }
}
