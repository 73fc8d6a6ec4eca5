//! What answers that are no success mean.

use std::time::Duration;

use reqwest::{
    Method, Response, StatusCode, Url,
    header::{HeaderMap, RETRY_AFTER},
};

use super::{
    Network,
    limits::LONGEST_WAIT,
    reasons::{host_of, innermost},
};
use crate::{error::Error, shown::shown};

impl Network {
    pub(crate) fn unreachable(&self, url: &Url, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return self.silent(url);
        }
        Error::NoNetwork { host: self.host_in(url), reason: self.scrub(&innermost(error)) }
    }

    pub(crate) fn silent(&self, url: &Url) -> Error {
        Error::NoNetwork { host: self.host_in(url), reason: "it does not answer in time".to_owned() }
    }

    /// The host of an address that the other side may have named.
    pub(crate) fn host_in(&self, url: &Url) -> String {
        self.scrub(&host_of(url))
    }

    /// A text of the other side, without the token should it be in there, and not longer than a line.
    pub(crate) fn scrub(&self, text: &str) -> String {
        shown(&self.without_token(text))
    }

    /// What an answer that is no success means, to a request by this method.
    pub(crate) async fn refused(&self, method: &Method, answer: Response, repo: &str) -> Error {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let host = self.host_in(answer.url());
        let own = self.is_own(answer.url());
        let body = self.read_refusal(answer).await;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let of_body = || {
            let value: serde_json::Value = serde_json::from_slice(&body).ok()?;
            value.get("error")?.as_str().map(str::to_owned)
        };
        let said = header("x-error-message").or_else(of_body);
        let code = header("x-error-code");
        let error = self.meaning(status, code.as_deref(), said, retry_after(&headers), &host, own, repo);
        match error {
            Error::NoRight { repo } if *method == Method::GET => Error::NoAccess { repo },
            error => error,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that the Hub tells in an answer")]
    fn meaning(
        &self,
        status: StatusCode,
        code: Option<&str>,
        said: Option<String>,
        wait: Option<u64>,
        host: &str,
        own: bool,
        repo: &str,
    ) -> Error {
        let repo = repo.to_owned();
        let says = |word: &str| said.as_deref().is_some_and(|said| said.to_lowercase().contains(word));
        // What is asked of the Hub and of no repository, such as a search, has no name to tell.
        let own_repo = own && record::is_repo_name(&repo);
        match (code, status.as_u16()) {
            (_, 429) => Error::RateLimited { seconds: wait.unwrap_or(60) },
            (Some("GatedRepo"), _) => {
                let page = self.url(repo.split('/')).to_string();
                Error::Gated { repo, page }
            }
            (Some("RevisionNotFound"), _) => Error::NoRevision { repo, revision: "–".to_owned() },
            (_, 401) if own && self.has_token() && (code.is_none() || says("invalid") || says("expired")) => {
                match self.token_source() {
                    Some(from) => Error::WrongToken { from: from.clone() },
                    None => Error::NoToken,
                }
            }
            // The Hub says so of private repositories and of those that are not there alike.
            (Some("RepoNotFound"), _) | (None, 404) if own_repo => Error::NoRepo { repo },
            (_, 401) if own && !own_repo => Error::NoToken,
            (_, 401) if own_repo => Error::NoRepo { repo },
            (_, 403) if own_repo => Error::NoRight { repo },
            _ => Error::Server {
                host: host.to_owned(),
                status: status.as_u16(),
                said: said.map(|said| self.scrub(&said)),
            },
        }
    }
}

/// Whether an error may be gone at the next attempt.
pub(crate) fn passes(error: &Error) -> bool {
    match error {
        Error::NoNetwork { .. } => true,
        Error::RateLimited { seconds } => Duration::from_secs(*seconds) <= LONGEST_WAIT,
        Error::Server { status, .. } => *status >= 500 || *status == 408,
        _ => false,
    }
}

/// Seconds that the other side wants to be left alone for.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Token, connect};
    use super::*;
    use record::{HubSettings, TokenSource};

    #[test]
    fn every_answer_of_the_hub_names_a_way_out() {
        let at = HubSettings { endpoint: Some("https://hub.example".to_owned()), ..HubSettings::default() };
        let token = Some((Token::parse("hf_secret").unwrap(), TokenSource::Keyring));
        let network = connect(&at, &|_| None, token).unwrap();
        let stranger = connect(&at, &|_| None, None).unwrap();
        let told = |network: &Network, status: u16, code: Option<&str>, said: Option<&str>| {
            let status = StatusCode::from_u16(status).unwrap();
            network.meaning(status, code, said.map(str::to_owned), Some(7), "hub.example", true, "a/b")
        };
        assert!(matches!(told(&network, 401, None, None), Error::WrongToken { .. }));
        assert!(matches!(told(&network, 401, Some("RepoNotFound"), None), Error::NoRepo { .. }));
        assert!(matches!(told(&stranger, 401, Some("RepoNotFound"), None), Error::NoRepo { .. }));
        assert!(matches!(told(&stranger, 401, Some("GatedRepo"), None), Error::Gated { .. }));
        let gated = told(&network, 403, Some("GatedRepo"), None);
        assert!(matches!(&gated, Error::Gated { page, .. } if page == "https://hub.example/a/b"), "{gated}");
        assert!(matches!(told(&network, 403, None, None), Error::NoRight { .. }));
        let of_no_repository = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            stranger.meaning(status, None, None, None, "hub.example", true, "a search")
        };
        assert!(matches!(of_no_repository(403), Error::Server { status: 403, .. }));
        assert!(matches!(of_no_repository(404), Error::Server { status: 404, .. }));
        assert!(matches!(told(&network, 404, None, None), Error::NoRepo { .. }));
        assert!(matches!(told(&network, 429, None, None), Error::RateLimited { seconds: 7 }));
        let trouble = told(&network, 503, None, Some("no hf_secret\nhere"));
        assert!(
            matches!(&trouble, Error::Server { said: Some(said), .. } if said == "no …\u{fffd}here"),
            "{trouble}"
        );
        assert!(passes(&trouble) && !passes(&gated));
    }
}
