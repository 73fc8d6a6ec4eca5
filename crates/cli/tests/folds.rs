//! Cross-validation by author as one run.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use common::{Engine, letters, scikit_learn, tiny_bert};
use data::TextLogits;
use mbti::Axis;
use metrics::Judged;
use serde_json::{Value, json};

/// An engine with texts of letters by 24 authors, and a tiny BERT.
fn with_letters() -> Engine {
    let engine = Engine::new();
    letters(&engine, "own", 0..24);
    let bert = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", bert.to_str().unwrap(), "--name", "bert"]);
    engine
}

const BERT: [&str; 10] = [
    "train",
    "--model",
    "bert",
    "--max-length",
    "64",
    "--learning-rate",
    "1e-3",
    "--seed",
    "5",
    "--max-steps",
];

fn run_folder(engine: &Engine, run: i64) -> PathBuf {
    engine.home.path().join("runs").join(run.to_string())
}

/// The rows that a run learned from and those that judged it.
fn split(engine: &Engine, run: i64) -> [Vec<u32>; 2] {
    let split: Value =
        serde_json::from_slice(&std::fs::read(run_folder(engine, run).join("split.json")).unwrap()).unwrap();
    ["train", "valid"].map(|part| serde_json::from_value(split[part].clone()).unwrap())
}

fn answers(engine: &Engine, run: i64, name: &str) -> TextLogits {
    data::read_logits(&run_folder(engine, run).join(name)).unwrap()
}

fn shown(engine: &Engine, run: i64) -> Value {
    engine.json(&["runs", "show", &run.to_string()])
}

/// The report that is the last but one of what `train --json` tells.
fn report(events: &[Value]) -> &Value {
    let [.., report, finished] = events else { panic!("{events:?}") };
    assert_eq!((&report["event"], &finished["event"]), (&json!("cross_validation"), &json!("finished")));
    assert_eq!((&report["run"], &finished["run"]), (&json!(1), &json!(1)));
    report
}

