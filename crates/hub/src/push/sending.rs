//! What an upload's actions ask for: a question by `POST`, a stretch of a file by `PUT`.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
    time::{Duration, Instant},
};

use futures_util::stream;
use reqwest::{
    Body, Method, Response, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::Deserialize;

use super::{Content, Hashed};
use crate::{
    access::{Network, bytes, passes, waits},
    error::{Error, Result},
    transfer::Transfer,
};

pub(super) const LFS_JSON: &str = "application/vnd.git-lfs+json";
/// What is read and sent at once.
const PIECE: usize = 256 << 10;
/// Attempts at one part.
const ATTEMPTS: u32 = 6;

#[derive(Deserialize)]
pub(super) struct Action {
    pub href: String,
    #[serde(default)]
    pub header: BTreeMap<String, serde_json::Value>,
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
    // How far the attempts before have come: what is sent up to there is sent again.
    let mut farthest = 0;
    loop {
        attempt += 1;
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let body = body(file, &stretch, sent.clone())?;
        let request =
            network.request(Method::PUT, url.clone()).header(CONTENT_LENGTH, length).body(body).send();
        let watched = watch(request, &sent, transfer, network.limits.answer);
        let done = transfer.or_stop(watched).await?;
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        transfer.came_again(sent.min(farthest));
        farthest = farthest.max(sent);
        let error = match done {
            Some(Ok(answer)) if answer.status().is_success() => return Ok(answer),
            Some(Ok(answer)) if answer.status().is_redirection() => {
                let reason = "the storage redirects an upload, and what is uploaded follows no redirect";
                Error::BadAnswer { host: network.host_in(url), reason: reason.to_owned() }
            }
            Some(Ok(answer)) => network.refused(&Method::PUT, answer, repo).await,
            Some(Err(error)) => network.unreachable(url, &error),
            None => network.silent(url),
        };
        transfer.take_back(sent);
        let wait = network.wait_after(&error, attempt);
        waited += wait;
        if attempt >= ATTEMPTS || !passes(&error) || waited > network.limits.waiting {
            return Err(error);
        }
        waits(&error, wait);
        transfer.wait(wait).await?;
    }
}

/// Lets it be seen how much of a request's body has gone, while it goes. `None` where nothing has moved for too long.
async fn watch<T>(
    work: impl Future<Output = T>,
    sent: &std::sync::atomic::AtomicI64,
    transfer: &Transfer,
    patience: Duration,
) -> Option<T> {
    const LOOK: Duration = Duration::from_millis(100);
    let (mut seen, mut moved) = (0, Instant::now());
    let mut look = || {
        let now = sent.load(std::sync::atomic::Ordering::Relaxed);
        transfer.advance(now - seen);
        if now != seen {
            moved = Instant::now();
        }
        seen = now;
        moved.elapsed() < patience
    };
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                look();
                return Some(done);
            }
            () = tokio::time::sleep(LOOK) => {
                if !look() {
                    return None;
                }
            }
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
