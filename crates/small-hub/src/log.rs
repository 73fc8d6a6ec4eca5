use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{git, glob};

/// At which of the two listeners a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    Hub,
    Storage,
}

/// What the log knows of one request. It appears when the request arrives and grows until it has `finished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Logged {
    pub number: u64,
    pub listener: Listener,
    pub method: String,
    /// As it was asked for, with its escapes.
    pub path: String,
    pub query: String,
    /// The Host header: under which name the client knows us.
    pub host: Option<String>,
    /// SHA-256 of the token in the Authorization header, as [`token_hash`] makes it; `None` without one.
    pub token: Option<String>,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub user_agent: Option<String>,
    /// Bytes of the request's body that have been read.
    pub bytes_received: u64,
    /// Bytes of the answer's body that have been handed to the connection.
    pub bytes_sent: u64,
    /// `None` while there is no answer, and where the connection was dropped without one.
    pub status: Option<u16>,
    /// Which fault was done to it.
    pub fault: Option<String>,
    /// The answer is complete, or the connection is gone. A client may know that a moment earlier.
    pub finished: bool,
}

/// The requests of both listeners, in the order in which they arrived. A copy is the same log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Logged>>>);

impl Log {
    pub fn all(&self) -> Vec<Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those with this method (any for "") whose path is what the pattern describes (`*` is anything).
    pub fn matching(&self, method: &str, path: &str) -> Vec<Logged> {
        self.all()
            .into_iter()
            .filter(|one| (method.is_empty() || one.method == method) && glob::matches(path, &one.path, true))
            .collect()
    }

    /// Those that brought a token to the storage, where none belongs.
    pub fn tokens_at_storage(&self) -> Vec<Logged> {
        self.all()
            .into_iter()
            .filter(|one| one.listener == Listener::Storage && one.token.is_some())
            .collect()
    }

    /// Forgets what has been; requests under way are no longer followed.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn begin(
        &self,
        number: u64,
        listener: Listener,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> LogEntry {
        let text =
            |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let logged = Logged {
            number,
            listener,
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            host: text(header::HOST),
            token: text(header::AUTHORIZATION)
                .map(|value| token_hash(value.strip_prefix("Bearer ").unwrap_or(&value))),
            range: text(header::RANGE),
            if_range: text(header::IF_RANGE),
            user_agent: text(header::USER_AGENT),
            bytes_received: 0,
            bytes_sent: 0,
            status: None,
            fault: None,
            finished: false,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(logged);
        LogEntry { log: self.clone(), number }
    }
}

/// The hash under which the log keeps a token.
pub fn token_hash(token: &str) -> String {
    git::hex(&Sha256::digest(token))
}

/// A request's line in the log. When the last holder lets go of it, the request has finished.
pub(crate) struct LogEntry {
    log: Log,
    number: u64,
}

impl LogEntry {
    fn change(&self, change: impl FnOnce(&mut Logged)) {
        let mut all = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest stand at the end, and the log may have been cleared in between.
        if let Some(logged) = all.iter_mut().rev().find(|one| one.number == self.number) {
            change(logged);
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.change(|one| one.bytes_received += bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.change(|one| one.bytes_sent += bytes as u64);
    }

    pub(crate) fn status(&self, status: StatusCode) {
        self.change(|one| one.status = Some(status.as_u16()));
    }

    pub(crate) fn fault(&self, fault: String) {
        self.change(|one| one.fault = Some(fault));
    }
}

impl Drop for LogEntry {
    fn drop(&mut self) {
        self.change(|one| one.finished = true);
    }
}
