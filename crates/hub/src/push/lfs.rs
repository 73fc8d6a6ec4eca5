//! Large files, by the batch API of Git LFS with the two transfers that the Hub has for it besides Xet: `basic`, one
//! `PUT`, and `multipart`, numbered parts and a completion, as `huggingface_hub`'s `lfs.py` does.

use std::path::Path;

use record::RepoKind;
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    BRANCH, Hashed, multipart,
    sending::{Action, LFS_JSON, parse, post, put},
};
use crate::{
    access::{Network, bytes, passes},
    download::RepoPath,
    error::{Error, Result},
    transfer::Transfer,
};

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: u16,
    message: String,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

/// Uploads what the Hub has not yet of these files.
pub(super) async fn upload<'a>(
    network: &Network,
    repo: &str,
    files: impl Iterator<Item = &'a Hashed>,
    notes: &Path,
    transfer: &Transfer,
) -> Result<()> {
    for file in files {
        // Asked for one by one: the addresses of later files would be stale when their turn comes.
        one(network, repo, file, notes, transfer).await?;
    }
    Ok(())
}

async fn one(network: &Network, repo: &str, file: &Hashed, notes: &Path, transfer: &Transfer) -> Result<()> {
    // What has arrived of an upload that has ended on the other side.
    let mut lost = 0;
    if let Some(begun) = multipart::begun(network, repo, notes, file) {
        match multipart::upload(network, repo, file, begun, notes, transfer).await {
            // What was begun has ended on the other side; it is begun anew.
            Err(Error::Server { status: 400..=499, .. }) => {
                lost = multipart::counted(network, repo, notes, file);
                multipart::forget(notes, file);
            }
            Err(error) => return arrived(network, repo, file, notes, error).await,
            Ok(()) => {}
        }
    }
    let Some(actions) = ask(network, repo, file).await? else {
        // The Hub has it already.
        transfer.spare((file.bytes as i64 - multipart::counted(network, repo, notes, file)).max(0));
        multipart::forget(notes, file);
        return Ok(());
    };
    if let Some(action) = &actions.upload {
        match multipart::begin(network, repo, action, file) {
            Some(begun) => {
                if let Err(error) = multipart::upload(network, repo, file, begun?, notes, transfer).await {
                    return arrived(network, repo, file, notes, error).await;
                }
            }
            None => {
                let url = parse(network, &action.href)?;
                put(network, repo, &url, file, 0..file.bytes, transfer).await?;
            }
        }
        transfer.came_again(lost);
    }
    if let Some(action) = &actions.verify {
        let body = json!({ "oid": file.sha256, "size": file.bytes });
        post(network, repo, &parse(network, &action.href)?, &body, &action.header).await?;
    }
    multipart::forget(notes, file);
    Ok(())
}

/// What an upload in parts has come to that ended with an error: to nothing, unless only the answer to its completion
/// was lost, which the Hub knows.
async fn arrived(network: &Network, repo: &str, file: &Hashed, notes: &Path, error: Error) -> Result<()> {
    if !passes(&error) || ask(network, repo, file).await?.is_some() {
        return Err(error);
    }
    multipart::forget(notes, file);
    Ok(())
}

async fn ask(network: &Network, repo: &str, file: &Hashed) -> Result<Option<Actions>> {
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": [{ "oid": file.sha256, "size": file.bytes }],
        "hash_algo": "sha256",
        "ref": { "name": BRANCH },
    });
    let mut segments = RepoPath(RepoKind::Model, repo).segments();
    let git = segments.pop().map(|name| format!("{name}.git")).unwrap_or_default();
    segments.extend([git.as_str(), "info", "lfs", "objects", "batch"]);
    let url = network.url(segments);
    let text = body.to_string();
    let shape = |request: reqwest::RequestBuilder| {
        request.header(ACCEPT, LFS_JSON).header(CONTENT_TYPE, LFS_JSON).body(text.clone())
    };
    let what = (bytes::REPO, "where a file is to be uploaded");
    let asked = network.send_json(Method::POST, url, repo, what, shape);
    let (batch, _): (Batch, _) = network.question(asked).await?;
    let object = batch.objects.into_iter().find(|object| object.oid == file.sha256);
    let object = object.ok_or_else(|| Error::BadAnswer {
        host: network.host(),
        reason: "it tells of another file than was asked for".to_owned(),
    })?;
    match object.error {
        Some(error) => Err(Error::Server {
            host: network.host(),
            status: error.code,
            said: Some(network.scrub(&error.message)),
        }),
        None => Ok(object.actions),
    }
}
