//! Which of a repository's files are needed.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use record::RemoteFile;
use serde_json::Value;

use crate::{
    error::{Error, Needed, Result},
    folder::{CONFIG, FILES, NOTES},
    shown::shown_list,
};

/// Where sentence-transformers may keep the language model.
const INNER: &str = "0_Transformer/";
/// Patterns of files that a card may have.
const PATTERNS: usize = 1000;
/// Splits that are looked for to be told of, where the one that is wanted is not there.
const KNOWN: usize = 20;

/// What a model needs: its config, its tokenizer, its licence, and its weights in safetensors. A repository often has
/// the same weights in three other formats, which would be three times the download for nothing.
pub(crate) fn model_files(repo: &str, files: &[RemoteFile]) -> Result<Vec<RemoteFile>> {
    let at = |folder: &str| -> Vec<&RemoteFile> {
        let inside =
            |file: &&RemoteFile| file.path.strip_prefix(folder).is_some_and(|name| !name.contains('/'));
        files.iter().filter(inside).collect()
    };
    let has_weights = |files: &[&RemoteFile]| files.iter().any(|file| is_weights(name_of(&file.path)));
    let (mut chosen, mut folder) = (at(""), "");
    if !has_weights(&chosen) {
        // sentence-transformers may keep the language model in a folder of its own.
        folder = INNER;
        let inner = at(INNER);
        if !has_weights(&inner) {
            return Err(Error::NothingUsable { repo: repo.to_owned(), needed: Needed::Weights });
        }
        chosen.extend(inner);
    }
    // Nothing could be done with gigabytes without these few bytes.
    if !chosen.iter().any(|file| file.path.strip_prefix(folder) == Some(CONFIG)) {
        return Err(Error::NothingUsable { repo: repo.to_owned(), needed: Needed::Config });
    }
    let single = chosen.iter().any(|file| name_of(&file.path) == "model.safetensors");
    let wanted = |file: &&&RemoteFile| {
        let name = name_of(&file.path);
        match name {
            "modules.json" => true,
            _ if FILES.contains(&name) || NOTES.contains(&name) => true,
            "model.safetensors" => true,
            _ => !single && is_weights(name),
        }
    };
    Ok(chosen.iter().filter(wanted).map(|file| (*file).clone()).collect())
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Weights as Transformers saves them: one file, or shards with an index.
fn is_weights(name: &str) -> bool {
    let shard = || {
        let middle = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
        let (number, of) = middle.split_once("-of-")?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(number) && digits(of)).then_some(())
    };
    matches!(name, "model.safetensors" | "model.safetensors.index.json") || shard().is_some()
}

/// What is wanted of a data set.
#[derive(Debug, Clone)]
pub struct DataWish<'a> {
    pub config: Option<&'a str>,
    pub split: &'a str,
    /// Endings of files that can be read, such as `csv` and `csv.gz`.
    pub endings: &'a [&'a str],
}

/// The files of one split, found as `datasets` finds them: by what the card's `configs` say, else by the words in
/// their paths. Empty where nothing can be read, so that the converted branch can be looked at.
pub(crate) fn data_files(
    files: &[RemoteFile],
    card: &Value,
    wish: &DataWish,
) -> std::result::Result<Vec<RemoteFile>, Vec<String>> {
    let readable = |file: &&RemoteFile| {
        let name = name_of(&file.path).to_lowercase();
        let hidden = file.path.split('/').any(|part| part.starts_with(['.', '_']));
        !hidden && wish.endings.iter().any(|ending| name.ends_with(&format!(".{ending}")))
    };
    let all: Vec<&RemoteFile> = files.iter().filter(readable).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(configs) = card.get("configs").and_then(Value::as_array).filter(|configs| !configs.is_empty())
    {
        return by_card(&all, configs, wish);
    }
    let split_of = |file: &&RemoteFile| split_in(&file.path);
    let mut splits: Vec<&str> = all.iter().filter_map(split_of).collect();
    splits.sort_unstable();
    splits.dedup();
    let wanted = split_in(wish.split).unwrap_or(wish.split);
    let chosen: Vec<RemoteFile> = match splits.contains(&"train") || splits.contains(&wanted) {
        true => {
            all.iter().filter(|file| split_of(file) == Some(wanted)).map(|file| (*file).clone()).collect()
        }
        // Without any word in their paths all files are to learn from.
        false if wanted == "train" => {
            all.iter().filter(|file| split_of(file).is_none()).map(|file| (*file).clone()).collect()
        }
        false => Vec::new(),
    };
    if chosen.is_empty() {
        let mut known: Vec<String> = splits.into_iter().map(str::to_owned).collect();
        if known.is_empty() {
            known.push("train".to_owned());
        }
        return Err(known);
    }
    Ok(chosen)
}

