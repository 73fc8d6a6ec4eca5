//! How the Hub is spoken to: address, proxy, certificates, time limits, and the one rule about the token: it goes to
//! the endpoint and to no other host.

use std::{path::PathBuf, time::Duration};

use record::{HubAccess, HubSettings, TokenSource};
use reqwest::{
    Certificate, Client, Method, Proxy, RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderValue},
    redirect::Policy,
};

use super::{
    Limits, Token, echo,
    endpoint::{DEFAULT_ENDPOINT, cache_of, is_private_way, parse_endpoint},
    reasons::{host_of, innermost},
    settings::{Variables, cache_folder, is_on},
};
use crate::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(15);
/// Between two pieces of an answer, unless `HF_HUB_DOWNLOAD_TIMEOUT` says other seconds, as it does to Python's client.
const SILENCE: Duration = Duration::from_secs(30);
/// Headers of one answer; together they have at most hyper's 400 KiB in HTTP/1.
const HEADERS: usize = 100;
/// Bytes of the headers of one answer in HTTP/2.
const HEADER_BYTES: u32 = 64 << 10;
/// A file of certificates; the largest bundle of all authorities has some 250 kB.
const CERTIFICATES: u64 = 16 << 20;

/// A way to the Hub.
#[derive(Debug, Clone)]
pub struct Network {
    endpoint: Url,
    /// Follows no redirect, since it is judged here which of them may see the token.
    client: Client,
    /// The same for sending files, whose `put` itself ends one in which nothing moves: reqwest would end each that takes
    /// longer than the time it waits for an answer, which it counts from the beginning.
    uploads: Client,
    token: Option<(Token, TokenSource)>,
    offline: bool,
    /// Where files are kept: of the Hub itself Python's cache, of each other endpoint a folder of its own in it.
    pub cache: PathBuf,
    /// How long the other side may take.
    pub limits: Limits,
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
    if token.is_some() && !is_private_way(&endpoint) {
        return Err(Error::InsecureEndpoint { host: host_of(&endpoint) });
    }
    let pause = variables("MBTI_HUB_PAUSE_MS").and_then(|text| text.parse().ok()).unwrap_or(500);
    let shared = cache_folder(variables).ok_or_else(|| Error::BadSetting {
        name: "HF_HOME",
        value: String::new(),
        reason: "is not set, and the system names no home folder".to_owned(),
    })?;
    Ok(Network {
        client: client(settings, variables, &endpoint, Some(silence(variables)))?,
        uploads: client(settings, variables, &endpoint, None)?,
        token,
        offline: is_on(variables, "HF_HUB_OFFLINE"),
        cache: cache_of(&shared, &endpoint),
        limits: Limits::default(),
        pause: Duration::from_millis(pause),
        endpoint,
    })
}

