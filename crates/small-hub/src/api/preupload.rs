use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{Answer, Refusal};
use super::{Asked, read_json};
use crate::attributes;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Planned {
    files: Vec<PlannedFile>,
    git_ignore: Option<String>,
}

#[derive(Deserialize)]
struct PlannedFile {
    path: String,
    size: u64,
}

/// POST /api/{kind}/{id}/preupload/{revision}: 200 with, for each file, whether it is large (by .gitattributes or
/// its size), whether .gitignore leaves it out, and what the repository has under its path, by which clients skip
/// what has not changed. 401, 403, 404. `create_commit` and hf-hub's rely on it.
pub(crate) async fn preupload(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    if asked.query.flag("create_pr") {
        return Err(Refusal::forbidden("The small Hub takes no pull requests."));
    }
    let planned: Planned = read_json(body).await?;
    let (files, commit) = asked.with_commit(|repo, commit| {
        let read = |path: &str| asked.hub.small_text(repo, &commit.id, path);
        let rules = read(".gitattributes").unwrap_or_default();
        let ignore = planned.git_ignore.or_else(|| read(".gitignore")).unwrap_or_default();
        let files = planned.files.iter().map(|file| {
            let large = file.size > 0
                && (file.size > asked.hub.options.large_from || attributes::keeps_large(&rules, &file.path));
            let there = commit.files.get(&file.path);
            json!({
                "path": file.path,
                "uploadMode": if large { "lfs" } else { "regular" },
                "shouldIgnore": attributes::ignores(&ignore, &file.path),
                // Of a large file it is the SHA-256 that clients compare, `CommitOperationAdd._local_oid`.
                "oid": there.map(|entry| entry.lfs.as_ref().unwrap_or(&entry.oid)),
            })
        });
        Ok((files.collect::<Vec<Value>>(), commit.id.clone()))
    })?;
    Ok(super::json(&json!({"files": files, "commitOid": commit})))
}
