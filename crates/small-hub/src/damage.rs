//! What faults do to the body of an answer on its way out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use futures_util::stream;

use crate::log::LogEntry;

/// So long a body waits before it breaks: what was written before must have left, or a client would see less.
const LEAVE: Duration = Duration::from_millis(40);

/// Pieces of a slow body, at most.
const DRIPS_A_SECOND: u64 = 20;

#[derive(Clone, Copy)]
pub(crate) struct Harm {
    pub(crate) cut: Option<u64>,
    pub(crate) stall: Option<u64>,
    /// Bytes a second.
    pub(crate) rate: Option<u64>,
    /// From and to where, in the body, bytes are turned over.
    pub(crate) wrong: Option<(u64, u64)>,
}

impl Harm {
    pub(crate) fn none() -> Harm {
        Harm { cut: None, stall: None, rate: None, wrong: None }
    }
}

struct Outgoing {
    source: BodyDataStream,
    /// What was taken from the source and is yet to be sent.
    held: Bytes,
    sent: u64,
    harm: Harm,
    entry: Arc<LogEntry>,
}

/// The body with its harm, counted into the log.
pub(crate) fn body(source: Body, harm: Harm, entry: Arc<LogEntry>) -> Body {
    let outgoing = Outgoing { source: source.into_data_stream(), held: Bytes::new(), sent: 0, harm, entry };
    Body::from_stream(stream::unfold(outgoing, |mut outgoing| async move {
        let piece = next_piece(&mut outgoing).await?;
        Some((piece, outgoing))
    }))
}

async fn next_piece(outgoing: &mut Outgoing) -> Option<Result<Bytes, std::io::Error>> {
    let harm = outgoing.harm;
    if harm.cut.is_some_and(|after| outgoing.sent >= after) {
        tokio::time::sleep(LEAVE).await;
        return Some(Err(std::io::Error::other("a fault cuts the answer here")));
    }
    if harm.stall.is_some_and(|after| outgoing.sent >= after) {
        std::future::pending::<()>().await;
    }
    if outgoing.held.is_empty() {
        match outgoing.source.next().await? {
            Ok(piece) => outgoing.held = piece,
            Err(error) => return Some(Err(std::io::Error::other(error))),
        }
    }
    let mut most = outgoing.held.len() as u64;
    for end in [harm.cut, harm.stall].into_iter().flatten() {
        most = most.min(end - outgoing.sent);
    }
    if let Some(rate) = harm.rate {
        most = most.min((rate / DRIPS_A_SECOND).max(1));
        tokio::time::sleep(Duration::from_secs_f64(most as f64 / rate as f64)).await;
    }
    let piece = outgoing.held.split_to(most as usize);
    let piece = match harm.wrong {
        Some((from, to)) => turn_over(piece, outgoing.sent, from, to),
        None => piece,
    };
    outgoing.sent += piece.len() as u64;
    outgoing.entry.sent(piece.len());
    Some(Ok(piece))
}

/// The piece, which begins at `start`, with all bits of its bytes in `from..to` turned over.
fn turn_over(piece: Bytes, start: u64, from: u64, to: u64) -> Bytes {
    if to <= start || from >= start + piece.len() as u64 {
        return piece;
    }
    let place = |at: u64, byte: &u8| if (from..to).contains(&at) { !byte } else { *byte };
    piece.iter().enumerate().map(|(at, byte)| place(start + at as u64, byte)).collect()
}

/// Where in its file the body of an answer starts: not at 0 if it is a part.
pub(crate) fn range_start(headers: &HeaderMap) -> u64 {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start.unwrap_or(0)
}
