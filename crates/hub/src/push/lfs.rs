//! Large files, by the batch API of Git LFS with the two transfers that the Hub has for it besides Xet: `basic`, one
//! `PUT`, and `multipart`, numbered parts and a completion, as `huggingface_hub`'s `lfs.py` does.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

use futures_util::stream;
use record::RepoKind;
use reqwest::{
    Body, Method, Response, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::json;

use super::{BRANCH, Content, Hashed, multipart};
use crate::{
    access::{Network, bytes, passes},
    download::RepoPath,
    error::{Error, Result},
    transfer::Transfer,
};

const LFS_JSON: &str = "application/vnd.git-lfs+json";
/// What is read and sent at once.
const PIECE: usize = 256 << 10;
/// Attempts at one part.
const ATTEMPTS: u32 = 6;

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

#[derive(Deserialize)]
pub(super) struct Action {
    pub href: String,
    #[serde(default)]
    pub header: BTreeMap<String, serde_json::Value>,
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
    if let Some(begun) = multipart::begun(network, repo, notes, file) {
        match multipart::upload(network, repo, file, begun, notes, transfer).await {
            // What was begun has ended on the other side; it is begun anew.
            Err(Error::Server { status: 400..=499, .. }) => multipart::forget(notes, file),
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

pub(super) fn parse(network: &Network, href: &str) -> Result<Url> {
    let url = Url::parse(href).ok().filter(|url| network.is_as_safe(url) && url.has_host());
    url.ok_or_else(|| Error::BadAnswer {
        host: network.host(),
        reason: "it names no usable address for an upload".to_owned(),
    })
}

/// Headers that are ours to set, whatever the other side asks for: those that say who one is, and those that say where
/// a request ends and whom it is for.
const OURS: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
];

pub(super) async fn post(
    network: &Network,
    repo: &str,
    url: &Url,
    body: &serde_json::Value,
    headers: &BTreeMap<String, serde_json::Value>,
) -> Result<()> {
    let text = body.to_string();
    let shape = |request: reqwest::RequestBuilder| {
        let mut request = request.header(ACCEPT, LFS_JSON).header(CONTENT_TYPE, LFS_JSON).body(text.clone());
        for (name, value) in headers {
            // What the Hub wants to be sent back with the request, but never in place of the token.
            let ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
            if let Some(value) = value.as_str().filter(|_| !ours) {
                request = request.header(name.as_str(), value);
            }
        }
        request
    };
    let what = (bytes::OTHER, "whether a file has arrived");
    network.question(network.send(Method::POST, url.clone(), repo, what, shape)).await.map(|_| ())
}

/// Sends a stretch of a file by one `PUT`, again where the connection is cut. Gives the answer, for its `ETag`.
pub(super) async fn put(
    network: &Network,
    repo: &str,
    url: &Url,
    file: &Hashed,
    stretch: std::ops::Range<u64>,
    transfer: &Transfer,
) -> Result<Response> {
    let length = stretch.end - stretch.start;
    let (mut attempt, mut waited) = (0, Duration::ZERO);
    loop {
        attempt += 1;
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let body = body(file, &stretch, sent.clone())?;
        let request =
            network.request(Method::PUT, url.clone()).header(CONTENT_LENGTH, length).body(body).send();
        let watched = watch(request, &sent, transfer);
        let error = match transfer.or_stop(watched).await? {
            Ok(answer) if answer.status().is_success() => return Ok(answer),
            Ok(answer) => network.refused(answer, repo).await,
            Err(error) => network.unreachable(url, &error),
        };
        transfer.take_back(sent.load(std::sync::atomic::Ordering::Relaxed));
        let wait = network.wait_after(&error, attempt);
        waited += wait;
        if attempt >= ATTEMPTS || !passes(&error) || waited > network.limits.waiting {
            return Err(error);
        }
        transfer.wait(wait).await?;
    }
}

/// Lets it be seen how much of a request's body has gone, while it goes.
async fn watch<T>(
    work: impl Future<Output = T>,
    sent: &std::sync::atomic::AtomicI64,
    transfer: &Transfer,
) -> T {
    const LOOK: Duration = Duration::from_millis(100);
    let mut seen = 0;
    let mut look = || {
        let now = sent.load(std::sync::atomic::Ordering::Relaxed);
        transfer.advance(now - seen);
        seen = now;
    };
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                look();
                return done;
            }
            () = tokio::time::sleep(LOOK) => look(),
        }
    }
}

/// A stretch of a file as the body of a request, read piece by piece.
fn body(
    file: &Hashed,
    stretch: &std::ops::Range<u64>,
    sent: std::sync::Arc<std::sync::atomic::AtomicI64>,
) -> Result<Body> {
    let path = match &file.content {
        Content::Text(text) => {
            let bytes = text.as_bytes().get(stretch.start as usize..stretch.end as usize).unwrap_or_default();
            sent.store(bytes.len() as i64, std::sync::atomic::Ordering::Relaxed);
            return Ok(Body::from(bytes.to_vec()));
        }
        Content::File(path) => path,
    };
    let mut open = files::open_regular(path).map_err(|error| Error::read(path, error))?;
    open.seek(SeekFrom::Start(stretch.start)).map_err(|error| Error::read(path, error))?;
    let left = stretch.end - stretch.start;
    let pieces = stream::try_unfold((open.take(left), sent), |(mut open, sent)| async move {
        let mut piece = vec![0; PIECE];
        let count = open.read(&mut piece)?;
        piece.truncate(count);
        sent.fetch_add(count as i64, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>((count > 0).then_some((piece, (open, sent))))
    });
    Ok(Body::wrap_stream(pieces))
}
