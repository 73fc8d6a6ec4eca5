use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::refusal::{Answer, Refusal};
use super::{Asked, redirect, rights};
use crate::git::Entry;
use crate::sending::send_file;
use crate::{signed, storage_paths};

/// What may stand in the path of a file as it is.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

struct Found {
    commit: String,
    entry: Entry,
    path: String,
}

fn find(asked: &Asked) -> Result<Found, Refusal> {
    let path = asked.path();
    asked.with_repo(|repo| rights::may_read_files(repo, asked.person.as_ref()))?;
    asked.with_commit(|_, commit| {
        let entry = commit.files.get(&path).ok_or_else(|| Refusal::no_such_entry(Some(&commit.id)))?;
        Ok(Found { commit: commit.id.clone(), entry: entry.clone(), path: path.clone() })
    })
}

/// GET and HEAD {id}/resolve/{revision}/{path}: 200, 206 and 416 for a small file; 302 to the storage for a large
/// one, with its size and hash in X-Linked-Size and X-Linked-Etag; 401, 403 and 404 with their codes.
/// `hf_hub_download`, `get_hf_file_metadata` and hf-hub's `download_file` rely on it. There is no X-Xet-Hash.
pub(crate) async fn resolve(asked: Asked) -> Answer {
    let found = find(&asked)?;
    let Some(sha256) = &found.entry.lfs else {
        if asked.hub.options.resolve_cache {
            let kind = asked.kind.plural();
            let path = utf8_percent_encode(&found.path, IN_PATH);
            let address = format!("/api/resolve-cache/{kind}/{}/{}/{path}", asked.id, found.commit);
            let mut answer = redirect(StatusCode::TEMPORARY_REDIRECT, &address);
            say(&mut answer, "x-repo-commit", &found.commit);
            say(&mut answer, "x-linked-etag", &format!("\"{}\"", found.entry.oid));
            say(&mut answer, "x-linked-size", &found.entry.size.to_string());
            return Ok(answer);
        }
        return send_small(&asked, &found).await;
    };
    let hub = &asked.hub;
    let name = found.path.rsplit('/').next();
    let path = format!("{}{sha256}", storage_paths::OBJECTS);
    let address =
        format!("{}{}", hub.storage_url, signed::sign(&hub.secret, &path, hub.options.signed_for, name));
    let mut answer = redirect(StatusCode::FOUND, &address);
    say(&mut answer, "x-repo-commit", &found.commit);
    say(&mut answer, "x-linked-etag", &format!("\"{sha256}\""));
    say(&mut answer, "x-linked-size", &found.entry.size.to_string());
    say(&mut answer, "accept-ranges", "bytes");
    Ok(answer)
}

/// GET and HEAD /api/resolve-cache/{kind}/{id}/{commit}/{path}: where `resolve` sends for a small file.
pub(crate) async fn cached(asked: Asked) -> Answer {
    let found = find(&asked)?;
    send_small(&asked, &found).await
}

async fn send_small(asked: &Asked, found: &Found) -> Answer {
    // The small Hub never gives out a large file here, which would go unnoticed as a wrong size.
    if found.entry.lfs.is_some() {
        return Err(Refusal::unknown_address());
    }
    let mut answer =
        send_file(&asked.hub.storage.blob(&found.entry.oid), &found.entry.oid, &asked.headers).await?;
    say(&mut answer, "x-repo-commit", &found.commit);
    let name = found.path.rsplit('/').next().unwrap_or(&found.path);
    say(&mut answer, "content-disposition", &format!("inline; filename=\"{name}\";"));
    let text = [".json", ".txt", ".md", ".csv"].iter().any(|ending| found.path.ends_with(ending));
    if text {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    Ok(answer)
}

fn say(answer: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