#[test]
fn the_folds_together_are_what_single_runs_on_the_same_splits_make_by_hand() {
    let engine = with_letters();
    let settings = [&BERT[..], &["6", "--data"]].concat();
    let events = engine.events(&[&settings[..], &["own", "--folds", "3"]].concat());
    let found = report(&events).clone();

    engine.ok(&["datasets", "split", "own", "--to", "hand", "--folds", "3", "--seed", "5"]);
    let (mut by_row, mut authors_seen) = (BTreeMap::new(), BTreeSet::new());
    for fold in 1..=3 {
        let [train, valid] = ["train", "valid"].map(|part| format!("hand-fold{fold}-{part}"));
        engine.ok(&[&settings[..], &[&train, "--valid", &valid]].concat());
        let [own, hand] = [1 + fold, 4 + fold];
        let (of_fold, by_hand) = (shown(&engine, own)["run"].clone(), shown(&engine, hand)["run"].clone());
        assert_eq!((&of_fold["fold_of"], &of_fold["config"]["fold"]), (&json!(1), &json!(fold)));
        assert_eq!(of_fold["assessment"], by_hand["assessment"]);
        assert_eq!(of_fold["baseline"]["assessment"], by_hand["baseline"]["assessment"]);

        // Whoever is judged was not learned from, and nobody is judged twice.
        let [learned, judged] = split(&engine, own);
        assert_eq!(learned.len() + judged.len(), 96);
        let kept = answers(&engine, own, "fold-answers.parquet");
        let authors: BTreeSet<String> = kept.labels.names.iter().cloned().collect();
        assert!(authors.is_disjoint(&authors_seen));
        authors_seen.extend(authors);

        // What a model says again of these texts is what was kept of it.
        engine.ok(&["evaluate", &hand.to_string(), "--data", &valid]);
        let again = answers(&engine, hand, &format!("evaluations/{valid}.parquet"));
        assert_eq!((&kept.texts, &kept.labels, &kept.axes), (&again.texts, &again.labels, &again.axes));
        let words = answers(&engine, own, "fold-answers-words.parquet");
        for (place, row) in judged.into_iter().enumerate() {
            let of = |found: &TextLogits| found.logits[4 * place..][..4].to_vec();
            for (one, other) in of(&kept).iter().zip(of(&again)) {
                assert!((one - other).abs() < 1e-9, "{one} is not {other}");
            }
            let author = kept.labels.author(place).unwrap().to_owned();
            let known = (author, kept.labels.types[place], of(&again), of(&words));
            assert!(by_row.insert(row, known).is_none(), "row {row} was judged twice");
        }
    }
    assert_eq!(by_row.keys().copied().collect::<Vec<_>>(), (0..96).collect::<Vec<u32>>());
    assert_eq!(authors_seen.len(), 24);

    let types: Vec<_> = by_row.values().map(|text| text.1).collect();
    let mut numbers = BTreeMap::new();
    let authors: Vec<_> = by_row
        .values()
        .map(|text| {
            let next = numbers.len() as u32;
            Some(*numbers.entry(text.0.clone()).or_insert(next))
        })
        .collect();
    let [model, words] = [|text: &Text| text.2.clone(), |text: &Text| text.3.clone()]
        .map(|of| by_row.values().flat_map(of).collect::<Vec<f64>>());
    let judged = |logits| Judged { axes: &Axis::ALL, logits, types: &types, authors: &authors };
    let json = |judgement: record::Judgement| serde_json::to_value(judgement).unwrap();
    assert_eq!(found["pooled"]["texts"], 96);
    assert_eq!(found["pooled"]["model"], json(metrics::judge(&judged(&model[..]), 5)));
    assert_eq!(found["pooled"]["words"], json(metrics::judge(&judged(&words[..]), 5)));
    let beside = metrics::compare(&judged(&model[..]), &judged(&words[..]), 5);
    assert_eq!(found["pooled"]["beside_words"], serde_json::to_value(beside).unwrap());

    // The folds by themselves, and how far they lie apart.
    let accuracies: Vec<f64> = (2..=4)
        .map(|run| {
            shown(&engine, run)["run"]["assessment"]["by_author"]["axes"]["E-I"]["metrics"]["accuracy"]
                .as_f64()
                .unwrap()
        })
        .collect();
    let mean = accuracies.iter().sum::<f64>() / 3.0;
    let squares: f64 = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum();
    let spread = &found["by_author"]["E-I"]["accuracy"];
    assert_eq!((&spread["count"], spread["mean"].as_f64()), (&json!(3), Some(mean)));
    assert!((spread["standard_deviation"].as_f64().unwrap() - (squares / 2.0).sqrt()).abs() < 1e-12);
    assert_eq!(found["folds"][1]["by_author"]["units"], 8);
}

type Text = (String, mbti::Type, Vec<f64>, Vec<f64>);

#[test]
fn what_is_judged_together_has_the_metrics_that_scikit_learn_computes() {
    let engine = Engine::new();
    let expected: Value =
        serde_json::from_slice(&std::fs::read(scikit_learn::fixture().join("expected.json")).unwrap())
            .unwrap();
    let rows: String = expected["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["author", "text", "mbti"].map(|name| one[name].as_str().unwrap()).join(",") + "\n")
        .collect();
    let path = engine.file("judged.csv", format!("author,body,mbti\n{rows}"));
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "judged"]);
    engine.ok(&["train", "--data", "judged", "--model", "words", "--folds", "3", "--max-steps", "2"]);

    // Each fold gives the answers of the reference, as its temperatures have them, in place of its own.
    for run in 2..=4 {
        let own = answers(&engine, run, "fold-answers.parquet");
        let logits = split(&engine, run)[1]
            .iter()
            .flat_map(|&row| {
                let of_text = expected["logits"][row as usize].as_array().unwrap();
                let axes = Axis::ALL.iter().zip(of_text);
                axes.map(|(axis, logit)| {
                    let temperature = expected["temperatures"][axis.name()].as_f64().unwrap_or(1.0);
                    logit.as_f64().unwrap() / temperature
                })
            })
            .collect();
        let path = run_folder(&engine, run).join("fold-answers.parquet");
        data::write_logits(&path, &TextLogits { logits, ..own }).unwrap();
    }
    // As if it had been stopped before they were judged together.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store::Store::open(&engine.home.path().join("history.sqlite")).await.unwrap();
        let finished = json!({ "run": 1, "steps": 0, "stopped": true, "train_seconds": 0.0, "tokens_per_second": 0.0,
            "samples_per_second": 0.0, "peak_rss_mib": null, "optimizer_mib": 0.0, "best_step": null,
            "stopped_early": false, "axes": {} });
        store.write_down(1, &[store::Told::Finished(serde_json::from_value(finished).unwrap())]).await.unwrap();
        store.close().await;
    });
    let events = engine.events(&["train", "--resume", "1"]);
    assert_eq!(events.len(), 2, "nothing is trained again: {events:?}");
    let pooled = &report(&events)["pooled"]["model"];
    for level in ["by_text", "by_author"] {
        scikit_learn::compare(&pooled[level], &expected[level], level);
    }
    scikit_learn::compare(
        &pooled["mean_balanced_accuracy"]["value"],
        &expected["mean_balanced_accuracy"],
        "mean",
    );
    // Of the bag of words itself there is nothing to compare with.
    assert_eq!(report(&events)["pooled"]["words"], Value::Null);
}

