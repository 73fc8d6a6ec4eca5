//! Small model folders for the tests of several crates, which take this file in by its path.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// A tokenizer of the letters from a, with the ids from 4; `[CLS]` is 2 and `[SEP]` is 3.
pub fn letters_tokenizer(post_processor: &str) -> String {
    let letters: Vec<String> = ('a'..='z').enumerate().map(|(n, c)| format!("\"{c}\": {}", n + 4)).collect();
    format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": {{"type": "Lowercase"}}, "post_processor": {post_processor}, "decoder": null,
            "pre_tokenizer": {{"type": "Split", "pattern": {{"String": ""}}, "behavior": "Isolated", "invert": false}},
            "model": {{"type": "WordLevel", "unk_token": "[UNK]", "vocab": {{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2,
            "[SEP]": 3, {}}}}}}}"#,
        letters.join(", ")
    )
}

/// What tests/reference has recorded: the folder that MBTI_TEST_FIXTURES names, for tests that are carried to another
/// machine, or the checkout's.
fn fixtures() -> PathBuf {
    if let Some(folder) = std::env::var_os("MBTI_TEST_FIXTURES") {
        return folder.into();
    }
    // The package is the workspace itself or a crate in it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = package.ancestors().map(|folder| folder.join("tests/reference/fixtures"));
    all.find(|folder| folder.is_dir()).unwrap()
}

/// The tiny BERT that tests/reference/families.py made, with a tokenizer of letters.
pub fn tiny_bert(folder: &Path) -> PathBuf {
    let fixture = fixtures().join("families/bert-all/model");
    let folder = folder.join("tiny-bert");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture.join(name), folder.join(name)).unwrap();
    }
    let bert = r#"{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}"#;
    std::fs::write(folder.join("tokenizer.json"), letters_tokenizer(bert)).unwrap();
    folder
}
