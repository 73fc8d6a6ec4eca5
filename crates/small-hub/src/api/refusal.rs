use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::Error;

pub(crate) type Answer = Result<Response, Refusal>;

/// An answer that refuses, with the headers by which `hf_raise_for_status` chooses its exception.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    code: Option<&'static str>,
    message: String,
    /// `hf_hub_download` remembers, by X-Repo-Commit, that a commit has no such file.
    commit: Option<String>,
    /// `create_repo(exist_ok=True)` takes the address of the repository from the refusal.
    url: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: &str) -> Refusal {
        Refusal { status, code: None, message: message.to_owned(), commit: None, url: None }
    }

    fn coded(status: u16, code: &'static str, message: &str) -> Refusal {
        Refusal { code: Some(code), ..Refusal::new(status, message) }
    }

    pub(crate) fn with_url(mut self, url: String) -> Refusal {
        self.url = Some(url);
        self
    }

    pub(crate) fn saying(mut self, message: &str) -> Refusal {
        self.message = message.to_owned();
        self
    }

    /// 401 to an unknown token, with the words by which clients tell it from a missing repository.
    pub(crate) fn bad_token() -> Refusal {
        Refusal::new(401, "Invalid credentials in Authorization header")
    }

    /// 401 without a token: to what is private, and, so that nobody learns of it, to what is not there. The Hub
    /// sends no code with it; clients take it for a missing repository by the address alone.
    pub(crate) fn sign_in() -> Refusal {
        Refusal::new(401, "Invalid username or password.")
    }

    /// 404 with a token: becomes `RepositoryNotFoundError`.
    pub(crate) fn no_such_repo() -> Refusal {
        Refusal::coded(404, "RepoNotFound", "Repository not found")
    }

    /// 404: becomes `RevisionNotFoundError`.
    pub(crate) fn no_such_revision(revision: &str) -> Refusal {
        Refusal::coded(404, "RevisionNotFound", &format!("Invalid rev id: {revision}"))
    }

    /// 404: becomes `EntryNotFoundError`.
    pub(crate) fn no_such_entry(commit: Option<&str>) -> Refusal {
        Refusal {
            commit: commit.map(str::to_owned),
            ..Refusal::coded(404, "EntryNotFound", "Entry not found")
        }
    }

    /// 401 without a token and 403 with one that was not let in: becomes `GatedRepoError`.
    pub(crate) fn gated(what: &str, id: &str, has_token: bool) -> Refusal {
        if has_token {
            let message = format!(
                "Access to {what} {id} is restricted and you are not in the authorized list. Visit its page to ask \
                 for access."
            );
            return Refusal::coded(403, "GatedRepo", &message);
        }
        let message = format!(
            "Access to {what} {id} is restricted. You must have access to it and be authenticated to access it. \
             Please log in."
        );
        Refusal::coded(401, "GatedRepo", &message)
    }

    /// 403: becomes `DisabledRepoError`, by its words.
    pub(crate) fn disabled() -> Refusal {
        Refusal::coded(403, "DisabledRepo", "Access to this resource is disabled.")
    }

    pub(crate) fn forbidden(message: &str) -> Refusal {
        Refusal::new(403, message)
    }

    pub(crate) fn conflict(message: &str) -> Refusal {
        Refusal::new(409, message)
    }

    pub(crate) fn bad_request(message: &str) -> Refusal {
        Refusal::new(400, message)
    }

    /// An address that the small Hub does not know, which the Hub may know.
    pub(crate) fn unknown_address() -> Refusal {
        Refusal::new(404, "Sorry, we can't find the page you are looking for.")
    }

    /// 500: the small Hub itself is at fault.
    pub(crate) fn broken(error: Error) -> Refusal {
        Refusal::new(500, &error.to_string())
    }

    pub(crate) fn into_error(self) -> Error {
        Error::Refused { status: self.status, message: self.message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.message});
        if let Some(url) = self.url {
            body["url"] = json!(url);
        }
        let body = body.to_string();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Some(code) = self.code {
            headers.insert("x-error-code", HeaderValue::from_static(code));
        }
        if let Ok(message) = HeaderValue::from_str(&self.message) {
            headers.insert("x-error-message", message);
        }
        if let Some(commit) = self.commit.and_then(|commit| HeaderValue::from_str(&commit).ok()) {
            headers.insert("x-repo-commit", commit);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge =
                HeaderValue::from_static("Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer.map(|_| Body::from(body))
    }
}
