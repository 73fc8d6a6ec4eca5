//! The Hub's API, as far as the clients use it. Addresses of repositories are taken apart by hand: an id is one
//! name or two, and a revision may have escaped slashes in it, which no pattern of axum's tells.

mod account;
mod commit;
mod control;
mod info;
pub(crate) mod lfs;
mod listing;
mod parquet;
mod preupload;
mod refs;
pub(crate) mod refusal;
mod repositories;
mod resolve;
mod rights;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{delete, get, post};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::hub::Hub;
use crate::people::Token;
use crate::repos::{Commit, Kind, Repo};
use refusal::{Answer, Refusal};

pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/api/whoami-v2", get(account::whoami))
        .route("/api/validate-yaml", post(account::validate_yaml))
        .route("/api/repos/create", post(repositories::create))
        .route("/api/repos/delete", delete(repositories::delete))
        .route("/api/complete_multipart", post(lfs::complete))
        .route("/_faults", get(control::faults).post(control::add_faults).delete(control::clear_faults))
        .route("/_log", get(control::log).delete(control::clear_log))
        .fallback(by_path)
        .with_state(hub)
}

/// What stands between an id and the rest of an address under /api.
const VERBS: [&str; 16] = [
    "auth-check",
    "branch",
    "commit",
    "commits",
    "discussions",
    "parquet",
    "paths-info",
    "preupload",
    "refs",
    "resolve",
    "revision",
    "settings",
    "tag",
    "tree",
    "user-access-request",
    "xet-write-token",
];

/// One request about one repository.
pub(crate) struct Asked {
    pub(crate) hub: Arc<Hub>,
    pub(crate) person: Option<Token>,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// What stands behind the verb, decoded.
    pub(crate) rest: Vec<String>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
}

impl Asked {
    /// The revision, which stands first behind the verb.
    pub(crate) fn revision(&self) -> &str {
        self.rest.first().map_or("main", String::as_str)
    }

    /// The path of a file or folder, which stands behind the revision.
    pub(crate) fn path(&self) -> String {
        self.rest.get(1..).unwrap_or_default().join("/")
    }

    /// Looks at the repository, if this person may see it.
    pub(crate) fn with_repo<T>(&self, look: impl FnOnce(&Repo) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let repos = self.hub.repos();
        look(rights::seen(repos.find(self.kind, &self.id), self.person.as_ref())?)
    }

    /// Looks at the repository with the commit that the address names.
    pub(crate) fn with_commit<T>(
        &self,
        look: impl FnOnce(&Repo, &Commit) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let revision = self.revision();
        self.with_repo(|repo| {
            let commit = repo.commit_at(revision).ok_or_else(|| Refusal::no_such_revision(revision))?;
            look(repo, commit)
        })
    }

    /// Who writes, if this person may.
    pub(crate) fn writer(&self) -> Result<&Token, Refusal> {
        self.with_repo(|_| Ok(()))?;
        rights::may_write(self.person.as_ref(), self.kind, &self.id)
    }
}

/// The parameters behind the question mark.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Query {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Query(pairs.map(|pairs| pairs.0).unwrap_or_default())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// "true", "True" (as Python writes it) and "1".
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }
}

async fn by_path(State(hub): State<Arc<Hub>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let segments: Vec<String> = parts
        .uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let person = match rights::person(&hub, &parts.headers) {
        // With a wrong token the Hub says of a gated file that it is gated, not that the token is wrong.
        Err(_) if segments.iter().any(|segment| segment == "resolve") && is_gated(&hub, &segments) => None,
        person => person?,
    };
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = Query::of(&parts.uri);
    let asked = |kind: Kind, id: String, rest: &[&str]| Asked {
        hub: hub.clone(),
        person: person.clone(),
        kind,
        id,
        rest: rest.iter().map(|&part| part.to_owned()).collect(),
        query: Query::of(&parts.uri),
        headers: parts.headers.clone(),
        uri: parts.uri.clone(),
    };
    match words.as_slice() {
        ["api", plural] => {
            let kind = Kind::of_plural(plural).ok_or_else(Refusal::unknown_address)?;
            listing::list(&hub, person.as_ref(), kind, &query, &parts.uri)
        }
        ["api", "resolve-cache", plural, owner, name, rest @ ..] => {
            let kind = Kind::of_plural(plural).ok_or_else(Refusal::unknown_address)?;
            resolve::cached(asked(kind, format!("{owner}/{name}"), rest)).await
        }
        ["api", plural, rest @ ..] => {
            let kind = Kind::of_plural(plural).ok_or_else(Refusal::unknown_address)?;
            let (id, verb, rest) = split_id(rest);
            about_repository(&parts.method, asked(kind, id, rest), verb, body).await
        }
        ["datasets", rest @ ..] => {
            files(&parts.method, rest, |id, rest| asked(Kind::Dataset, id, rest), body).await
        }
        rest => files(&parts.method, rest, |id, rest| asked(Kind::Model, id, rest), body).await,
    }
}

