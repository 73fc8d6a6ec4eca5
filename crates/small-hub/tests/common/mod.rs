//! A small Hub with a few people and repositories, and a client that follows no redirect.
#![allow(dead_code, clippy::unwrap_used)]

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use small_hub::{Kind, Options, Role, SmallHub, Token, Write};

pub const CARD: &str = "---\nlicense: mit\npipeline_tag: text-classification\ntags: [mbti]\n---\n# Small\n";

pub fn options() -> Options {
    Options { part_size: 1000, ..Options::default() }
        .token(Token::new("alice", "hf_alice", Role::Write).in_org("team"))
        .token(Token::new("alice", "hf_reader", Role::Read))
        .token(Token::new("bob", "hf_bob", Role::Write))
}

/// With alice/small: a card, a config in a folder and weights of 5,000 bytes.
pub fn hub() -> SmallHub {
    hub_with(options())
}

pub fn hub_with(options: Options) -> SmallHub {
    let hub = SmallHub::start(options).unwrap();
    hub.create(Kind::Model, "alice/small").unwrap();
    let files = [
        Write::bytes("README.md", CARD),
        Write::bytes("sub/config.json", r#"{"model_type": "bert"}"#),
        Write::bytes("model.safetensors", weights()),
    ];
    hub.commit(Kind::Model, "alice/small", "main", "Weights", &files).unwrap();
    hub
}

pub fn weights() -> Vec<u8> {
    (0..5000_u32).map(|number| (number * 7 % 251) as u8).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A request to an address of the Hub, or to a whole one, with a token unless it is "".
pub fn ask(hub: &SmallHub, method: Method, path: &str, token: &str) -> RequestBuilder {
    let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", hub.url()) };
    let request = client().request(method, url);
    if token.is_empty() { request } else { request.bearer_auth(token) }
}

pub async fn get(hub: &SmallHub, path: &str, token: &str) -> Response {
    ask(hub, Method::GET, path, token).send().await.unwrap()
}

pub async fn get_json(hub: &SmallHub, path: &str, token: &str) -> Value {
    let answer = get(hub, path, token).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

pub async fn send_json(hub: &SmallHub, method: Method, path: &str, token: &str, body: &Value) -> Response {
    ask(hub, method, path, token).json(body).send().await.unwrap()
}

pub fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The signed address of alice/small's weights.
pub async fn signed(hub: &SmallHub) -> String {
    header(&get(hub, "/alice/small/resolve/main/model.safetensors", "").await, "location")
}
