//! Data sets by command: mapped, cleaned, sampled, parted, judged for leaks, written out and read again.
#![allow(clippy::unwrap_used)]

mod common;

use common::Engine;
use serde_json::Value;

/// Six authors of three types, with an address, a type word and a text that comes twice.
fn import(engine: &Engine) {
    let mut rows = String::from("who,said,kind\n");
    for author in 0..12 {
        let kind = ["INFP-T", "estj", "ENTP"][author % 3];
        for text in 0..4 {
            rows += &format!(
                "a{author},\"text {text} of author {author}, about https://x.example/{text}\",{kind}\n"
            );
        }
        rows += &format!(
            "a{author},\"this very sentence is what each of them has written once, word by word\",{kind}\n"
        );
    }
    rows += "a0,\"I have always been an INFP at heart\",INFP\n";
    let path = engine.home.path().join("texts.csv");
    std::fs::write(&path, rows).unwrap();
    let preview = engine.json(&["datasets", "import", path.to_str().unwrap(), "--preview"]);
    assert_eq!(preview["mapping"]["mbti"], "kind");
    let map = "text=said,author=who,type=kind";
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "d", "--map", map]);
}

fn names(engine: &Engine) -> Vec<String> {
    let all = engine.json(&["datasets", "list"]);
    all.as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap().to_owned()).collect()
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["cleaning"]["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap()
}

#[test]
fn cleaning_makes_a_new_data_set_and_counts_what_it_did() {
    let engine = Engine::new();
    import(&engine);
    let report = engine.json(&[
        "datasets",
        "clean",
        "d",
        "--to",
        "clean",
        "--recommended",
        "--near-duplicates",
        "none",
    ]);
    assert_eq!(step(&report, "urls")["changed"], 48);
    assert_eq!(step(&report, "type_words")["changed"], 1);
    assert_eq!(step(&report, "exact_duplicates")["dropped"], 11);
    assert_eq!((&report["rows"], &report["data_set"]["examples"]), (&Value::from(61), &Value::from(50)));
    assert_eq!(engine.json(&["datasets", "show", "d"])["data_set"]["examples"], 61);
    let about = std::fs::read(engine.home.path().join("datasets/clean/about.json")).unwrap();
    let about: Value = serde_json::from_slice(&about).unwrap();
    assert_eq!(about["recipe"]["mapping"]["text"], "said");
    assert_eq!(about["recipe"]["steps"][0]["kind"], "clean");
    assert!(engine.fails(&["datasets", "clean", "d", "--to", "clean"]).contains("clean"));
    assert!(
        engine.fails(&["datasets", "clean", "d", "--to", "none", "--shortest", "9999"]).contains("0 texts")
    );
    assert_eq!(names(&engine), ["d", "clean"]);
}

#[test]
fn sampling_and_parting_make_data_sets_that_share_no_author() {
    let engine = Engine::new();
    import(&engine);
    let sample = engine.json(&["datasets", "sample", "d", "--to", "some", "--fraction", "0.5"]);
    assert_eq!(sample["data_set"]["examples"], 30);
    let parts = engine.json(&["datasets", "split", "d", "--valid", "0.25", "--test", "0.25"]);
    let sizes: Vec<i64> =
        parts.as_array().unwrap().iter().map(|part| part["data_set"]["authors"].as_i64().unwrap()).collect();
    assert_eq!(sizes, [6, 3, 3]);
    let leaks = engine.json(&["datasets", "leaks", "d-train", "--with", "d-test", "--quick"]);
    assert_eq!(leaks["split"]["shared_authors"], 0);
    assert_eq!(leaks["exact_duplicates"], 3);
    engine.ok(&["datasets", "split", "d", "--folds", "3", "--to", "round"]);
    let rounds: Vec<String> = names(&engine).into_iter().filter(|name| name.starts_with("round")).collect();
    assert_eq!(rounds.len(), 6);
    let valid = |fold: u32| engine.json(&["datasets", "show", &format!("round-fold{fold}-valid")]);
    let all: i64 = (1..4).map(|fold| valid(fold)["data_set"]["examples"].as_i64().unwrap()).sum();
    assert_eq!(all, 61);
    for wrong in [["--fraction", "0"], ["--fraction", "1.5"]] {
        assert!(
            engine
                .fails(&["datasets", "sample", "d", "--to", "x", wrong[0], wrong[1]])
                .contains("between 0 and 1")
        );
    }
}

#[test]
fn a_split_by_text_leaks_more_than_one_by_author_and_it_says_what_to_do() {
    let engine = Engine::new();
    import(&engine);
    let share = |by: &str| {
        let leaks = engine.json(&["datasets", "leaks", "d", "--by", by, "--seed", "1"]);
        leaks["leaking_texts"].as_f64().unwrap() / leaks["split"]["valid_examples"].as_f64().unwrap()
    };
    let (by_text, by_author) = (share("text"), share("author"));
    assert!(by_text > 0.9 && by_author < 0.5, "{by_text} {by_author}");
    let told = engine.ok(&["datasets", "leaks", "d", "--by", "text"]);
    assert!(told.contains("split by author"), "{told}");
}

#[test]
fn what_is_exported_is_imported_again_as_it_was() {
    let engine = Engine::new();
    import(&engine);
    let texts = |name: &str| {
        let path = engine.home.path().join(format!("{name}.jsonl"));
        engine.ok(&["datasets", "export", name, path.to_str().unwrap()]);
        std::fs::read_to_string(path).unwrap()
    };
    let before = texts("d");
    for format in ["csv", "jsonl", "parquet"] {
        let path = engine.home.path().join(format!("out.{format}"));
        engine.ok(&["datasets", "export", "d", path.to_str().unwrap()]);
        engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", format]);
        assert_eq!(texts(format), before, "{format}");
        assert!(
            engine
                .fails(&["datasets", "export", "d", path.to_str().unwrap()])
                .contains("There is something at")
        );
    }
}
