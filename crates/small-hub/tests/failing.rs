//! Each fault, as a client meets it, and what the log says of it.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{ask, client, get, header, hub, send_json, sha256, signed, weights};
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use small_hub::{Fault, Kind, Listener, Rule, SmallHub};

const FILE: &str = "*model.safetensors";

/// What arrives of a body until it ends or breaks, and whether it broke.
async fn arrive(answer: Response) -> (Vec<u8>, bool) {
    let (mut got, mut pieces) = (Vec::new(), answer.bytes_stream());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => got.extend_from_slice(&piece),
            Err(_) => return (got, true),
        }
    }
    (got, false)
}

async fn fetch(hub: &SmallHub, range: Option<&str>) -> Response {
    let mut request = ask(hub, Method::GET, &signed(hub).await, "");
    if let Some(range) = range {
        request = request.header("range", range);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn an_answer_is_cut() {
    let hub = hub();
    hub.faults().add(Rule::always(FILE, Fault::Cut { after: 1234 }).skip(1).times(2));
    assert_eq!(arrive(fetch(&hub, None).await).await, (weights(), false));
    for _ in 0..2 {
        let (got, broke) = arrive(fetch(&hub, None).await).await;
        assert!(broke);
        assert_eq!(got, weights()[..1234]);
    }
    let rest = fetch(&hub, Some("bytes=1234-")).await;
    assert_eq!(arrive(rest).await, (weights()[1234..].to_vec(), false));
    assert!(hub.faults().left().is_empty());
    let log = hub.log().matching("GET", "/_storage/objects/*");
    assert_eq!(log.iter().map(|one| one.bytes_sent).collect::<Vec<_>>(), [5000, 1234, 1234, 3766]);
    assert_eq!(log[1].fault.as_deref(), Some("Cut { after: 1234 }"));
    assert_eq!(log[3].range.as_deref(), Some("bytes=1234-"));
    assert!(log.iter().all(|one| one.listener == Listener::Storage));
    // A client may have all of an answer a moment before the connection is done with it.
    while hub.log().all().iter().any(|one| !one.finished) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn places_of_cuts_differ_and_follow_from_the_seed() {
    let lengths = |seed: u64| async move {
        let hub = hub();
        hub.faults().add(Rule::always(FILE, Fault::CutAtRandom { seed }));
        let mut lengths = Vec::new();
        for _ in 0..3 {
            lengths.push(arrive(fetch(&hub, None).await).await.0.len());
        }
        lengths
    };
    let first = lengths(1).await;
    assert!(first[0] != first[1] && first[1] != first[2], "{first:?}");
    assert!(first.iter().all(|&length| length < 5000));
    assert_eq!(lengths(1).await, first);
    assert_ne!(lengths(2).await, first);
}

#[tokio::test]
async fn bytes_are_wrong_where_it_was_said() {
    let hub = hub();
    hub.faults().add(Rule::always(FILE, Fault::WrongBytes { at: 3000, count: 2 }));
    let mut wrong = weights();
    wrong[3000] = !wrong[3000];
    wrong[3001] = !wrong[3001];
    assert_eq!(arrive(fetch(&hub, None).await).await, (wrong.clone(), false));
    assert_eq!(arrive(fetch(&hub, Some("bytes=2999-")).await).await.0, wrong[2999..]);
    assert_eq!(arrive(fetch(&hub, Some("bytes=3001-3005")).await).await.0, wrong[3001..3006]);
    assert_eq!(arrive(fetch(&hub, Some("bytes=4000-")).await).await.0, weights()[4000..]);
}

#[tokio::test]
async fn ranges_are_overheard_or_refused() {
    let hub = hub();
    hub.faults().add(Rule::once(FILE, Fault::IgnoreRange));
    let answer = fetch(&hub, Some("bytes=1000-")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(arrive(answer).await.0, weights());
    hub.faults().add(Rule::once("/_storage/objects/*", Fault::RangeRefused));
    assert_eq!(fetch(&hub, None).await.status(), 200);
    let refused = fetch(&hub, Some("bytes=1000-")).await;
    assert_eq!(refused.status(), 416);
    assert_eq!(header(&refused, "content-range"), "bytes */5000");
    assert_eq!(fetch(&hub, Some("bytes=1000-")).await.status(), 206);
}

#[tokio::test]
async fn refusals_come_as_often_as_was_said() {
    let hub = hub();
    let path = "/api/models/alice/small";
    hub.faults().add(Rule::once("/api/models/*", Fault::Status { status: 429, retry_after: Some(7) }));
    for status in [500, 502, 503] {
        hub.faults().add(Rule::once("/api/models/*", Fault::Status { status, retry_after: None }));
    }
    let busy = get(&hub, path, "").await;
    assert_eq!(busy.status(), 429);
    assert_eq!(header(&busy, "retry-after"), "7");
    assert!(!header(&busy, "x-request-id").is_empty());
    for status in [500, 502, 503, 200] {
        assert_eq!(get(&hub, path, "").await.status(), status);
    }
    // A rule that lets the first pass leaves them to the rules behind it.
    hub.faults().add(Rule::once("/api/*", Fault::Status { status: 500, retry_after: None }).skip(1));
    hub.faults().add(Rule::once("/api/*", Fault::Status { status: 503, retry_after: None }));
    for status in [503, 500, 200] {
        assert_eq!(get(&hub, path, "").await.status(), status);
    }
}

#[tokio::test]
async fn another_host_gets_the_request_but_no_token() {
    let (hub, other) = (hub(), hub());
    hub.faults().add(Rule::once("*/resolve/*", Fault::Redirect { to: other.url().to_owned() }));
    let path = format!("{}/alice/small/resolve/main/README.md", hub.url());
    // A client that follows by itself, as most do.
    let answer = reqwest::Client::new().get(&path).bearer_auth("hf_alice").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), common::CARD);
    assert_eq!(hub.log().all()[0].status, Some(307));
    assert!(hub.log().all()[0].token.is_some());
    assert_eq!(other.log().all()[0].token, None);
}

#[tokio::test]
async fn bodies_drip_and_stall() {
    let hub = hub();
    hub.faults().add(Rule::once(FILE, Fault::Slow { bytes_per_second: 10_000 }));
    let begun = Instant::now();
    assert_eq!(arrive(fetch(&hub, None).await).await, (weights(), false));
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(400), "{took:?}");

    hub.faults().add(Rule::once(FILE, Fault::Stall { after: 2000 }));
    let mut pieces = fetch(&hub, None).await.bytes_stream();
    let mut got = 0;
    while got < 2000 {
        got += pieces.next().await.unwrap().unwrap().len();
    }
    assert_eq!(got, 2000);
    let more = tokio::time::timeout(Duration::from_millis(300), pieces.next()).await;
    assert!(more.is_err());
    assert!(!hub.log().all().last().unwrap().finished);

    hub.faults().add(Rule::once("/api/whoami-v2", Fault::Silence));
    let silent =
        ask(&hub, Method::GET, "/api/whoami-v2", "hf_alice").timeout(Duration::from_millis(300)).send().await;
    assert!(silent.unwrap_err().is_timeout());
}

/// An upload in parts, as far as its parts: the addresses and the parts that arrived.
async fn begin(hub: &SmallHub, content: &[u8]) -> (Value, Vec<Value>) {
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": [{"oid": sha256(content), "size": content.len()}],
    });
    let answer =
        send_json(hub, Method::POST, "/alice/small.git/info/lfs/objects/batch", "hf_alice", &body).await;
    let answer: Value = answer.json().await.unwrap();
    let actions = answer["objects"][0]["actions"].clone();
    let mut parts = Vec::new();
    for (number, part) in content.chunks(1000).enumerate() {
        let address = actions["upload"]["header"][(number + 1).to_string()].as_str().unwrap();
        let arrived = client().put(address).body(part.to_vec()).send().await;
        if let Ok(arrived) = arrived {
            parts.push(json!({"partNumber": number + 1, "etag": header(&arrived, "etag")}));
        }
    }
    (actions, parts)
}