/// The split that a path tells of, by the words that `datasets` knows.
fn split_in(path: &str) -> Option<&'static str> {
    let lower = path.to_lowercase();
    let words: Vec<&str> = lower.split(|letter: char| !letter.is_ascii_alphabetic()).collect();
    [
        ("train", &["train", "training"][..]),
        ("validation", &["validation", "valid", "dev", "val"][..]),
        ("test", &["test", "testing", "eval", "evaluation"][..]),
    ]
    .into_iter()
    .find_map(|(split, names)| names.iter().any(|name| words.contains(name)).then_some(split))
}

fn by_card(
    all: &[&RemoteFile],
    configs: &[Value],
    wish: &DataWish,
) -> std::result::Result<Vec<RemoteFile>, Vec<String>> {
    let name_of =
        |config: &&Value| config.get("config_name").and_then(Value::as_str).unwrap_or("default").to_owned();
    let is_default = |config: &&Value| {
        config.get("default").and_then(Value::as_bool) == Some(true) || name_of(config) == "default"
    };
    let found = match wish.config {
        Some(wanted) => configs.iter().find(|config| name_of(config) == wanted),
        None => configs.iter().find(is_default).or_else(|| configs.first()),
    };
    let Some(config) = found else { return Err(configs.iter().map(|config| name_of(&config)).collect()) };
    let mut patterns: Vec<(String, String)> = Vec::new();
    let mut add = |split: &str, path: &Value| match path {
        Value::String(path) => patterns.push((split.to_owned(), path.clone())),
        Value::Array(paths) => {
            let paths = paths.iter().filter_map(Value::as_str);
            patterns.extend(paths.map(|path| (split.to_owned(), path.to_owned())));
        }
        _ => {}
    };
    match config.get("data_files") {
        Some(Value::Array(parts)) => {
            for part in parts {
                match (part.get("split").and_then(Value::as_str), part.get("path")) {
                    (Some(split), Some(path)) => add(split, path),
                    _ => add("train", part),
                }
            }
        }
        Some(Value::Object(splits)) => splits.iter().for_each(|(split, path)| add(split, path)),
        Some(other) => add("train", other),
        None => add("train", &Value::String("**".to_owned())),
    }
    // Of a card that has endless ones the rest matches nothing.
    patterns.truncate(PATTERNS);
    let folder = config.get("data_dir").and_then(Value::as_str).unwrap_or_default().trim_matches('/');
    let files_of = |wanted: &str| -> Vec<RemoteFile> {
        let mut set = GlobSetBuilder::new();
        for (_, pattern) in patterns.iter().filter(|(split, _)| split == wanted) {
            let pattern = if folder.is_empty() { pattern.clone() } else { format!("{folder}/{pattern}") };
            // A pattern that is none matches nothing, which the user is told of as an absent split.
            if let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(true).build() {
                set.add(glob);
            }
        }
        let set = set.build().unwrap_or_else(|_| GlobSet::empty());
        all.iter().filter(|file| set.is_match(&file.path)).map(|file| (*file).clone()).collect()
    };
    let chosen = files_of(wish.split);
    if chosen.is_empty() {
        let mut named: Vec<String> = Vec::new();
        for (split, _) in &patterns {
            if named.len() < KNOWN && !named.contains(split) {
                named.push(split.clone());
            }
        }
        // What the card names and no file belongs to is not there.
        named.retain(|split| !files_of(split).is_empty());
        return Err(named);
    }
    Ok(chosen)
}

