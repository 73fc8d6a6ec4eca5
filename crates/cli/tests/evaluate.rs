//! Finished runs, judged on data sets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{
    Engine, letters,
    scikit_learn::{TOLERANCE, compare, fixture},
    tiny_bert,
};
use serde_json::{Value, json};

/// An engine with a run of a tiny BERT, or of the bag of words, on texts of letters.
fn trained(model: &str) -> Engine {
    let engine = Engine::new();
    letters(&engine, "own", 0..24);
    let bert = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", bert.to_str().unwrap(), "--name", "bert"]);
    train(&engine, model, "1e-3");
    engine
}

fn train(engine: &Engine, model: &str, learning_rate: &str) {
    let fixed = ["train", "--data", "own", "--model", model, "--max-steps", "6", "--axes", "all"];
    engine.ok(&[&fixed[..], &["--max-length", "64", "--learning-rate", learning_rate]].concat());
}

#[test]
fn an_evaluation_has_the_metrics_that_scikit_learn_computes_from_the_logits_of_transformers() {
    let engine = trained("bert");
    let model = engine.home.path().join("runs/1/model");
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(fixture().join("model").join(name), model.join(name)).unwrap();
    }
    let expected: Value =
        serde_json::from_slice(&std::fs::read(fixture().join("expected.json")).unwrap()).unwrap();
    let texts = expected["texts"].as_array().unwrap();
    let rows: String = texts
        .iter()
        .map(|one| ["author", "text", "mbti"].map(|name| one[name].as_str().unwrap()).join(",") + "\n")
        .collect();
    let path = engine.file("judged.csv", format!("author,body,mbti\n{rows}"));
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "judged"]);

    let found = engine.json(&["evaluate", "1", "--data", "judged"]);
    assert_eq!(
        (&found["run"], &found["data"], &found["all"]["texts"]),
        (&json!(1), &json!("judged"), &json!(48))
    );
    compare(&found["temperatures"], &expected["temperatures"], "temperatures");
    let judged = &found["all"]["model"];
    for level in ["by_text", "by_author"] {
        compare(&judged[level], &expected[level], level);
        for axis in judged[level]["axes"].as_object().unwrap().values() {
            assert!(axis["intervals"].as_object().unwrap().contains_key("balanced_accuracy"));
        }
    }
    compare(&judged["mean_balanced_accuracy"]["value"], &expected["mean_balanced_accuracy"], "mean");

    let kept = data::read_logits(&engine.home.path().join("runs/1/evaluations/judged.parquet")).unwrap();
    let logits: Vec<f64> = expected["logits"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|of_text| of_text.as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap()))
        .collect();
    assert_eq!(kept.logits.len(), logits.len());
    for (found, expected) in kept.logits.iter().zip(&logits) {
        assert!((found - expected).abs() <= TOLERANCE * (1.0 + expected.abs()), "{found} is not {expected}");
    }
    assert_eq!(kept.texts, found["texts"].as_str().unwrap());

    // What is predicted text by text is what was judged.
    let lines: String = texts.iter().map(|one| json!({ "text": one["text"] }).to_string() + "\n").collect();
    let predicted = predicted(&engine, &lines);
    for (row, prediction) in predicted.iter().enumerate() {
        for (place, axis) in kept.axes.iter().enumerate() {
            let temperature = expected["temperatures"][axis.name()].as_f64().unwrap_or(1.0);
            let second = metrics::probability(kept.logits[row * kept.axes.len() + place], temperature);
            let of_axis = &prediction["axes"][axis.name()];
            let is_second = of_axis["letter"] == axis.letters()[1].to_string();
            let found = of_axis["probability"].as_f64().unwrap();
            let found = if is_second { found } else { 1.0 - found };
            // The sums of a batch are of another order than those of a single text.
            assert!((found - second).abs() < TOLERANCE, "text {row}, {axis}: {found} is not {second}");
        }
    }
}

