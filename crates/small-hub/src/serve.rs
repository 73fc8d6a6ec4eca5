//! Connections. Every request of both listeners goes through [`answer`], which logs it, does faults to it and
//! drops its connection where a fault wants that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::damage::{self, Harm};
use crate::faults::{Asked, Claim, Fault};
use crate::hub::Hub;
use crate::lies;
use crate::log::{Listener, LogEntry};
use crate::storage_paths;

/// hyper drops a connection without an answer when its service fails, which is what a fault wants.
#[derive(Debug, thiserror::Error)]
#[error("a fault broke the connection")]
struct Broken;

pub(crate) async fn accept(tcp: TcpListener, hub: Arc<Hub>, listener: Listener, router: Router) {
    loop {
        let Ok((stream, _)) = tcp.accept().await else { continue };
        // A piece of a body is on its way when it was written, so that "after so many bytes" holds.
        let _ = stream.set_nodelay(true);
        let (hub, router) = (hub.clone(), router.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(hub.clone(), listener, router.clone(), request));
            // A broken connection is the client's to deal with.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    hub: Arc<Hub>,
    listener: Listener,
    router: Router,
    request: hyper::Request<Incoming>,
) -> Result<Response, Broken> {
    let (mut parts, incoming) = request.into_parts();
    let number = hub.next_request();
    let path = parts.uri.path();
    if path.starts_with("/_") && !path.starts_with(storage_paths::PREFIX) {
        return Ok(route(router, Request::from_parts(parts, Body::new(incoming))).await);
    }
    let entry = Arc::new(hub.log.begin(number, listener, &parts.method, &parts.uri, &parts.headers));
    let asked = Asked {
        listener,
        method: &parts.method,
        paths: paths_of(&parts.uri),
        has_range: parts.headers.contains_key(header::RANGE),
    };
    let claims = hub.faults.claim(&asked);
    let counting = entry.clone();
    let body = Body::new(incoming)
        .into_data_stream()
        .inspect_ok(move |piece: &Bytes| counting.received(piece.len()));
    let rate = match claims.taken.as_ref().map(|claim| &claim.fault) {
        Some(Fault::SlowUpload { bytes_per_second }) => Some((*bytes_per_second).max(1)),
        _ => None,
    };
    let body = body.and_then(move |piece: Bytes| async move {
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64)).await;
        }
        Ok(piece)
    });

    let fault = claims.taken.as_ref().map(|claim| claim.fault.clone());
    match &fault {
        Some(Fault::CutUpload { after }) => {
            entry.fault(format!("{fault:?}"));
            read(body, *after).await;
            return Err(Broken);
        }
        Some(Fault::Silence) => {
            entry.fault(format!("{fault:?}"));
            read(body, u64::MAX).await;
            return std::future::pending().await;
        }
        Some(Fault::Status { .. } | Fault::Redirect { .. } | Fault::RangeRefused | Fault::Endless { .. }) => {
            entry.fault(format!("{fault:?}"));
            read(body, u64::MAX).await;
            let mut answer = refusal(&hub, fault.as_ref(), &parts.uri);
            name_request(&mut answer, number);
            return Ok(finish(answer, entry, Harm::none(), &parts.method));
        }
        Some(Fault::IgnoreRange) => {
            parts.headers.remove(header::RANGE);
        }
        _ => {}
    }

    let method = parts.method.clone();
    let request = Request::from_parts(parts, Body::from_stream(body));
    let mut answer = route(router, request).await;
    name_request(&mut answer, number);
    let mut harm = Harm::none();
    let harmable = method != Method::HEAD && answer.status().is_success();
    if !harmable {
        hub.faults.give_back(&claims);
    }
    if let Some(claim) = claims.taken.filter(|claim| harmable || !claim.fault.is_of_the_body()) {
        entry.fault(format!("{:?}", claim.fault));
        harm = harm_of(&claim, &answer);
        answer = lies::tell(&claim.fault, answer).await;
    }
    if fault == Some(Fault::LoseAnswer) {
        return Err(Broken);
    }
    Ok(finish(answer, entry, harm, &method))
}

async fn route(router: Router, request: Request) -> Response {
    let answer: Result<Response, Infallible> = router.oneshot(request).await;
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// A request's path, and for the storage also that with the file's name behind it.
fn paths_of(uri: &Uri) -> Vec<String> {
    let mut paths = vec![uri.path().to_owned()];
    if let Some(name) = crate::signed::file_name(uri) {
        paths.push(format!("{}/{name}", uri.path()));
    }
    paths
}

/// Reads so much of a body and forgets it.
async fn read<E>(body: impl futures_util::Stream<Item = Result<Bytes, E>>, limit: u64) {
    let mut body = std::pin::pin!(body);
    let mut read = 0;
    while read < limit {
        match body.next().await {
            Some(Ok(piece)) => read += piece.len() as u64,
            _ => return,
        }
    }
}

fn refusal(hub: &Hub, fault: Option<&Fault>, uri: &Uri) -> Response {
    let message = |status: StatusCode, text: &str| {
        let mut answer = (status, text.to_owned()).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        answer
    };
    match fault {
        Some(Fault::Status { status, retry_after }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let text = if status == StatusCode::TOO_MANY_REQUESTS {
                "We had to rate limit you."
            } else {
                "Internal Error - We're working hard to fix this as soon as possible!"
            };
            let mut answer = message(status, text);
            answer.headers_mut().insert("x-error-message", HeaderValue::from_static(text));
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            answer
        }
        Some(Fault::Endless { status }) => lies::endless(*status),
        Some(Fault::Redirect { to }) => {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let mut answer = message(StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect");
            if let Ok(place) = HeaderValue::from_str(&format!("{}{path}", to.trim_end_matches('/'))) {
                answer.headers_mut().insert(header::LOCATION, place);
            }
            answer
        }
        _ => {
            let mut answer =
                message(StatusCode::RANGE_NOT_SATISFIABLE, "The requested range is not satisfiable");
            if let Some(size) = hub.size_behind(uri)
                && let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}"))
            {
                answer.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            answer
        }
    }
}

/// Every answer says which request it belongs to; clients put it into their messages.
fn name_request(answer: &mut Response, number: u64) {
    if let Ok(name) = HeaderValue::from_str(&format!("Root=1-{number:08x}-small0hub")) {
        answer.headers_mut().insert("x-request-id", name);
    }
}

fn harm_of(claim: &Claim, answer: &Response) -> Harm {
    let length = number(answer.headers(), header::CONTENT_LENGTH).unwrap_or(65_536);
    match claim.fault {
        Fault::Cut { after } => Harm { cut: Some(after), ..Harm::none() },
        Fault::CutAtRandom { seed } => Harm { cut: Some(claim.random_place(seed, length)), ..Harm::none() },
        Fault::Stall { after } => Harm { stall: Some(after), ..Harm::none() },
        Fault::Slow { bytes_per_second } => Harm { rate: Some(bytes_per_second.max(1)), ..Harm::none() },
        Fault::WrongBytes { at, count } => {
            // The place is one in the file, of which this may be a part.
            let start = damage::range_start(answer.headers());
            Harm {
                wrong: Some((at.saturating_sub(start), (at + count).saturating_sub(start))),
                ..Harm::none()
            }
        }
        _ => Harm::none(),
    }
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn finish(answer: Response, entry: Arc<LogEntry>, harm: Harm, method: &Method) -> Response {
    entry.status(answer.status());
    if method == Method::HEAD {
        // The connection sends the headers alone, so that no body may count as sent.
        return answer.map(|_| Body::empty());
    }
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, damage::body(body, harm, entry))
}
