use serde_json::{Map, Value, json};

use super::refusal::Answer;
use super::{Asked, date};
use crate::card;
use crate::git;
use crate::git::Entry;
use crate::hub::Hub;
use crate::people::{namespace, number_of};
use crate::repos::{Commit, Gated, Kind, Repo};

/// How much of a repository an answer describes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// A line of a list.
    Brief,
    /// A line of a list with `full`, and the answer about one repository.
    Full,
    /// The same with the sizes and ids of its files: `blobs`.
    Blobs,
}

/// GET /api/{kind}/{id} and /api/{kind}/{id}/revision/{revision}: 200, or 401 and 404 for what may not be seen, 404
/// for a missing revision. `model_info`, `dataset_info`, `snapshot_download` and hf-hub's `info` rely on it. Of a
/// gated repository everybody may see it.
pub(crate) fn info(asked: &Asked) -> Answer {
    let detail = if asked.query.flag("blobs") { Detail::Blobs } else { Detail::Full };
    let described = asked.with_commit(|repo, commit| Ok(describe(&asked.hub, repo, commit, detail)))?;
    let mut wanted = asked.query.all("expand");
    wanted.extend(asked.query.all("expand[]"));
    Ok(super::json(&Value::Object(expand(described, &wanted))))
}

/// Only what is asked for, if something is.
pub(super) fn expand(described: Map<String, Value>, wanted: &[&str]) -> Map<String, Value> {
    if wanted.is_empty() {
        return described;
    }
    let kept = |key: &str| key == "_id" || key == "id" || wanted.contains(&key);
    described.into_iter().filter(|(key, _)| kept(key)).collect()
}

pub(super) fn describe(hub: &Hub, repo: &Repo, commit: &Commit, detail: Detail) -> Map<String, Value> {
    let metadata = hub.small_text(repo, &commit.id, "README.md").and_then(|text| card::metadata(&text));
    let mut about = Map::new();
    let mut say = |key: &str, value: Value| about.insert(key.to_owned(), value);
    say("_id", json!(number_of(&repo.id)));
    say("id", json!(repo.id));
    say("private", json!(repo.private));
    say("tags", json!(tags(repo.kind, commit, metadata.as_ref())));
    say("downloads", json!(0));
    say("likes", json!(0));
    say("createdAt", json!(date(repo.created)));
    if repo.kind == Kind::Model {
        say("modelId", json!(repo.id));
        let word =
            |key: &str| metadata.as_ref().and_then(|data| data.get(key)).filter(|value| value.is_string());
        if let Some(tag) = word("pipeline_tag") {
            say("pipeline_tag", tag.clone());
        }
        let library = word("library_name").cloned();
        if let Some(library) =
            library.or_else(|| commit.files.contains_key("config.json").then(|| json!("transformers")))
        {
            say("library_name", library);
        }
    }
    if detail == Detail::Brief {
        return about;
    }
    say("author", json!(namespace(&repo.id)));
    say("sha", json!(commit.id));
    say("lastModified", json!(date(commit.seconds)));
    say("gated", gated(repo.gated));
    say("disabled", json!(repo.disabled));
    say("usedStorage", json!(commit.files.values().map(|entry| entry.size).sum::<u64>()));
    if let Some(metadata) = metadata {
        say("cardData", metadata);
    }
    if repo.kind == Kind::Model {
        say("spaces", json!([]));
        if let Some(config) = config(hub, repo, commit) {
            say("config", config);
        }
    }
    let siblings: Vec<Value> = commit
        .files
        .iter()
        .map(|(path, entry)| match detail {
            Detail::Blobs => sibling(path, entry),
            _ => json!({"rfilename": path}),
        })
        .collect();
    say("siblings", json!(siblings));
    about
}

/// What the Hub takes out of a model's config.json.
fn config(hub: &Hub, repo: &Repo, commit: &Commit) -> Option<Value> {
    let text = hub.small_text(repo, &commit.id, "config.json")?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let kept = ["architectures", "model_type", "quantization_config"].into_iter();
    let kept = kept.filter_map(|key| Some((key.to_owned(), config.get(key)?.clone())));
    Some(Value::Object(kept.collect()))
}

fn gated(gated: Gated) -> Value {
    match gated {
        Gated::No => json!(false),
        Gated::Auto => json!("auto"),
        Gated::Manual => json!("manual"),
    }
}

fn sibling(path: &str, entry: &Entry) -> Value {
    let mut sibling = json!({"rfilename": path, "blobId": entry.oid, "size": entry.size});
    if let Some(sha256) = &entry.lfs {
        let pointer = git::lfs_pointer(sha256, entry.size).len();
        sibling["lfs"] = json!({"sha256": sha256, "size": entry.size, "pointerSize": pointer});
    }
    sibling
}

/// The card's own tags and those that the Hub makes of its other metadata and of the files.
fn tags(kind: Kind, commit: &Commit, metadata: Option<&Value>) -> Vec<String> {
    let words = |key: &str| -> Vec<String> {
        match metadata.and_then(|data| data.get(key)) {
            Some(Value::String(word)) => vec![word.clone()],
            Some(Value::Array(words)) => {
                words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
            }
            _ => Vec::new(),
        }
    };
    let mut tags = Vec::new();
    if kind == Kind::Model {
        let has = |ending: &str| commit.files.keys().any(|path| path.ends_with(ending));
        tags.extend(has(".safetensors").then(|| "safetensors".to_owned()));
        tags.extend(words("pipeline_tag"));
    }
    tags.extend(words("tags"));
    let prefixed = [
        ("license", "license"),
        ("language", "language"),
        ("datasets", "dataset"),
        ("base_model", "base_model"),
        ("task_categories", "task_categories"),
        ("size_categories", "size_categories"),
    ];
    for (key, prefix) in prefixed {
        tags.extend(words(key).iter().map(|word| format!("{prefix}:{word}")));
    }
    tags.push("region:us".to_owned());
    tags
}