#[tokio::test]
async fn uploads_break_and_can_be_finished() {
    let hub = hub();
    let content = vec![3; 2500];
    let cut = Rule::once("/_storage/uploads/*", Fault::CutUpload { after: 100 }).skip(1).method("PUT");
    hub.faults().add(cut.at(Listener::Storage));
    let (actions, mut parts) = begin(&hub, &content).await;
    assert_eq!(parts.len(), 2);
    let broken = hub.log().matching("PUT", "*/2")[0].clone();
    assert!(broken.status.is_none() && broken.bytes_received >= 100 && broken.finished, "{broken:?}");
    let again =
        client().put(actions["upload"]["header"]["2"].as_str().unwrap()).body(content[1000..2000].to_vec());
    parts.insert(1, json!({"partNumber": 2, "etag": header(&again.send().await.unwrap(), "etag")}));

    let fail = Fault::Status { status: 500, retry_after: None };
    hub.faults().add(Rule::once("/api/complete_multipart", fail.clone()));
    hub.faults().add(Rule::once("*/lfs/verify", fail.clone()));
    hub.faults().add(Rule::once("*/commit/main", fail));
    let body = json!({"oid": sha256(&content), "parts": parts});
    let complete = actions["upload"]["href"].as_str().unwrap();
    let verify = actions["verify"]["href"].as_str().unwrap();
    for status in [500, 200] {
        assert_eq!(send_json(&hub, Method::POST, complete, "", &body).await.status(), status);
    }
    let object = json!({"oid": sha256(&content), "size": 2500});
    for status in [500, 200] {
        assert_eq!(send_json(&hub, Method::POST, verify, "hf_alice", &object).await.status(), status);
    }
    for (status, commits) in [(500, 2), (200, 3)] {
        assert_eq!(commit(&hub).await.unwrap().status(), status);
        assert_eq!(hub.commits(Kind::Model, "alice/small", "main").unwrap().len(), commits);
    }
}

