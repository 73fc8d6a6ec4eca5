//! The one commit by which all of a push becomes visible.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use record::RepoKind;
use reqwest::{Method, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::json;

use super::{BRANCH, Content, Hashed, is_there, newest};
use crate::{
    access::{Network, bytes, passes, waits},
    download::{RepoPath, is_commit},
    error::{Error, Result},
    transfer::Transfer,
};

const ATTEMPTS: u32 = 5;

/// Commits upon `parent`: small files within the request, large ones by their hashes, outdated ones removed; lines of
/// JSON as `huggingface_hub`'s `_prepare_commit_payload` writes them. When an answer is lost on its way it is looked
/// whether the commit was made, so that none is made twice.
#[expect(clippy::too_many_arguments, reason = "each is one part of a commit")]
pub(super) async fn commit(
    network: &Network,
    repo: &str,
    parent: &str,
    changed: &[Hashed],
    large: &[String],
    outdated: &[String],
    summary: &str,
    transfer: &Transfer,
) -> Result<String> {
    let mut lines = vec![
        json!({ "key": "header", "value": { "summary": summary, "description": "", "parentCommit": parent } }),
    ];
    let mut small = 0;
    for file in changed {
        lines.push(if large.contains(&file.path) {
            json!({ "key": "lfsFile", "value": { "path": file.path, "algo": "sha256", "oid": file.sha256, "size": file.bytes } })
        } else {
            small += file.bytes as i64;
            let bytes = match &file.content {
                Content::Text(text) => text.clone().into_bytes(),
                Content::File(path) => ::files::read_limited(path, file.bytes).map_err(|error| Error::read(path, error))?,
            };
            json!({ "key": "file", "value": { "content": STANDARD.encode(bytes), "path": file.path, "encoding": "base64" } })
        });
    }
    lines.extend(outdated.iter().map(|path| json!({ "key": "deletedFile", "value": { "path": path } })));
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut segments = RepoPath(RepoKind::Model, repo).api();
    segments.extend(["commit", BRANCH]);
    let url = network.url(segments);
    let shape = |request: reqwest::RequestBuilder| {
        request.header(CONTENT_TYPE, "application/x-ndjson").body(body.clone())
    };
    let what = "which commit it has made";
    let (mut attempt, mut waited) = (0, Duration::ZERO);
    loop {
        attempt += 1;
        let error = match network.send_once(&Method::POST, &url, &shape).await {
            Ok(answer) if answer.status().is_success() => {
                transfer.advance(small);
                let told = network.question(network.read(answer, bytes::OTHER, what)).await;
                return match told.map(|told| serde_json::from_slice::<Answer>(&told.body)) {
                    Ok(Ok(answer)) if is_commit(&answer.commit_oid) => Ok(answer.commit_oid),
                    // Whatever it says, what counts is whether the files are there.
                    _ => made_by_us(network, repo, changed).await?.ok_or_else(|| Error::BadAnswer {
                        host: network.host(),
                        reason: "it took the commit and does not have its files".to_owned(),
                    }),
                };
            }
            Ok(answer) if answer.status().as_u16() == 412 => {
                return made_by_us(network, repo, changed)
                    .await?
                    .ok_or(Error::Changed { repo: repo.to_owned() });
            }
            Ok(answer) => network.refused(&Method::POST, answer, repo).await,
            Err(error) => error,
        };
        let wait = network.wait_after(&error, attempt);
        waited += wait;
        if attempt >= ATTEMPTS || !passes(&error) || waited > network.limits.waiting {
            return Err(error);
        }
        waits(&error, wait);
        transfer.wait(wait).await?;
        if let Some(made) = made_by_us(network, repo, changed).await? {
            transfer.advance(small);
            return Ok(made);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    commit_oid: String,
}

/// The newest commit, if all that was to be pushed stands in it.
async fn made_by_us(network: &Network, repo: &str, changed: &[Hashed]) -> Result<Option<String>> {
    let (newest, there) = network.question(newest(network, repo)).await?;
    Ok(changed.iter().all(|file| is_there(&there, file)).then_some(newest))
}