fn predicted(engine: &Engine, lines: &str) -> Vec<Value> {
    use std::io::Write;
    let mut command = engine.command(&["predict", "--run", "1", "--lines"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn texts_that_the_run_learned_from_are_told_and_without_them_its_own_assessment_is_found_again() {
    let engine = trained("bert");
    let run = engine.json(&["runs", "show", "1"])["run"].clone();
    let found = engine.json(&["evaluate", "1", "--data", "own"]);
    let overlap = &found["overlap"];
    assert_eq!(overlap["training_texts"], run["split"]["train_examples"]);
    assert_eq!(overlap["validation_texts"], run["split"]["valid_examples"]);
    assert_eq!(overlap["texts"], overlap["training_texts"]);
    assert_eq!(found["all"]["texts"], 96);
    assert_eq!(found["unseen"]["texts"], run["split"]["valid_examples"]);
    // Temperatures change probabilities, and neither what is told nor the order.
    for level in ["by_text", "by_author"] {
        for (axis, own) in run["assessment"][level]["axes"].as_object().unwrap() {
            let again = &found["unseen"]["model"][level]["axes"][axis];
            for metric in ["accuracy", "balanced_accuracy", "f1", "mcc", "confusion", "majority_accuracy"] {
                assert_eq!(again["metrics"][metric], own["metrics"][metric], "{level} {axis} {metric}");
            }
            assert_eq!(again["intervals"]["balanced_accuracy"], own["intervals"]["balanced_accuracy"]);
        }
        assert_eq!(found["unseen"]["words"][level], run["baseline"]["assessment"][level], "{level}");
    }
    assert!(found["unseen"]["beside_words"]["mean"]["value"].is_number());
    let shown = engine.ok(&["evaluate", "1", "--data", "own"]);
    assert!(shown.contains("BEWARE: the run learned from") && shown.contains("majority  words"), "{shown}");
    assert!(shown.contains("The run was validated with"), "{shown}");
}

#[test]
fn texts_of_another_source_are_told_from_those_of_authors_and_copies_that_were_learned_from() {
    let engine = trained("words");
    letters(&engine, "other", 100..108);
    let found = engine.json(&["evaluate", "1", "--data", "other"]);
    assert_eq!(found["overlap"]["texts"], 0);
    assert_eq!((&found["unseen"], &found["all"]["words"]), (&Value::Null, &Value::Null));
    assert!(engine.ok(&["evaluate", "1", "--data", "other"]).contains("None of these texts shares"));

    // Two texts of an author that was learned from, a copy by somebody else, and one that has nothing of it.
    let split: Value =
        serde_json::from_slice(&std::fs::read(engine.home.path().join("runs/1/split.json")).unwrap())
            .unwrap();
    let row = split["train"][0].as_u64().unwrap() as usize;
    let own = std::fs::read_to_string(engine.home.path().join("own.csv")).unwrap();
    let learned: Vec<&str> = own.lines().nth(row + 1).unwrap().split(',').collect();
    let mixed = format!(
        "author,body,mbti\n{a},nothing like it,INFP\n{a},and this is another one,ESTJ\nz,{text}!,INFP\nz,quite new,ESTJ\n",
        a = learned[0],
        text = learned[1].to_uppercase()
    );
    let path = engine.file("mixed.csv", mixed);
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "mixed"]);
    let found = engine.json(&["evaluate", "1", "--data", "mixed"]);
    let overlap = &found["overlap"];
    assert_eq!((&overlap["texts_of_shared_authors"], &overlap["exact_duplicates"]), (&json!(2), &json!(1)));
    assert_eq!((&overlap["texts"], &overlap["training_texts"]), (&json!(3), &json!(0)));
    assert_eq!(found["unseen"]["texts"], 1);

    // Parts of the run's data set are known by their texts, whatever they are called.
    engine.ok(&["datasets", "sample", "own", "--to", "half", "--fraction", "0.5"]);
    let half = engine.json(&["evaluate", "1", "--data", "half"]);
    let count = |name: &str| half["overlap"][name].as_i64().unwrap();
    assert_eq!((count("training_texts"), count("exact_duplicates") + count("validation_texts")), (0, 48));
    assert!(count("validation_texts") > 0 && half["unseen"]["texts"] == count("validation_texts"));

    // What was learned from cannot be told any more once it is gone, and another of its name says nothing.
    engine.ok(&["datasets", "remove", "own"]);
    let found = engine.json(&["evaluate", "1", "--data", "mixed"]);
    assert_eq!((&found["overlap"], &found["unseen"]), (&Value::Null, &Value::Null));
    assert!(engine.ok(&["evaluate", "1", "--data", "mixed"]).contains("no longer there"));

    // Imported again, it is known by its texts, whatever it is called.
    let path = engine.home.path().join("own.csv");
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "another name"]);
    assert_eq!(engine.json(&["evaluate", "1", "--data", "mixed"])["overlap"], overlap.clone());
    let own = engine.json(&["evaluate", "1", "--data", "another name"]);
    assert!(own["overlap"]["training_texts"].as_i64().unwrap() > 0, "{own}");
    assert!(!engine.ok(&["evaluate", "--table"]).contains("gone"));
}

