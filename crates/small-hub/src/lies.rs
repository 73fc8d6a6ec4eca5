//! Answers that are well-formed and wrong, or have no end.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;

use crate::faults::Fault;

/// The most of an answer that is rewritten; those about repositories are small.
const MOST: usize = 16 << 20;
const LINE: usize = 8 << 10;
static SPACES: [u8; 64 << 10] = [b' '; 64 << 10];

/// The beginning of a list in JSON, and then nothing but space, for ever.
pub(crate) fn endless(status: u16) -> Response {
    let pieces = stream::unfold(false, |begun| async move {
        let piece: &'static [u8] = if begun { &SPACES } else { b"[" };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(piece)), true))
    });
    let mut answer = Response::new(Body::from_stream(pieces));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// The answer with what the fault adds to it or changes in it; others leave it as it is.
pub(crate) async fn tell(fault: &Fault, mut answer: Response) -> Response {
    match fault {
        Fault::LongHeaders { bytes } => {
            for number in 0..bytes.div_ceil(LINE as u64) {
                let line = HeaderValue::from_str(&"a".repeat(LINE));
                let name = HeaderName::try_from(format!("x-more-{number}"));
                if let (Ok(name), Ok(line)) = (name, line) {
                    answer.headers_mut().insert(name, line);
                }
            }
            answer
        }
        Fault::NextPage { to } => {
            if let Ok(link) = HeaderValue::from_str(&format!("<{to}>; rel=\"next\"")) {
                answer.headers_mut().insert(header::LINK, link);
            }
            answer
        }
        Fault::Rewrite { find, with } => {
            let (mut parts, body) = answer.into_parts();
            let bytes = axum::body::to_bytes(body, MOST).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).replace(find, with);
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
            Response::from_parts(parts, Body::from(text))
        }
        _ => answer,
    }
}
