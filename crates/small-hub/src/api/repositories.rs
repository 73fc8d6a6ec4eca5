use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{Answer, Refusal};
use super::{Asked, read_json, rights};
use crate::hub::Hub;
use crate::repos::{Gated, Kind};

#[derive(Deserialize)]
struct Named {
    name: String,
    organization: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    private: Option<bool>,
    visibility: Option<String>,
}

impl Named {
    fn kind(&self) -> Result<Kind, Refusal> {
        match self.kind.as_deref() {
            None | Some("model") => Ok(Kind::Model),
            Some("dataset") => Ok(Kind::Dataset),
            Some(other) => {
                Err(Refusal::bad_request(&format!("The small Hub keeps no repos of the type {other}")))
            }
        }
    }
}

/// POST /api/repos/create: 200 with `url`, 400 for a bad name, 401 without a token, 403 without the right, 409 if
/// there is one, which `create_repo(exist_ok=True)` takes for success.
pub(crate) async fn create(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Answer {
    let person = rights::person(&hub, &headers)?.ok_or_else(Refusal::sign_in)?;
    let named: Named = read_json(body).await?;
    let kind = named.kind()?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if named.name.is_empty() || named.name.len() > 96 || !named.name.bytes().all(good) {
        return Err(Refusal::bad_request("Invalid repo name: use letters, digits, \"-\", \"_\" and \".\""));
    }
    let id = format!("{}/{}", named.organization.as_deref().unwrap_or(&person.user), named.name);
    let person = rights::may_create(Some(&person), kind, &id)?;
    let private = named.private.unwrap_or(named.visibility.as_deref() == Some("private"));
    hub.create(kind, &id, &person.user, private)?;
    let url = format!("{}/{}{id}", hub.url, kind.prefix());
    Ok(super::json(&json!({"url": url, "name": id, "id": crate::people::number_of(&id)})))
}

/// DELETE /api/repos/delete: 200, 401, 403, or 404, which becomes `RepositoryNotFoundError`.
pub(crate) async fn delete(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Answer {
    let person = rights::person(&hub, &headers)?.ok_or_else(Refusal::sign_in)?;
    let named: Named = read_json(body).await?;
    let kind = named.kind()?;
    let id = format!("{}/{}", named.organization.as_deref().unwrap_or(&person.user), named.name);
    hub.change(|repos| {
        rights::seen(repos.find(kind, &id), Some(&person))?;
        rights::may_write(Some(&person), kind, &id)?;
        repos.remove(kind, &id);
        Ok(())
    })?;
    Ok(super::json(&json!({})))
}

#[derive(Deserialize)]
struct Settings {
    private: Option<bool>,
    visibility: Option<String>,
    gated: Option<Value>,
}

/// PUT /api/{kind}/{id}/settings: 200, 401, 403, 404. `update_repo_settings` relies on it.
pub(crate) async fn settings(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    let settings: Settings = read_json(body).await?;
    let gated = match &settings.gated {
        None => None,
        Some(Value::Bool(false)) => Some(Gated::No),
        Some(Value::String(text)) if text == "auto" => Some(Gated::Auto),
        Some(Value::String(text)) if text == "manual" => Some(Gated::Manual),
        Some(_) => return Err(Refusal::bad_request("gated is false, \"auto\" or \"manual\"")),
    };
    let private = settings.private.or(settings.visibility.map(|visibility| visibility == "private"));
    asked.hub.change(|repos| {
        let repo = repos.find_mut(asked.kind, &asked.id).ok_or_else(Refusal::no_such_repo)?;
        repo.private = private.unwrap_or(repo.private);
        repo.gated = gated.unwrap_or(repo.gated);
        Ok(())
    })?;
    Ok(super::json(&json!({})))
}

#[derive(Deserialize)]
struct Granted {
    user: String,
}

/// POST /api/{kind}/{id}/user-access-request/grant: 200, 401, 403, 404. `grant_access` relies on it.
pub(crate) async fn grant(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    if asked.rest != ["grant"] {
        return Err(Refusal::unknown_address());
    }
    let granted: Granted = read_json(body).await?;
    asked.hub.change(|repos| {
        let repo = repos.find_mut(asked.kind, &asked.id).ok_or_else(Refusal::no_such_repo)?;
        repo.granted.insert(granted.user);
        Ok(())
    })?;
    Ok(super::json(&json!({})))
}

/// GET /api/{kind}/{id}/auth-check and auth-check/write: 200 if this person may read files or write, else the
/// refusal that they would get. `HfApi.auth_check` relies on it.
pub(crate) fn auth_check(asked: &Asked) -> Answer {
    asked.with_repo(|repo| rights::may_read_files(repo, asked.person.as_ref()))?;
    if asked.rest == ["write"] {
        asked.writer()?;
    }
    Ok(super::json(&json!({})))
}
