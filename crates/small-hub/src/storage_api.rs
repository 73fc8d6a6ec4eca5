//! The storage behind the Hub: signed addresses, for which a token is neither needed nor looked at.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as InPath, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{get, put};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::api::lfs;
use crate::api::refusal::{Answer, Refusal};
use crate::error::Error;
use crate::git;
use crate::hub::Hub;
use crate::sending::send_file;
use crate::signed;
use crate::storage_paths::allowed;
use crate::uploads::Part;

pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/_storage/objects/{sha256}", get(object))
        .route("/_storage/uploads/{upload}", put(whole))
        .route("/_storage/uploads/{upload}/{number}", put(part))
        .with_state(hub)
}

/// GET and HEAD of a large file: 200, 206, 416; 403 with a bad signature, 404 if it is not there. Its ETag is the
/// storage's own and not the SHA-256, so that a client that resumes has to take it from here.
async fn object(
    State(hub): State<Arc<Hub>>,
    InPath(sha256): InPath<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    allowed(&hub.secret, &uri)?;
    hub.storage.has_large(&sha256).ok_or_else(|| Refusal::new(404, "The specified key does not exist."))?;
    let etag = format!("{}-1", sha256.get(..32).unwrap_or_default());
    let mut answer = send_file(&hub.storage.large(&sha256), &etag, &headers).await?;
    let disposition = signed::parameter(&uri, "response-content-disposition");
    if let Some(value) = disposition.and_then(|text| HeaderValue::from_str(&text).ok()) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

/// PUT of a large file in one piece: 200 with its ETag; 400 if it is not what was said, 403, 404.
async fn whole(
    State(hub): State<Arc<Hub>>,
    InPath(name): InPath<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    allowed(&hub.secret, &uri)?;
    let upload = hub.uploads().open.get(&name).cloned();
    let upload = upload.ok_or_else(|| Refusal::new(404, "The specified upload does not exist."))?;
    let place = hub.storage.place();
    let etag = receive(&place, &headers, body).await?;
    // The address stays good until it expires, so that a client whose answer was lost may send it again.
    lfs::keep(&hub, vec![place], upload.oid.clone(), upload.size).await?;
    received(&etag)
}

/// PUT of one part: 200 with its ETag, for which the completion asks; 403, 404. Another time it takes the place of
/// the one before.
async fn part(
    State(hub): State<Arc<Hub>>,
    InPath((name, number)): InPath<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    allowed(&hub.secret, &uri)?;
    let unknown = || Refusal::new(404, "The specified upload does not exist.");
    if !hub.uploads().open.contains_key(&name) {
        return Err(unknown());
    }
    let place = hub.storage.place();
    let etag = receive(&place, &headers, body).await?;
    let part = Part { etag: etag.clone(), place };
    hub.uploads().open.get_mut(&name).ok_or_else(unknown)?.parts.insert(number, part);
    received(&etag)
}

/// Writes a body to a file as it arrives, and says its tag. As the storage of the Hub does, it wants to know the
/// length beforehand: 411 without one and 501 to pieces of unknown number.
async fn receive(place: &Path, headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        let text = "A header you provided implies functionality that is not implemented: Transfer-Encoding";
        return Err(Refusal::new(501, text));
    }
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Refusal::new(411, "You must provide the Content-Length HTTP header."));
    }
    let outcome = write(place, body).await;
    if outcome.is_err() {
        let _ = tokio::fs::remove_file(place).await;
    }
    outcome.map_err(|error| Refusal::broken(Error::disk(place, error)))
}

async fn write(place: &Path, body: Body) -> io::Result<String> {
    let mut file = tokio::fs::File::create(place).await?;
    let mut hash = Sha256::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(io::Error::other)?;
        hash.update(&piece);
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(git::hex(&hash.finalize()).chars().take(32).collect())
}

fn received(etag: &str) -> Answer {
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        headers.insert(header::ETAG, tag);
    }
    Ok(answer)
}
