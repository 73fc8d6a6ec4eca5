//! Each mistake gets a message that says what happened and what to do, ends with an exit code
//! that is not 0, and loses nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Engine, tiny_bert};
use serde_json::Value;

fn import(engine: &Engine, content: &[u8]) -> String {
    let path = engine.file("x.csv", content);
    engine.fails(&["datasets", "import", path.to_str().unwrap()])
}

#[test]
fn files_that_are_no_data_set() {
    let engine = Engine::new();
    engine.import_small("kept");
    assert!(
        engine.fails(&["datasets", "import", "/nowhere/x.csv"]).contains("There is no file /nowhere/x.csv")
    );
    let empty = engine.home.path().join("models");
    assert!(engine.fails(&["datasets", "import", empty.to_str().unwrap()]).contains("ends in csv, tsv"));
    assert!(import(&engine, b"").contains("is empty"));
    assert!(import(&engine, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").contains("not a text file"));
    let columns = import(&engine, b"author,text,label\na,b,post\n");
    assert!(
        columns.contains("\"author\", \"text\", \"label\"") && columns.contains("body and mbti"),
        "{columns}"
    );
    let missing = import(&engine, b"author,body\na,b\n");
    assert!(missing.contains("\"author\", \"body\""), "{missing}");
    let unknown = import(&engine, b"body,mbti\nhello,ABCD\n");
    assert!(
        unknown.contains("line 2") && unknown.contains("\"ABCD\" is not one of the 16 types"),
        "{unknown}"
    );
    let taken = engine.home.path().join("kept.csv");
    assert!(engine.fails(&["datasets", "import", taken.to_str().unwrap()]).contains("is taken"));
    let left: Vec<_> = std::fs::read_dir(engine.home.path().join("datasets")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half is left behind");
    assert_eq!(engine.json(&["datasets", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn one_class_only_fails_the_run_with_its_reason() {
    let engine = Engine::new();
    let mut text = "author,body,mbti\n".to_owned();
    (0..20).for_each(|n| text += &format!("a{n},some text {n},INFP\n"));
    let path = engine.file("one.csv", text);
    engine.ok(&["datasets", "import", path.to_str().unwrap()]);
    let error = engine.fails(&["train", "--data", "one", "--model", "words"]);
    assert!(error.contains("letter I on the axis E-I"), "{error}");
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "failed");
    assert_eq!(shown["run"]["failure"]["code"], "one_class_only");
    assert_eq!(shown["run"]["failure"]["params"]["letter"], "I");
}

#[test]
fn model_folders_that_cannot_be_trained() {
    let engine = Engine::new();
    let add = |folder: &std::path::Path| engine.fails(&["models", "add", folder.to_str().unwrap()]);
    let fresh = || {
        std::fs::remove_dir_all(engine.home.path().join("tiny-bert")).ok();
        tiny_bert(engine.home.path())
    };
    let folder = fresh();
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    assert!(add(&folder).contains("has no model.safetensors"));

    let folder = fresh();
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let wrong = config.replace("\"intermediate_size\": 24", "\"intermediate_size\": 25");
    assert_ne!(config, wrong);
    std::fs::write(folder.join("config.json"), wrong).unwrap();
    let error = add(&folder);
    assert!(
        error.contains("intermediate.dense.weight has the shape [24, 16]") && error.contains("[25, 16]"),
        "{error}"
    );

    std::fs::write(folder.join("config.json"), config.replace("\"bert\"", "\"t5\"")).unwrap();
    assert!(add(&folder).contains("family \"t5\""));
    std::fs::write(folder.join("config.json"), "{").unwrap();
    assert!(add(&folder).contains("config.json cannot be understood"));

    // A token that was added, and for which the model has no row.
    let folder = fresh();
    let tokenizer = std::fs::read_to_string(folder.join("tokenizer.json")).unwrap();
    let rows: Value = serde_json::from_str(&config).unwrap();
    let rows = rows["vocab_size"].as_u64().unwrap();
    for (id, is_taken) in [(rows - 1, true), (rows, false)] {
        let added = format!(
            r#""added_tokens": [{{"id": {id}, "content": "<new>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}}]"#
        );
        let more = tokenizer.replace(r#""added_tokens": []"#, &added);
        assert_ne!(more, tokenizer);
        std::fs::write(
            folder.join("tokenizer.json"),
            more.replace(r#""z": "#, &format!(r#""<new>": {id}, "z": "#)),
        )
        .unwrap();
        if is_taken {
            engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "added"]);
            engine.ok(&["models", "remove", "added"]);
        } else {
            let error = add(&folder);
            assert!(
                error.contains(&format!("up to number {id}")) && error.contains(&format!("for {rows}")),
                "{error}"
            );
        }
    }

    let folder = fresh();
    std::fs::write(folder.join("model.safetensors"), "torn").unwrap();
    assert!(add(&folder).contains("safetensors"));
    let models = engine.home.path().join("models");
    let left: Vec<_> = std::fs::read_dir(models).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["words"], "nothing half is left behind");
}

#[test]
fn unknown_names_and_numbers_and_settings() {
    let engine = Engine::new();
    engine.import_small("mine");
    let error = engine.fails(&["train", "--data", "yours", "--model", "words"]);
    assert!(error.contains("\"yours\"") && error.contains("mine"), "{error}");
    let error = engine.fails(&["train", "--data", "mine", "--model", "gpt"]);
    assert!(error.contains("\"gpt\"") && error.contains("words"), "{error}");
    assert!(engine.fails(&["runs", "show", "7"]).contains("no run 7"));
    assert!(engine.fails(&["runs", "stop", "7"]).contains("no run 7"));
    assert!(engine.fails(&["predict", "--run", "7", "hello"]).contains("no run 7"));
    assert!(engine.fails(&["predict", "hello"]).contains("Train one first"));
    assert!(engine.fails(&["train", "--run", "7"]).contains("no run 7"));
    let error = engine.fails(&["train", "--data", "mine", "--model", "words", "--batch-size", "0"]);
    assert!(error.contains("batch_size cannot be 0"), "{error}");
    assert!(
        engine
            .fails(&["train", "--data", "mine", "--model", "words", "--device", "cuda:0"])
            .contains("cuda:0")
    );
    assert!(engine.fails(&["train", "--data", "mine"]).contains("--model is missing"));
    let error = engine.fails(&["train", "--data", "mine", "--model", "words", "--axes", "X-Y"]);
    assert!(error.contains("axes cannot be X-Y"), "{error}");
    // A wrong way to call is the parser's, with exit code 2.
    assert_eq!(engine.output(&["train", "--no-such-flag"]).status.code(), Some(2));
    assert_eq!(engine.output(&["train", "--resume", "1", "--seed", "2"]).status.code(), Some(2));
}

#[test]
fn an_empty_text_is_refused_and_a_failed_run_has_no_model() {
    let engine = Engine::new();
    engine.import_small("d");
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "3"]);
    assert!(engine.fails(&["predict", ""]).contains("There is no text"));
    assert!(engine.fails(&["predict", " \n "]).contains("There is no text"));
    assert!(engine.fails(&["predict"]).contains("There is no text"), "standard input is empty");
    let mut failing = engine.command(&["train", "--data", "d", "--model", "words"]);
    assert!(!failing.env("MBTI_MEMORY_LIMIT_MIB", "0.01").output().unwrap().status.success());
    assert!(engine.fails(&["predict", "--run", "2", "hello"]).contains("is failed"));
    engine.ok(&["predict", "--run", "1", "hello"]);
}

#[test]
fn a_home_that_is_a_file_or_whose_history_is_damaged() {
    let engine = Engine::new();
    let file = engine.file("file", "x");
    let output =
        engine.command(&[]).arg("--home").arg(file.join("home")).args(["runs", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "--home stands twice");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mbti"));
    let output = command.arg("--home").arg(file.join("home")).args(["runs", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written"));
    let damaged = Engine::new();
    damaged.file("history.sqlite", "not a database, but long enough to look like one to anybody");
    assert!(damaged.fails(&["runs", "list"]).contains("history.sqlite is damaged"));
}

#[test]
fn a_calibration_that_cannot_be_read_is_an_error_and_not_taken_for_none() {
    let engine = Engine::new();
    engine.import_small("small");
    engine.ok(&["train", "--data", "small", "--model", "words", "--max-steps", "3"]);
    let report = engine.ok(&["runs", "show", "1"]);
    let header = report.lines().find(|line| line.contains("metric")).unwrap();
    assert_eq!(header.matches("words").count(), 1, "words is not put beside itself: {header}");
    let predict = ["predict", "--run", "1", "some text"];
    engine.ok(&predict);
    let config = engine.home.path().join("runs/1/model/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let damaged = text.replace("\"calibration\": {}", "\"calibration\": {\"J-P\": {}}");
    assert_ne!(text, damaged);
    std::fs::write(&config, damaged).unwrap();
    let error = engine.fails(&predict);
    assert!(error.contains("The calibration in") && error.contains("missing field `temperature`"), "{error}");
}

#[test]
fn memory_that_runs_short_halves_the_batches_as_long_as_it_can_and_is_told() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let train = |limit: &str| {
        let mut command = engine.command(&["train", "--data", "d", "--model", "tiny", "--json"]);
        let output = command.env("MBTI_MEMORY_LIMIT_MIB", limit).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // Less than the program itself takes: every size is too large, down to a single text.
    let (code, error) = train("5");
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("The memory of this computer ran out in step 1, with one text at a time."),
        "{error}"
    );
    assert!(
        error.contains("max_length=128") && error.contains("Closing other programs may help, too."),
        "{error}"
    );
    assert!(!error.contains("device=cpu"), "it is the processor already: {error}");
    let shown = engine.json(&["runs", "show", "1"]);
    let notices = shown["notices"].as_array().unwrap();
    let sizes: Vec<&str> =
        notices.iter().map(|notice| notice["problem"]["params"]["batch_size"].as_str().unwrap()).collect();
    assert_eq!(sizes, ["4", "2", "1"]);
    let message = |place: usize| notices[place]["problem"]["message"].as_str().unwrap();
    assert!(message(1).contains("with 2 texts at once") && message(2).contains("with one text at once"));
    assert_eq!(notices[0]["problem"]["params"]["gradient_accumulation_steps"], "2");
    assert_eq!(shown["run"]["failure"]["code"], "out_of_memory");
    // Less than the weights, their gradients and the optimizer: refused before anything is read.
    let (code, error) = train("0.01");
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("needs at least") && error.contains("10 KiB can be had"), "{error}");
    assert_eq!(engine.json(&["runs", "show", "2"])["run"]["failure"]["code"], "cannot_fit");
}