#[cfg(unix)]
#[test]
fn a_cross_validation_that_was_stopped_goes_on_with_the_interrupted_fold_and_ends_with_the_same_report() {
    use std::process::{Command, Stdio};
    let settings = [&BERT[..], &["400", "--data", "own", "--folds", "3"]].concat();
    let whole = with_letters();
    let expected = report(&whole.events(&settings)).clone();

    let engine = with_letters();
    let mut child = engine.command(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    common::wait_until("the first steps of the second fold", || {
        let shown = engine.output(&["runs", "show", "3", "--json"]);
        serde_json::from_slice::<Value>(&shown.stdout)
            .is_ok_and(|shown| shown["steps"].as_array().is_some_and(|steps| !steps.is_empty()))
    });
    // The signal is for the cross-validation alone, as a service manager might send it.
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    common::wait_until("the end", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    let stopped = shown(&engine, 1);
    assert_eq!((&stopped["run"]["status"], &stopped["resumable"]), (&json!("stopped"), &json!(true)));
    assert_eq!(stopped["run"]["cross_validation"], Value::Null);
    assert_eq!(engine.status(2), "finished");
    let before = shown(&engine, 2);
    let begun = stopped["folds"].as_array().unwrap();
    let last = begun.last().unwrap();
    assert_eq!(last["status"], "stopped", "{begun:?}");
    let steps = last["step"].as_i64().unwrap();
    assert!(steps > 0 && steps < 400);

    let events = engine.events(&["train", "--resume", "1"]);
    assert_eq!(report(&events), &expected);
    assert_eq!(shown(&engine, 2), before, "what was finished is not trained again");
    let run = |fold: &Value| fold["run"].as_i64().unwrap();
    let folds = shown(&engine, 1)["folds"].as_array().unwrap().clone();
    assert_eq!(folds.iter().map(run).collect::<Vec<_>>(), [2, 3, 4]);
    // The steps that the interrupted fold had learned were not learned again.
    let first = events.iter().find(|event| event["event"] == "step").unwrap();
    assert_eq!(first["step"].as_i64(), Some(steps + 1));
    assert_eq!(engine.json(&["runs", "list"]).as_array().unwrap().len(), 4);
    let again = engine.fails(&["train", "--resume", "1"]);
    assert!(again.contains("is finished"), "{again}");
}

#[test]
fn a_report_is_shown_again_and_compared_and_goes_with_the_folds() {
    let engine = with_letters();
    let fixed = ["train", "--data", "own", "--model", "words", "--max-steps", "4"];
    let told = engine.ok(&[&fixed[..], &["--folds", "2"]].concat());
    assert!(told.contains("a cross-validation in 2 folds: 96 texts judged once"), "{told}");
    assert!(told.contains("By 24 authors, with 95 % intervals:"), "{told}");
    assert!(told.contains("The folds by themselves, by authors:") && told.contains("fold 2 (12)"), "{told}");
    let again = engine.ok(&["runs", "show", "1"]);
    assert!(again.ends_with(&told), "{again}");
    assert!(again.contains("fold 1 of 2: run 2, finished"), "{again}");
    let fold = engine.ok(&["runs", "show", "3"]);
    assert!(fold.contains("fold 2 of 2 of the cross-validation 1"), "{fold}");
    let list = engine.ok(&["runs", "list"]);
    assert!(list.contains("own (2 folds)") && list.contains("own (fold 1 of 2 of run 1)"), "{list}");

    engine.ok(&[&fixed[..], &["--folds", "2", "--fold", "2"]].concat());
    let alone = shown(&engine, 4);
    assert_eq!(alone["run"]["assessment"], shown(&engine, 3)["run"]["assessment"]);
    let compared = engine.ok(&["runs", "compare", "1", "4"]);
    assert!(compared.contains("E-I balanced_accuracy by authors"), "{compared}");
    let predicted = engine.json(&["predict", "abc def"]);
    assert_eq!(predicted["run"], 4, "all are models of folds, and the newest is taken");
    let missing = engine.fails(&["predict", "--run", "1", "abc"]);
    assert!(missing.contains("Run 1 is a cross-validation"), "{missing}");

    engine.ok(&["runs", "remove", "1"]);
    let left = engine.json(&["runs", "list"]);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!(4)));
}

