use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{Answer, Refusal};
use super::{read_json, rights};
use crate::hub::Hub;

/// GET /api/whoami-v2: 200 with who the token stands for, 401 without a token or with an unknown one.
/// `HfApi.whoami` and `login` rely on it.
pub(crate) async fn whoami(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Answer {
    let person = rights::person(&hub, &headers)?.ok_or_else(Refusal::sign_in)?;
    Ok(super::json(&person.whoami()))
}

#[derive(Deserialize)]
struct Card {
    content: String,
}

/// POST /api/validate-yaml: 200 with warnings and errors about a card. `create_commit` asks before it commits a
/// README.md. The small Hub finds no card wrong, and warns of one without metadata, as the Hub does.
pub(crate) async fn validate_yaml(body: Body) -> Answer {
    let card: Card = read_json(body).await?;
    let warnings: Vec<Value> = match card.content.starts_with("---") {
        true => Vec::new(),
        false => vec![json!({"message": "empty or missing yaml metadata in repo card"})],
    };
    Ok(super::json(&json!({"errors": [], "warnings": warnings})))
}