/// How long an answer, or its next piece, is waited for.
fn silence(variables: &Variables) -> Duration {
    let set = variables("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok());
    set.filter(|seconds| *seconds > 0).map_or(SILENCE, Duration::from_secs)
}

fn client(
    settings: &HubSettings,
    variables: &Variables,
    endpoint: &Url,
    silence: Option<Duration>,
) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("mbti-tuner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .http1_max_headers(HEADERS)
        .http2_max_header_list_size(HEADER_BYTES)
        .redirect(Policy::none());
    if let Some(silence) = silence {
        builder = builder.read_timeout(silence);
    }
    let proxy = settings.proxy.as_ref().map(|address| {
        let wrong = |error: reqwest::Error| Error::BadSetting {
            name: "proxy",
            // An address may carry a password.
            value: address.rsplit('@').next().unwrap_or_default().to_owned(),
            reason: format!("is no proxy: {}", innermost(&error)),
        };
        Proxy::all(address).map_err(wrong)
    });
    // One that is wrong is said to be so also where it is not used.
    let proxy = proxy.transpose()?;
    if endpoint.scheme() == "http" && is_private_way(endpoint) {
        // A proxy would read the token that may travel in the open only within this machine.
        builder = builder.no_proxy();
    } else if let Some(proxy) = proxy {
        builder = builder.proxy(proxy);
    }
    let ca_file = settings.ca_file.clone().or_else(|| variables("REQUESTS_CA_BUNDLE"));
    if let Some(path) = ca_file {
        let wrong = |reason: String| Error::BadSetting { name: "ca_file", value: path.clone(), reason };
        let bytes = files::read_limited(std::path::Path::new(&path), CERTIFICATES)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
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

    /// The address, where it is another than the Hub's own.
    pub fn other_endpoint(&self) -> Option<String> {
        Some(self.access().endpoint).filter(|address| address != DEFAULT_ENDPOINT)
    }

    /// The path of one of the pages of the Hub that is asked; none of those of any other place.
    pub(crate) fn path_of_page<'a>(&self, page: &'a Url) -> Option<&'a str> {
        let is_hugging_face =
            matches!(page.host_str(), Some("huggingface.co" | "www.huggingface.co" | "hf.co"));
        let is_default = self.other_endpoint().is_none() && page.port().is_none();
        let path = page.path();
        let is_ours = self.is_own(page) || (is_default && is_hugging_face);
        is_ours.then(|| path.strip_prefix(self.endpoint.path()).unwrap_or(path))
    }

    /// Whether something may be fetched from an address, or sent to it, that the other side has named: not in the open
    /// where the endpoint itself is asked by https.
    pub(crate) fn is_as_safe(&self, url: &Url) -> bool {
        url.scheme() == "https" || (url.scheme() == "http" && self.endpoint.scheme() == "http")
    }

    /// A request, with the token where it goes to the endpoint.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.request_with(method, url, true)
    }

    /// The same, where the token goes along only if `with_token`.
    pub(super) fn request_with(&self, method: Method, mut url: Url, with_token: bool) -> RequestBuilder {
        // A name and a password in an address would be sent in the token's place, or beside it. Neither call can fail
        // for an address with a host.
        url.set_username("").ok();
        url.set_password(None).ok();
        let own = with_token && self.is_own(&url) && is_private_way(&url);
        let client = if method == Method::PUT { &self.uploads } else { &self.client };
        let mut request = client.request(method, url);
        if own && let Some((token, _)) = &self.token {
            // A token is graphic ASCII, so that this cannot fail.
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
        }
        request
    }

    /// A text without the token, should the other side have sent it back.
    pub(crate) fn without_token(&self, text: &str) -> String {
        self.token.as_ref().map_or_else(|| text.to_owned(), |(token, _)| token.scrub(text))
    }

    /// The same for an answer in JSON, in each of its texts.
    pub(super) fn without_token_in_json(&self, json: Vec<u8>) -> Vec<u8> {
        match &self.token {
            Some((token, _)) => echo::without_token(json, token),
            None => json,
        }
    }

    pub(super) fn token_source(&self) -> Option<&TokenSource> {
        self.token.as_ref().map(|(_, source)| source)
    }
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
            request.headers().contains_key(AUTHORIZATION)
        };
        assert!(has("https://hub.example/api/whoami-v2") && has("https://me:word@hub.example/x"));
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
        // Only one header says who one is, whatever else stands in an address.
        let url = Url::parse("https://me:word@hub.example/x").unwrap();
        let request = network.request(Method::GET, url).build().unwrap();
        assert_eq!(request.headers().get_all(AUTHORIZATION).iter().count(), 1);
        assert_eq!(request.url().as_str(), "https://hub.example/x");
    }

    #[test]
    fn a_token_does_not_travel_in_the_open() {
        let refused = connect(&at("http://mirror.example"), &nothing, a_token());
        assert!(matches!(refused, Err(Error::InsecureEndpoint { .. })));
        assert!(connect(&at("http://mirror.example"), &nothing, None).is_ok());
        for local in ["http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080", "http://127.1.2.3"] {
            assert!(connect(&at(local), &nothing, a_token()).is_ok(), "{local}");
        }
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
        for endpoint in [None, Some("http://127.0.0.1:1".to_owned())] {
            let settings = HubSettings {
                endpoint,
                proxy: Some("://me:hf_secret@x".to_owned()),
                ..HubSettings::default()
            };
            let error = connect(&settings, &nothing, None).unwrap_err();
            assert!(matches!(&error, Error::BadSetting { name: "proxy", .. }), "{error}");
            assert!(!error.to_string().contains("hf_secret"), "{error}");
        }
    }
}
