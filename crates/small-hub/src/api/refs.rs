use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::page;
use super::refusal::{Answer, Refusal};
use super::{Asked, date, read_json};

/// GET /api/{kind}/{id}/refs: 200, 401, 404. `list_repo_refs` and hf-hub's `list_refs` rely on it.
pub(crate) fn refs(asked: &Asked) -> Answer {
    let mut refs = asked.with_repo(|repo| {
        let under = |prefix: &str| -> Vec<Value> {
            let named = repo
                .refs
                .iter()
                .filter_map(|(name, commit)| Some((name, name.strip_prefix(prefix)?, commit)));
            named
                .map(|(full, name, commit)| json!({"name": name, "ref": full, "targetCommit": commit}))
                .collect()
        };
        Ok(json!({
            "branches": under("refs/heads/"),
            "converts": under("refs/convert/"),
            "tags": under("refs/tags/"),
        }))
    })?;
    if asked.query.flag("include_prs") {
        refs["pullRequests"] = json!([]);
    }
    Ok(super::json(&refs))
}

/// GET /api/{kind}/{id}/commits/{revision}: 200 from the newest to the first, 401, 404. `list_repo_commits` and
/// hf-hub's `list_commits` rely on it.
pub(crate) fn commits(asked: &Asked) -> Answer {
    let commits = asked.with_commit(|repo, _| {
        let described = repo.history(asked.revision()).into_iter().map(|commit| {
            json!({
                "id": commit.id,
                "title": commit.title,
                "message": commit.description,
                "authors": [{"user": commit.author}],
                "date": date(commit.seconds),
                "parents": commit.parents,
            })
        });
        Ok(described.collect::<Vec<Value>>())
    })?;
    let limit = asked.query.number("limit").unwrap_or(50).max(1);
    Ok(page(&asked.hub.url, &asked.uri, &asked.query, commits, limit))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewBranch {
    starting_point: Option<String>,
}

/// POST /api/{kind}/{id}/branch/{name}: 200, 401, 403, 404 for a missing start, 409 if there is one. `create_branch`
/// relies on it.
pub(crate) async fn create_branch(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    let branch: NewBranch = read_json(body).await.unwrap_or_default();
    let name = asked.rest.join("/");
    let full = if name.starts_with("refs/") { name.clone() } else { format!("refs/heads/{name}") };
    point(asked, &full, branch.starting_point.as_deref().unwrap_or("main"))
}

#[derive(Deserialize)]
struct NewTag {
    tag: String,
}

/// POST /api/{kind}/{id}/tag/{revision}: 200, 401, 403, 404, 409. `create_tag` relies on it.
pub(crate) async fn create_tag(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    let tag: NewTag = read_json(body).await?;
    point(asked, &format!("refs/tags/{}", tag.tag), asked.revision())
}

fn point(asked: &Asked, full: &str, at: &str) -> Answer {
    asked.hub.change(|repos| {
        let repo = repos.find_mut(asked.kind, &asked.id).ok_or_else(Refusal::no_such_repo)?;
        let commit = repo.commit_at(at).ok_or_else(|| Refusal::no_such_revision(at))?.id.clone();
        if repo.refs.contains_key(full) {
            return Err(Refusal::conflict(&format!("Reference already exists: {full}")));
        }
        repo.refs.insert(full.to_owned(), commit);
        Ok(())
    })?;
    Ok(super::json(&json!({})))
}

/// DELETE /api/{kind}/{id}/branch/{name} and tag/{name}: 200, 401, 403 for the main branch, 404. `delete_branch` and
/// `delete_tag` rely on it.
pub(crate) fn delete(asked: &Asked, prefix: &str) -> Answer {
    asked.writer()?;
    let full = format!("{prefix}{}", asked.rest.join("/"));
    if full == "refs/heads/main" {
        return Err(Refusal::forbidden("Forbidden: the main branch cannot be deleted."));
    }
    asked.hub.change(|repos| {
        let repo = repos.find_mut(asked.kind, &asked.id).ok_or_else(Refusal::no_such_repo)?;
        repo.refs.remove(&full).map(|_| ()).ok_or_else(|| Refusal::no_such_revision(&full))
    })?;
    Ok(super::json(&json!({})))
}