/// Why a split is not there, whose repository has those that are known.
pub(super) fn absent(repo: &str, wish: &DataWish, known: &[String]) -> Error {
    let repo = repo.to_owned();
    match known.is_empty() {
        true => Error::NothingUsable { repo, needed: Needed::Texts },
        false => Error::NoSplit { repo, split: wish.split.to_owned(), known: shown_list(known) },
    }
}

/// The files of one split in the branch `refs/convert/parquet`, which the Hub makes itself: `CONFIG/SPLIT/0000.parquet`.
pub(crate) fn converted_files(
    files: &[RemoteFile],
    wish: &DataWish,
) -> std::result::Result<Vec<RemoteFile>, Vec<String>> {
    // A set that was too large to convert as a whole has `partial-` before the split.
    let parts = |file: &RemoteFile| -> Option<(String, String)> {
        let mut parts = file.path.split('/');
        let (config, split, name) = (parts.next()?, parts.next()?, parts.next()?);
        let split = split.strip_prefix("partial-").unwrap_or(split);
        name.ends_with(".parquet").then(|| (config.to_owned(), split.to_owned()))
    };
    let mut configs: Vec<String> =
        files.iter().filter_map(|file| parts(file).map(|(config, _)| config)).collect();
    configs.dedup();
    let config = match wish.config {
        Some(config) => Some(config.to_owned()),
        None => configs.iter().find(|config| *config == "default").or(configs.first()).cloned(),
    };
    let chosen: Vec<RemoteFile> = files
        .iter()
        .filter(|file| parts(file).is_some_and(|(of, split)| Some(of) == config && split == wish.split))
        .cloned()
        .collect();
    if chosen.is_empty() {
        let mut known: Vec<String> =
            files.iter().filter_map(|file| parts(file).map(|(_, split)| split)).collect();
        known.sort();
        known.dedup();
        return Err(known);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files(paths: &[&str]) -> Vec<RemoteFile> {
        paths
            .iter()
            .map(|path| RemoteFile { path: (*path).to_owned(), bytes: 1, hash: "0".repeat(40), lfs: false })
            .collect()
    }

    fn paths(files: &[RemoteFile]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn of_a_model_only_safetensors_the_tokenizer_and_the_licence_are_fetched() {
        let there = files(&[
            ".gitattributes",
            "LICENSE",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
            "original/consolidated.00.pth",
            "model-00001-of-00002.safetensors",
            "model.fp16.safetensors",
            "1_Pooling/config.json",
            "modules.json",
        ]);
        let found = model_files("a/b", &there).unwrap();
        assert_eq!(
            paths(&found),
            ["LICENSE", "README.md", "config.json", "model.safetensors", "tokenizer.json", "modules.json"]
        );
        let shards = files(&[
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "consolidated.safetensors",
            "tokenizer.json",
        ]);
        assert_eq!(model_files("a/b", &shards).unwrap().len(), 5);
        let inner = files(&[
            "modules.json",
            "README.md",
            "0_Transformer/model.safetensors",
            "0_Transformer/config.json",
        ]);
        assert_eq!(model_files("a/b", &inner).unwrap().len(), 4);
        for without in [
            &["model.safetensors", "1_Pooling/config.json", "config.json/x"][..],
            &["config.json", "0_Transformer/model.safetensors"],
        ] {
            let found = model_files("a/b", &files(without));
            assert!(matches!(found, Err(Error::NothingUsable { needed: Needed::Config, .. })), "{without:?}");
        }
        let none = files(&["config.json", "pytorch_model.bin", "sub/model.safetensors"]);
        assert!(matches!(model_files("a/b", &none), Err(Error::NothingUsable { .. })));
    }

    fn wish(split: &str) -> DataWish<'_> {
        DataWish { config: None, split, endings: &["csv", "jsonl", "parquet", "csv.gz"] }
    }

    #[test]
    fn splits_are_found_by_the_words_in_paths() {
        let none = Value::Null;
        let there = files(&[
            "README.md",
            "train.csv",
            "data/test-00000.csv",
            "my_dev.csv",
            "constrain.txt",
            ".x/train.csv",
        ]);
        let find = |split: &str| data_files(&there, &none, &wish(split));
        assert_eq!(paths(&find("train").unwrap()), ["train.csv"]);
        assert_eq!(paths(&find("test").unwrap()), ["data/test-00000.csv"]);
        assert_eq!(paths(&find("validation").unwrap()), ["my_dev.csv"]);
        assert_eq!(find("other").unwrap_err(), ["test", "train", "validation"]);
        let plain = files(&["mbti.csv", "more.csv.gz"]);
        assert_eq!(data_files(&plain, &none, &wish("train")).unwrap().len(), 2);
        assert_eq!(data_files(&plain, &none, &wish("test")).unwrap_err(), ["train"]);
        assert!(data_files(&files(&["a.arrow"]), &none, &wish("train")).unwrap().is_empty());
    }

    #[test]
    fn the_card_says_which_files_are_a_split() {
        let there =
            files(&["data/train-0.parquet", "data/train-1.parquet", "data/hold.parquet", "alt/all.csv"]);
        let card: Value = serde_json::from_str(
            r#"{"configs": [{"config_name": "alt", "data_files": "alt/*.csv"}, {"config_name": "main", "default": true,
                "data_files": [{"split": "train", "path": "data/train-*"}, {"split": "test", "path": ["data/hold.parquet"]}]}]}"#,
        )
        .unwrap();
        let find = |config: Option<&'static str>, split: &'static str| {
            data_files(&there, &card, &DataWish { config, ..wish(split) })
        };
        assert_eq!(find(None, "train").unwrap().len(), 2);
        assert_eq!(paths(&find(None, "test").unwrap()), ["data/hold.parquet"]);
        assert_eq!(paths(&find(Some("alt"), "train").unwrap()), ["alt/all.csv"]);
        assert_eq!(find(None, "dev").unwrap_err(), ["train", "test"]);
        assert_eq!(find(Some("x"), "train").unwrap_err(), ["alt", "main"]);
    }

    #[test]
    fn of_the_splits_that_a_card_names_only_those_with_files_are_there() {
        let there = files(&["data/hold.csv"]);
        let card: Value = serde_json::from_str(
            r#"{"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"},
                {"split": "dev", "path": "none/*"}, {"split": "test", "path": "data/hold.csv"}]}]}"#,
        )
        .unwrap();
        let known = data_files(&there, &card, &wish("train")).unwrap_err();
        assert_eq!(known, ["test"]);
        let known = data_files(&files(&["x.csv"]), &card, &wish("train")).unwrap_err();
        let error = absent("a/b", &wish("train"), &known);
        assert!(matches!(error, Error::NothingUsable { needed: Needed::Texts, .. }), "{error}");
    }

    #[test]
    fn the_converted_branch_has_folders_of_splits() {
        let there = files(&[
            "default/train/0000.parquet",
            "default/partial-test/0000.parquet",
            "x/train/0000.parquet",
        ]);
        assert_eq!(paths(&converted_files(&there, &wish("train")).unwrap()), ["default/train/0000.parquet"]);
        assert_eq!(
            paths(&converted_files(&there, &wish("test")).unwrap()),
            ["default/partial-test/0000.parquet"]
        );
        assert_eq!(converted_files(&there, &wish("dev")).unwrap_err(), ["test", "train"]);
    }
}