fn is_gated(hub: &Hub, segments: &[String]) -> bool {
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (kind, rest) = match words.as_slice() {
        ["datasets", rest @ ..] => (Kind::Dataset, rest),
        rest => (Kind::Model, rest),
    };
    let id = rest.split(|&word| word == "resolve").next().unwrap_or_default().join("/");
    hub.repos().find(kind, &id).is_some_and(|repo| repo.gated != crate::repos::Gated::No)
}

fn split_id<'a, 'b>(words: &'b [&'a str]) -> (String, &'a str, &'b [&'a str]) {
    match words {
        [name, verb, rest @ ..] if VERBS.contains(verb) => ((*name).to_owned(), verb, rest),
        [owner, name, verb, rest @ ..] => (format!("{owner}/{name}"), verb, rest),
        [owner, name] => (format!("{owner}/{name}"), "", &[]),
        [name] => ((*name).to_owned(), "", &[]),
        [] => (String::new(), "", &[]),
    }
}

async fn about_repository(method: &Method, asked: Asked, verb: &str, body: Body) -> Answer {
    let reads = method == Method::GET || method == Method::HEAD;
    if reads && let Some(answer) = other_spelling(&asked) {
        return Ok(answer);
    }
    match (verb, method.as_str()) {
        ("" | "revision", "GET" | "HEAD") => info::info(&asked),
        ("tree", "GET" | "HEAD") => tree::tree(&asked),
        ("paths-info", "POST") => tree::paths_info(&asked, body).await,
        ("refs", "GET" | "HEAD") => refs::refs(&asked),
        ("commits", "GET" | "HEAD") => refs::commits(&asked),
        ("branch", "POST") => refs::create_branch(&asked, body).await,
        ("branch", "DELETE") => refs::delete(&asked, "refs/heads/"),
        ("tag", "POST") => refs::create_tag(&asked, body).await,
        ("tag", "DELETE") => refs::delete(&asked, "refs/tags/"),
        ("preupload", "POST") => preupload::preupload(&asked, body).await,
        ("commit", "POST") => commit::commit(&asked, body).await,
        ("settings", "PUT") => repositories::settings(&asked, body).await,
        ("auth-check", "GET" | "HEAD") => repositories::auth_check(&asked),
        ("user-access-request", "POST") => repositories::grant(&asked, body).await,
        ("parquet", "GET" | "HEAD") => parquet::parquet(&asked),
        _ => Err(Refusal::unknown_address()),
    }
}

/// {id}/resolve/{revision}/{path}, {id}.git/info/lfs/...
async fn files(
    method: &Method,
    words: &[&str],
    asked: impl Fn(String, &[&str]) -> Asked,
    body: Body,
) -> Answer {
    let git = |word: &&str| word.ends_with(".git");
    if let Some(at) = words.iter().position(git)
        && at < 2
        && words.get(at + 1..at + 3) == Some(&["info", "lfs"])
    {
        let id = words[..=at].join("/");
        let asked = asked(id.trim_end_matches(".git").to_owned(), &words[at + 3..]);
        return lfs::lfs(method, &asked, body).await;
    }
    let reads = method == Method::GET || method == Method::HEAD;
    match words.iter().take(3).position(|&word| word == "resolve") {
        Some(at @ 1..=2) if reads => {
            let asked = asked(words[..at].join("/"), &words[at + 1..]);
            match other_spelling(&asked) {
                Some(answer) => Ok(answer),
                None => resolve::resolve(asked).await,
            }
        }
        _ => Err(Refusal::unknown_address()),
    }
}

/// 307 to the right spelling of an id whose case is wrong, as a relative address, which clients follow by
/// themselves (`_httpx_follow_hub_redirects_with_backoff`, hf-hub's `head_with_relative_redirects`).
fn other_spelling(asked: &Asked) -> Option<Response> {
    let right = asked.with_repo(|repo| Ok(repo.id.clone())).ok()?;
    if right == asked.id {
        return None;
    }
    let address = asked.uri.path_and_query()?.as_str().replacen(&asked.id, &right, 1);
    Some(redirect(StatusCode::TEMPORARY_REDIRECT, &address))
}

pub(crate) fn redirect(status: StatusCode, address: &str) -> Response {
    let text = format!("{}. Redirecting to {address}", status.canonical_reason().unwrap_or_default());
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(header::LOCATION, address);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    answer.map(|_| Body::from(text))
}

/// 200 with JSON and its length.
pub(crate) fn json(value: &Value) -> Response {
    let text = value.to_string();
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    answer.map(|_| Body::from(text))
}

/// The most that a request with JSON may have, apart from commits.
const MOST_JSON: usize = 16 << 20;

/// What a request says in JSON, whatever its content type. 400 if it cannot be understood.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = axum::body::to_bytes(body, MOST_JSON)
        .await
        .map_err(|error| Refusal::bad_request(&format!("The request cannot be read: {error}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request(&format!("The request is no JSON that is known here: {error}")))
}

/// A moment as the Hub writes it.
pub(crate) fn date(seconds: i64) -> String {
    use time::macros::format_description;
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    let moment =
        time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    moment.format(&format).unwrap_or_default()
}