#[test]
fn what_was_found_is_listed_by_run_and_in_a_table_and_two_runs_are_compared_on_texts_that_neither_knew() {
    let engine = trained("words");
    train(&engine, "words", "1e-2");
    letters(&engine, "other", 100..112);
    let missing = engine.fails(&["evaluate", "--compare", "1", "2", "--data", "other"]);
    assert!(missing.contains("mbti evaluate 1 --data other"), "{missing}");
    for (run, data) in [("1", "other"), ("2", "other"), ("1", "own"), ("2", "own")] {
        engine.ok(&["evaluate", run, "--data", data]);
    }
    let listed = engine.json(&["evaluate", "2"]);
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|found| found["data"].as_str().unwrap()).collect();
    assert_eq!(names, ["other", "own"]);
    assert!(listed[0]["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(engine.json(&["evaluate", "--table"]).as_array().unwrap().len(), 4);
    let table = engine.ok(&["evaluate", "--table"]);
    assert!(table.contains("other") && table.contains("* without the texts"), "{table}");
    assert!(engine.ok(&["evaluate", "1"]).contains("mean balanced accuracy"));

    let compare = |data: &str, more: &[&str]| {
        engine.json(&[&["evaluate", "--compare", "1", "2", "--data", data], more].concat())
    };
    let found = compare("OTHER", &[]);
    assert_eq!((&found["first"], &found["second"], &found["data"]), (&json!(1), &json!(2), &json!("other")));
    assert_eq!((&found["found"]["units"], &found["found"]["texts"]), (&json!(12), &json!(48)));
    assert_eq!((&found["left_out"], &found["overlap_known"]), (&json!(0), &json!(true)));
    assert_eq!(found, compare("other", &[]));
    let value = |found: &Value| found["found"]["mean"]["value"].as_f64().unwrap();
    let mean = |run: usize| {
        let found = engine.json(&["evaluate", &run.to_string()]);
        found[0]["all"]["model"]["mean_balanced_accuracy"]["value"].as_f64().unwrap()
    };
    assert!((value(&found) - (mean(1) - mean(2))).abs() < 1e-12);
    // Both were validated with the same texts, and learned from all others.
    let own = compare("own", &[]);
    let valid = engine.json(&["runs", "show", "1"])["run"]["split"]["valid_examples"].clone();
    assert_eq!(own["found"]["texts"], valid);
    assert_eq!(own["left_out"].as_i64().unwrap(), 96 - valid.as_i64().unwrap());
    let said = engine.ok(&["evaluate", "--compare", "1", "2", "--data", "other"]);
    assert!(
        said.contains("is better than run") || said.contains("can be told from these 12 authors"),
        "{said}"
    );
    let alike = engine.fails(&["evaluate", "--compare", "1", "1", "--data", "other"]);
    assert!(alike.contains("cannot be compared with itself"), "{alike}");
    let shown = engine.ok(&["runs", "show", "1"]);
    assert!(shown.contains("evaluated on other, own: `mbti evaluate 1`"), "{shown}");

    engine.ok(&["runs", "remove", "2"]);
    assert_eq!(engine.json(&["evaluate", "--table"]).as_array().unwrap().len(), 2);
    assert!(engine.fails(&["evaluate", "2", "--data", "other"]).contains("no run 2"));
}

#[test]
fn what_cannot_be_evaluated_is_refused_in_a_sentence() {
    let engine = trained("words");
    assert!(engine.fails(&["evaluate", "1", "--data", "none"]).contains("no data set named \"none\""));
    assert!(engine.fails(&["evaluate", "9", "--data", "own"]).contains("no run 9"));
    assert!(engine.fails(&["evaluate", "9"]).contains("no run 9"));
    assert_eq!(engine.json(&["evaluate", "1"]), json!([]));
    // The window hears how far it is on standard error.
    let output = engine.output(&["evaluate", "1", "--data", "own", "--json", "--progress-stderr"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let first: Value =
        serde_json::from_str(said.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&first["progress"]["kind"], &first["progress"]["total"]), (&json!("texts"), &json!(96)));
}