#[test]
fn without_authors_texts_are_parted_and_an_estimate_is_of_all_folds() {
    let engine = Engine::new();
    let texts: String = (0..40)
        .map(|n| format!("text number {n} about it,{}\n", ["INFP", "ESTJ", "ENTP", "ISFJ"][n % 4]))
        .collect();
    let path = engine.file("d.csv", format!("body,mbti\n{texts}"));
    engine.ok(&["datasets", "import", path.to_str().unwrap()]);
    let settings = ["train", "--data", "d", "--model", "words", "--max-steps", "2", "--folds", "4"];
    let estimate = engine.events(&[&settings[..], &["--estimate"]].concat());
    assert_eq!(estimate.last().unwrap()["total_steps"], 8);
    let events = engine.events(&settings);
    let found = report(&events);
    assert_eq!((&found["pooled"]["texts"], &found["by_author"]), (&json!(40), &Value::Null));
    assert_eq!(found["folds"][3]["by_text"]["units"], 10);
    assert_eq!(engine.json(&["runs", "show", "2"])["run"]["split"]["method"], "by_text");
}

#[test]
fn folds_that_cannot_be_are_refused_in_a_sentence_before_anything_is_trained() {
    let engine = Engine::new();
    engine.import_small("d");
    letters(&engine, "own", 0..24);
    let refused = |data: &str, more: &[&str]| {
        engine.fails(&[&["train", "--data", data, "--model", "words"], more].concat())
    };
    assert!(
        refused("d", &["--folds", "1"]).contains("folds cannot be 1. Allowed: a whole number from 2 to 100")
    );
    assert!(refused("d", &["--folds", "9"]).contains("only 8 authors for 9 folds"));
    assert!(refused("d", &["--folds", "3", "--fold", "4"]).contains("fold cannot be 4"));
    assert!(refused("d", &["--fold", "1"]).contains("none without folds"));
    assert!(refused("d", &["--folds", "3", "--valid", "own"]).contains("none beside a validation set"));
    assert!(refused("d", &["--folds", "3", "--push-to-hub", "a/b"]).contains("no model of its own"));
    // Of 24 authors 12 have each letter.
    let few = refused("own", &["--folds", "13"]);
    assert!(few.contains("only 12 authors with E on the axis E-I, too few for 13 folds"), "{few}");
    let one: String =
        (0..12).map(|n| format!("a{n},some text {n},{}\n", if n < 2 { "INFP" } else { "INFJ" })).collect();
    let path = engine.file("one.csv", format!("author,body,mbti\n{one}"));
    engine.ok(&["datasets", "import", path.to_str().unwrap()]);
    let few = refused("one", &["--folds", "3", "--axes", "J-P"]);
    assert!(few.contains("only 2 authors with P") && few.contains("at most 2 folds"), "{few}");
    assert_eq!(engine.json(&["runs", "list"]), json!([]));
}
