//! The small Hub's own addresses, by which a script sets faults and reads the log. They are not in the log.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::read_json;
use super::refusal::{Answer, Refusal};
use crate::error::Error;
use crate::faults::Rule;
use crate::hub::Hub;

#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

/// POST /_faults with one rule or a list: 200 with all that are in force, 400 if it is none.
pub(crate) async fn add_faults(State(hub): State<Arc<Hub>>, body: Body) -> Answer {
    match read_json(body).await? {
        Rules::Many(rules) => rules.into_iter().for_each(|rule| hub.faults.add(rule)),
        Rules::One(rule) => hub.faults.add(*rule),
    }
    show(&hub)
}

/// GET /_faults: 200 with those that are not used up.
pub(crate) async fn faults(State(hub): State<Arc<Hub>>) -> Answer {
    show(&hub)
}

/// DELETE /_faults: 200, and nothing goes wrong any more.
pub(crate) async fn clear_faults(State(hub): State<Arc<Hub>>) -> Answer {
    hub.faults.clear();
    show(&hub)
}

fn show(hub: &Hub) -> Answer {
    value(hub.faults.left())
}

/// GET /_log: 200 with all requests of both listeners.
pub(crate) async fn log(State(hub): State<Arc<Hub>>) -> Answer {
    value(hub.log.all())
}

/// DELETE /_log: 200, and the log is empty.
pub(crate) async fn clear_log(State(hub): State<Arc<Hub>>) -> Answer {
    hub.log.clear();
    Ok(super::json(&json!([])))
}

fn value(of: impl serde::Serialize) -> Answer {
    let value = serde_json::to_value(of)
        .map_err(|source| Refusal::broken(Error::Kept { path: "_log".into(), source }))?;
    Ok(super::json(&value))
}