async fn commit(hub: &SmallHub) -> reqwest::Result<Response> {
    let lines = [
        json!({"key": "header", "value": {"summary": "A file"}}),
        json!({"key": "file", "value": {"path": "a.txt", "content": "aGVsbG8K", "encoding": "base64"}}),
    ];
    let body = format!("{}\n{}", lines[0], lines[1]);
    ask(hub, Method::POST, "/api/models/alice/small/commit/main", "hf_alice").body(body).send().await
}

#[tokio::test]
async fn an_answer_is_lost_after_the_commit_was_made() {
    let hub = hub();
    hub.faults().add(Rule::once("*/commit/*", Fault::LoseAnswer));
    assert!(commit(&hub).await.is_err());
    assert_eq!(hub.read(Kind::Model, "alice/small", "main", "a.txt").unwrap(), b"hello\n");
    assert_eq!(hub.commits(Kind::Model, "alice/small", "main").unwrap().len(), 3);
    let logged = &hub.log().matching("POST", "*/commit/*")[0];
    assert_eq!((logged.status, logged.finished), (None, true));
}

/// Large files must not pass through memory: 60 MB come and go while the test's own memory stays far below.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn large_files_are_streamed() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let hub = hub();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(60 << 20).unwrap();
    let before = peak();
    let write = [small_hub::Write::file("zeros.bin", file.path())];
    hub.commit(Kind::Model, "alice/small", "main", "Zeros", &write).unwrap();
    let address = header(&get(&hub, "/alice/small/resolve/main/zeros.bin", "").await, "location");
    let mut pieces = get(&hub, &address, "").await.bytes_stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.unwrap().len();
    }
    assert_eq!(length, 60 << 20);

    let batch = json!({"operation": "upload", "transfers": [], "objects": [{"oid": "0".repeat(64), "size": 60 << 20}]});
    let answer =
        send_json(&hub, Method::POST, "/alice/small.git/info/lfs/objects/batch", "hf_alice", &batch).await;
    let answer: Value = answer.json().await.unwrap();
    let upload = answer["objects"][0]["actions"]["upload"]["href"].as_str().unwrap();
    let block = bytes_of_a_block();
    let stream = futures_util::stream::iter((0..60).map(move |_| Ok::<_, std::io::Error>(block.clone())));
    let put =
        client().put(upload).header("content-length", 60 << 20).body(reqwest::Body::wrap_stream(stream));
    // It is refused, since its hash is another, but only when all of it has arrived.
    assert_eq!(put.send().await.unwrap().status(), 400);
    assert_eq!(hub.log().matching("PUT", "*")[0].bytes_received, 60 << 20);
    let grown = peak() - before;
    assert!(grown < 30, "{grown} MB");
}

#[cfg(target_os = "linux")]
fn bytes_of_a_block() -> Vec<u8> {
    vec![5; 1 << 20]
}
