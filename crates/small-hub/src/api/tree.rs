use std::collections::BTreeMap;

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::page;
use super::refusal::{Answer, Refusal};
use super::{Asked, date, read_json};
use crate::git;
use crate::git::Entry;
use crate::repos::{Commit, Repo};

/// With `expand` the Hub has to look up each file's last commit, and so gives fewer at once.
const EXPANDED_PAGE: usize = 100;

/// GET /api/{kind}/{id}/tree/{revision}/{path} with `recursive`, `expand`, `limit` and `cursor`: 200, and 404 for a
/// missing revision or folder. `list_repo_tree`, `snapshot_download`, `HfFileSystem` and hf-hub's `list_tree` rely
/// on it.
pub(crate) fn tree(asked: &Asked) -> Answer {
    let (path, recursive, expanded) =
        (asked.path(), asked.query.flag("recursive"), asked.query.flag("expand"));
    let entries = asked.with_commit(|repo, commit| {
        let inside = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut found: BTreeMap<&str, Value> = BTreeMap::new();
        let ids = git::tree_ids(&commit.files);
        for (folder, id) in &ids {
            let name = folder.strip_prefix(&inside).unwrap_or_default();
            if !name.is_empty() && (recursive || !name.contains('/')) {
                found.insert(folder, describe_folder(repo, commit, folder, id, expanded));
            }
        }
        for (file, entry) in &commit.files {
            let name = file.strip_prefix(&inside).unwrap_or_default();
            if !name.is_empty() && (recursive || !name.contains('/')) {
                found.insert(file, describe_file(repo, file, entry, expanded));
            }
        }
        if found.is_empty() && !path.is_empty() {
            return Err(Refusal::no_such_entry(Some(&commit.id)));
        }
        Ok(found.into_values().collect::<Vec<Value>>())
    })?;
    let most = if expanded { EXPANDED_PAGE } else { asked.hub.options.page_size };
    let limit = asked.query.number("limit").unwrap_or(most).clamp(1, most);
    Ok(page(&asked.hub.url, &asked.uri, &asked.query, entries, limit))
}

#[derive(Deserialize)]
struct Paths {
    paths: Vec<String>,
    #[serde(default)]
    expand: bool,
}

/// POST /api/{kind}/{id}/paths-info/{revision}: 200 with those of the paths that are there, 404 for a missing
/// revision. `get_paths_info`, `HfFileSystem` and hf-hub rely on it.
pub(crate) async fn paths_info(asked: &Asked, body: Body) -> Answer {
    let bytes = axum::body::to_bytes(body, 16 << 20).await;
    let bytes = bytes.map_err(|error| Refusal::bad_request(&error.to_string()))?;
    // Python sends a form, hf-hub JSON; the Hub takes both.
    let wanted: Paths = match bytes.first() {
        Some(b'{') => read_json(Body::from(bytes)).await?,
        _ => form(&String::from_utf8_lossy(&bytes)),
    };
    let found = asked.with_commit(|repo, commit| {
        let ids = git::tree_ids(&commit.files);
        let mut found = Vec::new();
        for path in wanted.paths.iter().map(|path| path.trim_matches('/')) {
            if let Some(entry) = commit.files.get(path) {
                found.push(describe_file(repo, path, entry, wanted.expand));
            } else if let Some(id) = ids.get(path).filter(|_| !path.is_empty()) {
                found.push(describe_folder(repo, commit, path, id, wanted.expand));
            }
        }
        Ok(found)
    })?;
    Ok(super::json(&Value::Array(found)))
}

fn form(text: &str) -> Paths {
    let query = axum::http::Uri::try_from(format!("/?{text}")).map(|uri| super::Query::of(&uri));
    let query = query.unwrap_or_else(|_| super::Query(Vec::new()));
    let paths = query.all("paths").into_iter().map(str::to_owned).collect();
    Paths { paths, expand: query.flag("expand") }
}

fn describe_file(repo: &Repo, path: &str, entry: &Entry, expanded: bool) -> Value {
    let mut about = json!({"type": "file", "oid": entry.oid, "size": entry.size, "path": path});
    if let Some(sha256) = &entry.lfs {
        let pointer = git::lfs_pointer(sha256, entry.size).len();
        about["lfs"] = json!({"oid": sha256, "size": entry.size, "pointerSize": pointer});
    }
    if expanded {
        about["lastCommit"] = last_commit(repo.commits.get(&entry.commit));
        about["securityFileStatus"] = json!({"status": "safe", "avScan": null, "pickleImportScan": null});
    }
    about
}

fn describe_folder(repo: &Repo, commit: &Commit, path: &str, id: &str, expanded: bool) -> Value {
    let mut about = json!({"type": "directory", "oid": id, "size": 0, "path": path});
    if expanded {
        let inside = format!("{path}/");
        let files = commit.files.iter().filter(|(file, _)| file.starts_with(&inside));
        let newest = files.filter_map(|(_, entry)| repo.commits.get(&entry.commit));
        about["lastCommit"] = last_commit(newest.max_by_key(|commit| commit.seconds));
    }
    about
}

fn last_commit(commit: Option<&Commit>) -> Value {
    commit.map_or(
        Value::Null,
        |commit| json!({"id": commit.id, "title": commit.title, "date": date(commit.seconds)}),
    )
}
