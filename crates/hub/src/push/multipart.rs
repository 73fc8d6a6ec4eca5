//! A large file in numbered parts. Which of them have arrived is written down, so that after a crash only the rest is
//! sent. The addresses in these notes are signed and short-lived, so that the file is its owner's alone.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};
use reqwest::header::ETAG;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Hashed,
    sending::{Action, parse, post, put},
};
use crate::{
    access::Network,
    error::{Error, Result},
    transfer::Transfer,
};

/// Parts at once.
const AT_ONCE: usize = 3;

/// An upload that was begun.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    /// Where it goes: no other Hub and no other repository may get what this one has begun.
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    repo: String,
    sha256: String,
    chunk_size: u64,
    completion: String,
    /// The addresses of the parts, by their numbers from 1.
    parts: BTreeMap<u32, String>,
    /// What the storage has called the parts that have arrived.
    arrived: BTreeMap<u32, String>,
}

/// What the Hub says of an upload in parts; nothing where it is to go in one piece.
pub(super) fn begin(network: &Network, repo: &str, action: &Action, file: &Hashed) -> Option<Result<Begun>> {
    let value = action.header.get("chunk_size")?;
    let chunk_size = value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|size| *size > 0);
    let address = |(name, value): (&String, &serde_json::Value)| {
        Some((name.parse::<u32>().ok()?, value.as_str()?.to_owned()))
    };
    let parts: BTreeMap<u32, String> = action.header.iter().filter_map(address).collect();
    let bad = || Error::BadAnswer {
        host: network.host(),
        reason: "the parts of an upload do not fit the file".to_owned(),
    };
    let Some(chunk_size) = chunk_size else { return Some(Err(bad())) };
    let wanted = file.bytes.div_ceil(chunk_size);
    let all =
        (1..=wanted).all(|number| u32::try_from(number).is_ok_and(|number| parts.contains_key(&number)));
    if !all || parts.len() as u64 != wanted {
        return Some(Err(bad()));
    }
    let (endpoint, repo) = (network.access().endpoint, repo.to_owned());
    let (sha256, completion) = (file.sha256.clone(), action.href.clone());
    Some(Ok(Begun { endpoint, repo, sha256, chunk_size, completion, parts, arrived: BTreeMap::new() }))
}

fn note_of(notes: &Path, file: &Hashed) -> PathBuf {
    notes.join(format!("upload-{}.json", file.sha256))
}

/// What an earlier attempt has begun at the same place.
pub(super) fn begun(network: &Network, repo: &str, notes: &Path, file: &Hashed) -> Option<Begun> {
    let text = files::read_limited(&note_of(notes, file), files::JSON_LIMIT).ok()?;
    serde_json::from_slice::<Begun>(&text)
        .ok()
        .filter(|begun| begun.endpoint == network.access().endpoint && begun.repo == repo)
        .filter(|begun| begun.sha256 == file.sha256 && begun.chunk_size > 0)
}

pub(super) fn forget(notes: &Path, file: &Hashed) {
    std::fs::remove_file(note_of(notes, file)).ok();
}

/// Bytes of a file that the progress has counted already.
pub(super) fn counted(network: &Network, repo: &str, notes: &Path, file: &Hashed) -> i64 {
    begun(network, repo, notes, file).map_or(0, |begun| bytes_of(&begun, file))
}

/// The bytes of the parts that have arrived.
fn bytes_of(begun: &Begun, file: &Hashed) -> i64 {
    let lengths =
        begun.arrived.keys().map(|number| stretch(begun, file, *number)).map(|part| part.end - part.start);
    lengths.sum::<u64>() as i64
}

fn stretch(begun: &Begun, file: &Hashed, number: u32) -> std::ops::Range<u64> {
    let start = u64::from(number.saturating_sub(1)).saturating_mul(begun.chunk_size).min(file.bytes);
    start..start.saturating_add(begun.chunk_size).min(file.bytes)
}

/// Sends the parts that have not arrived, and completes the upload.
pub(super) async fn upload(
    network: &Network,
    repo: &str,
    file: &Hashed,
    mut begun: Begun,
    notes: &Path,
    transfer: &Transfer,
) -> Result<()> {
    for number in begun.arrived.keys() {
        let stretch = stretch(&begun, file, *number);
        transfer.spare((stretch.end - stretch.start) as i64);
    }
    let missing: Vec<(u32, reqwest::Url, std::ops::Range<u64>)> = begun
        .parts
        .iter()
        .filter(|(number, _)| !begun.arrived.contains_key(number))
        .map(|(number, href)| Ok((*number, parse(network, href)?, stretch(&begun, file, *number))))
        .collect::<Result<_>>()?;
    let failed = AtomicBool::new(false);
    let failed = &failed;
    let sent = missing.into_iter().map(|(number, url, stretch)| async move {
        if failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let answer = put(network, repo, &url, file, stretch, transfer).await?;
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(|etag| network.without_token(etag));
        let etag = etag.ok_or_else(|| Error::BadAnswer {
            host: network.host(),
            reason: "the storage does not acknowledge a part".to_owned(),
        })?;
        Ok::<_, Error>(Some((number, etag)))
    });
    let mut sent = stream::iter(sent).buffer_unordered(AT_ONCE);
    let mut first_error = None;
    while let Some(done) = sent.next().await {
        match done {
            Ok(Some((number, etag))) => {
                begun.arrived.insert(number, etag);
                note(notes, file, &begun)?;
            }
            Ok(None) => {}
            // No other part is begun, but those on their way may arrive, and then count.
            Err(error) => {
                failed.store(true, Ordering::Relaxed);
                first_error.get_or_insert(error);
            }
        }
    }
    drop(sent);
    if let Some(error) = first_error {
        if matches!(error, Error::Server { status: 400..=499, .. }) {
            // The addresses are of no use any more, and so is what has arrived there.
            transfer.take_back(bytes_of(&begun, file));
        }
        return Err(error);
    }
    let parts: Vec<_> =
        begun.arrived.iter().map(|(number, etag)| json!({ "partNumber": number, "etag": etag })).collect();
    let body = json!({ "oid": file.sha256, "parts": parts });
    post(network, repo, &parse(network, &begun.completion)?, &body, &BTreeMap::new()).await?;
    Ok(())
}

fn note(notes: &Path, file: &Hashed, begun: &Begun) -> Result<()> {
    let path = note_of(notes, file);
    let failed = |error: std::io::Error| Error::write(&path, error);
    std::fs::create_dir_all(notes).map_err(failed)?;
    let text = serde_json::to_vec(begun).map_err(|error| failed(error.into()))?;
    files::replace(&path, &text, files::Access::Owner).map_err(failed)
}
