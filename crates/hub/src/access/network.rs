//! How the Hub is spoken to: address, proxy, certificates, time limits, and the one rule about the token: it goes to
//! the endpoint and to no other host.

use std::{path::PathBuf, time::Duration};

use hf_hub::HFClient;
use record::{HubAccess, HubSettings, TokenSource};
use reqwest::{
    Certificate, Client, Method, Proxy, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use serde::de::DeserializeOwned;

use super::{
    Token,
    settings::{Variables, cache_folder, is_on},
};
use crate::error::{Error, Result};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const CONNECT: Duration = Duration::from_secs(15);
/// Between two pieces of an answer, unless `HF_HUB_DOWNLOAD_TIMEOUT` says other seconds, as it does to Python's client.
const SILENCE: Duration = Duration::from_secs(30);
/// Redirects in a row; the Hub needs two.
const REDIRECTS: usize = 8;
/// Attempts at one request that fails for reasons that pass.
const ATTEMPTS: u32 = 5;
/// The longest that a rate limit is waited for; of a longer one the user is told.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A way to the Hub.
#[derive(Debug, Clone)]
pub struct Network {
    endpoint: Url,
    /// Follows no redirect, since it is judged here which of them may see the token.
    client: Client,
    hub: HFClient,
    token: Option<(Token, TokenSource)>,
    offline: bool,
    /// The cache that is shared with Python's client.
    pub cache: PathBuf,
    /// What is waited before the second attempt at a request; it doubles with each.
    pub(crate) pause: Duration,
}

/// Makes a way to the Hub out of settings, the environment and a token, without asking anything of it yet.
pub fn connect(
    settings: &HubSettings,
    variables: &Variables,
    token: Option<(Token, TokenSource)>,
) -> Result<Network> {
    let address = settings.endpoint.clone().or_else(|| variables("HF_ENDPOINT"));
    let endpoint = parse_endpoint(address.as_deref().unwrap_or(DEFAULT_ENDPOINT))?;
    let host = endpoint.host_str().unwrap_or_default().to_owned();
    let is_local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    if token.is_some() && endpoint.scheme() != "https" && !is_local {
        return Err(Error::InsecureEndpoint { host });
    }
    let pause = variables("MBTI_HUB_PAUSE_MS").and_then(|text| text.parse().ok()).unwrap_or(500);
    let pause = Duration::from_millis(pause);
    let client = client(settings, variables)?;
    let mut hub = HFClient::builder()
        .endpoint(endpoint.as_str().trim_end_matches('/'))
        .client(client.clone())
        .retry_base_delay(pause);
    if let Some((token, _)) = &token {
        hub = hub.token(token.reveal());
    }
    let hub = hub.build().map_err(|error| Error::BadSetting {
        name: "endpoint",
        value: endpoint.to_string(),
        reason: format!("is refused: {error}"),
    })?;
    Ok(Network {
        endpoint,
        client,
        hub,
        token,
        offline: is_on(variables, "HF_HUB_OFFLINE"),
        cache: cache_folder(variables).ok_or_else(|| Error::BadSetting {
            name: "HF_HOME",
            value: String::new(),
            reason: "is not set, and the system names no home folder".to_owned(),
        })?,
        pause,
    })
}

fn parse_endpoint(text: &str) -> Result<Url> {
    let wrong = |reason: &str| Error::BadSetting {
        name: "endpoint",
        value: text.to_owned(),
        reason: reason.to_owned(),
    };
    let mut url =
        Url::parse(text.trim()).map_err(|_| wrong("is no address such as https://huggingface.co"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no address such as https://huggingface.co"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::BadSetting {
            name: "endpoint",
            value: "…".to_owned(),
            reason: "must have no name and password in it".to_owned(),
        });
    }
    // With it, parts that are joined do not replace the last one.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn client(settings: &HubSettings, variables: &Variables) -> Result<Client> {
    let silence = variables("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok());
    let silence = silence.filter(|seconds| *seconds > 0).map_or(SILENCE, Duration::from_secs);
    let mut builder = Client::builder()
        .user_agent(concat!("mbti-tuner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(silence)
        .redirect(Policy::none());
    if let Some(address) = &settings.proxy {
        let wrong = |error: reqwest::Error| Error::BadSetting {
            name: "proxy",
            // An address may carry a password.
            value: address.rsplit('@').next().unwrap_or_default().to_owned(),
            reason: format!("is no proxy: {}", innermost(&error)),
        };
        builder = builder.proxy(Proxy::all(address).map_err(wrong)?);
    }
    let ca_file = settings.ca_file.clone().or_else(|| variables("REQUESTS_CA_BUNDLE"));
    if let Some(path) = ca_file {
        let wrong = |reason: String| Error::BadSetting { name: "ca_file", value: path.clone(), reason };
        let bytes = std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let certificates = Certificate::from_pem_bundle(&bytes)
            .map_err(|error| wrong(format!("holds no certificates in PEM: {}", innermost(&error))))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| Error::BadSetting {
        name: "proxy",
        value: String::new(),
        reason: format!("and the rest of the network cannot be used: {}", innermost(&error)),
    })
}

impl Network {
    pub fn access(&self) -> HubAccess {
        HubAccess {
            endpoint: self.endpoint.as_str().trim_end_matches('/').to_owned(),
            offline: self.offline,
            token: self.token.as_ref().map(|(_, source)| source.clone()),
        }
    }

    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub fn host(&self) -> String {
        host_of(&self.endpoint)
    }

    /// The Hub's own client, to which nothing is to be sent while offline.
    pub(crate) fn hub(&self, what: &str) -> Result<&HFClient> {
        self.online(what)?;
        Ok(&self.hub)
    }

    pub(crate) fn online(&self, what: &str) -> Result<()> {
        if self.offline { Err(Error::Offline { what: what.to_owned() }) } else { Ok(()) }
    }

    /// The address of a path under the endpoint. Each part is encoded as one segment, whatever is in it.
    pub(crate) fn url<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        // An address with a host always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// Whether an address is the endpoint's own, by scheme, host and port: only there the token may go.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// A request, with the token where it goes to the endpoint.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let own = self.is_own(&url);
        let mut request = self.client.request(method, url);
        if own && let Some((token, _)) = &self.token {
            // A token is graphic ASCII, so that this cannot fail.
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
        }
        request
    }

    /// Sends a request once and follows its redirects, the token going with those to the endpoint only.
    pub(crate) async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        shape: &(dyn Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Response> {
        let mut url = url.clone();
        for _ in 0..REDIRECTS {
            let request = shape(self.request(method.clone(), url.clone()));
            let answer = request.send().await.map_err(|error| self.unreachable(&url, &error))?;
            let follows = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(next) = answer.headers().get(LOCATION).filter(|_| follows) else { return Ok(answer) };
            let next = next.to_str().ok().and_then(|next| url.join(next).ok());
            url = next.filter(|next| matches!(next.scheme(), "http" | "https")).ok_or_else(|| {
                Error::BadAnswer { host: host_of(&url), reason: "a redirect that leads nowhere".to_owned() }
            })?;
        }
        Err(Error::BadAnswer { host: host_of(&url), reason: "more redirects than there can be".to_owned() })
    }

    /// Sends a request, again where it fails for reasons that pass, and gives what succeeded; `repo` is what it is
    /// about, for the error's sake.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        repo: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<Response> {
        self.online(repo)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.send_once(&method, &url, &shape).await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => self.refused(answer, repo).await,
                Err(error) => error,
            };
            if attempt >= ATTEMPTS || !passes(&error) {
                return Err(error);
            }
            tokio::time::sleep(self.wait_after(&error, attempt)).await;
        }
    }

    /// The same for an answer in JSON, which is asked for again where it comes only in part. `what` is what it would
    /// tell, for the error's sake.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        repo: &str,
        what: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<(T, HeaderMap)> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.send(method.clone(), url.clone(), repo, &shape).await?;
            let headers = answer.headers().clone();
            match answer.bytes().await {
                Ok(bytes) => {
                    let found = serde_json::from_slice(&bytes);
                    let reason = || format!("it does not tell {what}");
                    return found
                        .map(|found| (found, headers))
                        .map_err(|_| Error::BadAnswer { host: host_of(&url), reason: reason() });
                }
                Err(error) if attempt >= ATTEMPTS => return Err(self.unreachable(&url, &error)),
                Err(_) => tokio::time::sleep(self.pause).await,
            }
        }
    }

    /// How long to wait after an error that passes: what the Hub asks for, else ever longer.
    pub(crate) fn wait_after(&self, error: &Error, attempt: u32) -> Duration {
        match error {
            Error::RateLimited { seconds } => Duration::from_secs(*seconds),
            _ => self.pause * 2u32.pow(attempt.saturating_sub(1).min(6)),
        }
    }

    pub(crate) fn unreachable(&self, url: &Url, error: &reqwest::Error) -> Error {
        let reason = if error.is_timeout() {
            "it does not answer in time".to_owned()
        } else {
            self.scrub(&innermost(error))
        };
        Error::NoNetwork { host: host_of(url), reason }
    }

    /// A text of the other side, without the token should it be in there, and not longer than a line.
    fn scrub(&self, text: &str) -> String {
        let clean = self.token.as_ref().map_or_else(|| text.to_owned(), |(token, _)| token.scrub(text));
        clean.chars().filter(|letter| !letter.is_control()).take(200).collect()
    }

    /// What an answer that is no success means.
    pub(crate) async fn refused(&self, answer: Response, repo: &str) -> Error {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let host = host_of(answer.url());
        let own = self.is_own(answer.url());
        let body = answer.text().await.unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let of_body = || {
            let value: serde_json::Value = serde_json::from_str(&body).ok()?;
            value.get("error")?.as_str().map(str::to_owned)
        };
        let said = header("x-error-message").or_else(of_body);
        let code = header("x-error-code");
        self.meaning(status, code.as_deref(), said, retry_after(&headers), &host, own, repo)
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
        match (code, status.as_u16()) {
            (_, 429) => Error::RateLimited { seconds: wait.unwrap_or(60) },
            (Some("GatedRepo"), _) => {
                let page = self.url(repo.split('/')).to_string();
                Error::Gated { repo, page }
            }
            (Some("RevisionNotFound"), _) => Error::NoRevision { repo, revision: "–".to_owned() },
            (_, 401)
                if own && self.token.is_some() && (code.is_none() || says("invalid") || says("expired")) =>
            {
                match &self.token {
                    Some((_, from)) => Error::WrongToken { from: from.clone() },
                    None => Error::NoToken,
                }
            }
            // The Hub says so of private repositories and of those that are not there alike.
            (Some("RepoNotFound"), _) | (None, 404) if own => Error::NoRepo { repo },
            (_, 401) if own && repo.is_empty() => Error::NoToken,
            (_, 401) if own => Error::NoRepo { repo },
            (_, 403) if own => Error::NoRight { repo },
            _ => Error::Server {
                host: host.to_owned(),
                status: status.as_u16(),
                said: said.map(|said| self.scrub(&said)),
            },
        }
    }

    /// What an error of the Hub's own client means.
    pub(crate) fn translated(&self, error: hf_hub::HFError, repo: &str) -> Error {
        use hf_hub::HFError;
        let host = self.host();
        let (context, wait) = match error {
            HFError::RateLimited { retry_after, .. } => {
                return Error::RateLimited { seconds: retry_after.map_or(60, |wait| wait.as_secs()) };
            }
            HFError::Request { source, .. } => return self.unreachable(&self.endpoint, &source),
            HFError::RevisionNotFound { revision, context, .. } => match context {
                Some(context) if context.error_code.as_deref() != Some("RepoNotFound") => {
                    return Error::NoRevision { repo: repo.to_owned(), revision };
                }
                context => (context, None),
            },
            HFError::RepoNotFound { context, .. } => (context, None),
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context } => (Some(context), None),
            other => return Error::BadAnswer { host, reason: self.scrub(&other.to_string()) },
        };
        match context {
            Some(context) => {
                let code = context.error_code.as_deref();
                let said = context.server_message.clone();
                self.meaning(context.status, code, said, wait, &host, true, repo)
            }
            None => Error::NoRepo { repo: repo.to_owned() },
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

pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Seconds that the other side wants to be left alone for.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// What is at the bottom of an error, which says what happened, without addresses and their signatures.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if std::ptr::addr_eq(inner, error) {
        // reqwest's own carry the address, in which storage hosts have their signatures.
        return if error.is_redirect() { "a redirect without an end" } else { "the answer was cut short" }
            .to_owned();
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn at(endpoint: &str) -> HubSettings {
        HubSettings { endpoint: Some(endpoint.to_owned()), ..HubSettings::default() }
    }

    fn a_token() -> Option<(Token, TokenSource)> {
        Some((Token::parse("hf_secret").unwrap(), TokenSource::Keyring))
    }

    #[test]
    fn the_endpoint_comes_from_the_settings_then_the_environment() {
        let set = |name: &str| (name == "HF_ENDPOINT").then(|| "https://mirror.example/hf/".to_owned());
        let found = connect(&HubSettings::default(), &set, None).unwrap();
        assert_eq!(found.access().endpoint, "https://mirror.example/hf");
        assert_eq!(found.url(["a", "b c", "x/y"]).as_str(), "https://mirror.example/hf/a/b%20c/x%2Fy");
        let own = connect(&at("https://own.example"), &set, None).unwrap();
        assert_eq!(own.url(["api", "whoami-v2"]).as_str(), "https://own.example/api/whoami-v2");
        assert_eq!(connect(&HubSettings::default(), &nothing, None).unwrap().host(), "huggingface.co");
    }

    #[test]
    fn the_token_goes_to_the_endpoint_and_to_no_other_scheme_host_or_port() {
        let network = connect(&at("https://hub.example"), &nothing, a_token()).unwrap();
        let has = |url: &str| {
            let request = network.request(Method::GET, Url::parse(url).unwrap()).build().unwrap();
            // A name in an address is sent as well, which is no secret of ours.
            let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            sent.is_some_and(|sent| sent.contains("hf_secret"))
        };
        assert!(has("https://hub.example/api/whoami-v2"));
        for other in [
            "http://hub.example/x",
            "https://hub.example:444/x",
            "https://cdn.hub.example/x",
            "https://hub.example.evil.example/x",
            "https://hub.example@evil.example/x",
        ] {
            assert!(!has(other), "{other}");
        }
        assert!(!format!("{network:?}").contains("hf_secret"), "{network:?}");
    }

    #[test]
    fn a_token_does_not_travel_in_the_open() {
        let refused = connect(&at("http://mirror.example"), &nothing, a_token());
        assert!(matches!(refused, Err(Error::InsecureEndpoint { .. })));
        assert!(connect(&at("http://mirror.example"), &nothing, None).is_ok());
        assert!(connect(&at("http://127.0.0.1:8080"), &nothing, a_token()).is_ok());
    }

    #[test]
    fn settings_that_cannot_be_used_are_named_and_passwords_are_not() {
        for endpoint in ["", "hub", "ftp://x", "https://", "https://me:hf_secret@hub.example"] {
            let error = connect(&at(endpoint), &nothing, None).unwrap_err();
            assert!(matches!(&error, Error::BadSetting { name: "endpoint", .. }), "{error}");
            assert!(!error.to_string().contains("hf_secret"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("none.pem").display().to_string();
        let settings = HubSettings { ca_file: Some(empty), ..HubSettings::default() };
        assert!(matches!(connect(&settings, &nothing, None), Err(Error::BadSetting { name: "ca_file", .. })));
        let settings = HubSettings { proxy: Some("://me:hf_secret@x".to_owned()), ..HubSettings::default() };
        let error = connect(&settings, &nothing, None).unwrap_err();
        assert!(matches!(&error, Error::BadSetting { name: "proxy", .. }), "{error}");
        assert!(!error.to_string().contains("hf_secret"), "{error}");
    }

    #[test]
    fn every_answer_of_the_hub_names_a_way_out() {
        let network = connect(&at("https://hub.example"), &nothing, a_token()).unwrap();
        let stranger = connect(&at("https://hub.example"), &nothing, None).unwrap();
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
        assert!(matches!(told(&network, 404, None, None), Error::NoRepo { .. }));
        assert!(matches!(told(&network, 429, None, None), Error::RateLimited { seconds: 7 }));
        let trouble = told(&network, 503, None, Some("no hf_secret\nhere"));
        assert!(
            matches!(&trouble, Error::Server { said: Some(said), .. } if said == "no …here"),
            "{trouble}"
        );
        assert!(passes(&trouble) && !passes(&gated));
    }
}
