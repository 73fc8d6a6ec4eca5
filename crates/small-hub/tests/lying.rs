//! The lies, as a client meets them.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{client, get, get_json, header, hub};
use futures_util::StreamExt;
use small_hub::{Fault, Rule, Says, Stranger};

const INFO: &str = "/api/models/alice/small";

#[tokio::test]
async fn an_answer_goes_on_at_another_address() {
    let hub = hub();
    hub.faults().add(Rule::once(INFO, Fault::NextPage { to: "http://other.example/x".into() }));
    assert_eq!(header(&get(&hub, INFO, "").await, "link"), "<http://other.example/x>; rel=\"next\"");
    assert!(hub.faults().left().is_empty());
}

#[tokio::test]
async fn an_answer_says_something_else() {
    let hub = hub();
    hub.faults()
        .add(Rule::once(INFO, Fault::Rewrite { find: "mit".into(), with: "a \\u001b longer one".into() }));
    assert_eq!(get_json(&hub, INFO, "").await["cardData"]["license"], "a \u{1b} longer one");
    assert_eq!(get_json(&hub, INFO, "").await["cardData"]["license"], "mit");
}

#[tokio::test]
async fn a_body_has_no_end_and_what_of_it_was_taken_is_counted() {
    let hub = hub();
    for status in [200, 500] {
        hub.log().clear();
        hub.faults().add(Rule::once(INFO, Fault::Endless { status }));
        let answer = get(&hub, INFO, "").await;
        assert_eq!(answer.status(), status);
        let (mut pieces, mut got) = (answer.bytes_stream(), 0);
        while got < 3 << 20 {
            got += pieces.next().await.unwrap().unwrap().len() as u64;
        }
        drop(pieces);
        while hub.log().all().iter().any(|one| !one.finished) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(hub.log().all()[0].bytes_sent >= got);
    }
}

#[tokio::test]
async fn headers_are_longer_than_a_client_takes() {
    let hub = hub();
    hub.faults().add(Rule::once(INFO, Fault::LongHeaders { bytes: 100_000 }));
    let long = get(&hub, INFO, "").await;
    assert!(long.headers().values().map(|value| value.len()).sum::<usize>() >= 100_000);
    hub.faults().add(Rule::once(INFO, Fault::LongHeaders { bytes: 4 << 20 }));
    assert!(client().get(format!("{}{INFO}", hub.url())).send().await.is_err());
}

#[tokio::test]
async fn a_stranger_hears_all_that_arrives() {
    let stranger = Stranger::start(Says::NotFound).unwrap();
    let answer =
        client().post(format!("{}/x", stranger.url())).bearer_auth("hf_a").body("the body").send().await;
    assert_eq!(answer.unwrap().status(), 404);
    // What came behind the headers is heard a moment later.
    while !stranger.heard().contains("the body") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stranger.heard().contains("POST /x") && stranger.heard().contains("Bearer hf_a"));
    let endless = Stranger::start(Says::EndlessHeaders).unwrap();
    assert!(client().get(endless.url()).send().await.is_err());
    assert!(endless.sent() > 0);
}
