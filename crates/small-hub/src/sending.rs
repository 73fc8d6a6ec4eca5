//! A file as an answer: all of it or the part that is asked for, read from the disk as it leaves.

use std::io::SeekFrom;
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::api::refusal::Refusal;
use crate::error::Error;

const PIECE: u64 = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    /// From and up to, not with, the end.
    Some(u64, u64),
    Outside,
}

/// 200 with the file, 206 with a part of it for Range (and If-Range, if its tag is this one), 416 for one that
/// begins behind the end. To several ranges at once the answer is all, which the standard allows.
pub(crate) async fn send_file(path: &Path, etag: &str, asked: &HeaderMap) -> Result<Response, Refusal> {
    let gone = |error| Refusal::broken(Error::disk(path, error));
    let mut file = File::open(path).await.map_err(gone)?;
    let size = file.metadata().await.map_err(gone)?.len();
    let quoted = format!("\"{etag}\"");
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let still_this = text(header::IF_RANGE).is_none_or(|tag| tag == quoted);
    let part = match text(header::RANGE).filter(|_| still_this) {
        Some(range) => part_of(range, size),
        None => Part::All,
    };
    let (status, start, end) = match part {
        Part::All => (StatusCode::OK, 0, size),
        Part::Some(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Part::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    file.seek(SeekFrom::Start(start)).await.map_err(gone)?;
    let mut answer = Response::new(body(file, end - start));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(tag) = HeaderValue::from_str(&quoted) {
        headers.insert(header::ETAG, tag);
    }
    let range = match status {
        StatusCode::PARTIAL_CONTENT => Some(format!("bytes {start}-{}/{size}", end - 1)),
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{size}")),
        _ => None,
    };
    if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(answer)
}

fn part_of(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::All;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), _) if first >= size => Part::Outside,
        (Ok(first), Ok(last)) if last >= first => Part::Some(first, size.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => Part::Some(first, size),
        (Err(_), Ok(0)) if first.trim().is_empty() => Part::Outside,
        (Err(_), Ok(_)) if first.trim().is_empty() && size == 0 => Part::Outside,
        (Err(_), Ok(count)) if first.trim().is_empty() => Part::Some(size.saturating_sub(count), size),
        _ => Part::All,
    }
}

/// The next so many bytes of the file, piece by piece.
fn body(file: File, count: u64) -> Body {
    Body::from_stream(stream::try_unfold((file, count), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; left.min(PIECE) as usize];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok::<_, std::io::Error>(Some((Bytes::from(piece), (file, left - read as u64))))
    }))
}

#[cfg(test)]
mod tests {
    use super::{Part, part_of};

    #[test]
    fn ranges_are_understood() {
        assert_eq!(part_of("bytes=0-0", 10), Part::Some(0, 1));
        assert_eq!(part_of("bytes=4-", 10), Part::Some(4, 10));
        assert_eq!(part_of("bytes=4-100", 10), Part::Some(4, 10));
        assert_eq!(part_of("bytes=-3", 10), Part::Some(7, 10));
        assert_eq!(part_of("bytes=-30", 10), Part::Some(0, 10));
        assert_eq!(part_of("bytes=10-", 10), Part::Outside);
        assert_eq!(part_of("bytes=-0", 10), Part::Outside);
        assert_eq!(part_of("bytes=0-", 0), Part::Outside);
        assert_eq!(part_of("bytes=5-4", 10), Part::All);
        assert_eq!(part_of("bytes=0-1,4-5", 10), Part::All);
        assert_eq!(part_of("lines=1-2", 10), Part::All);
    }
}
