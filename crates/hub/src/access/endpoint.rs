//! The address of a Hub: which is one, which is on this machine, and which cache is its own.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use reqwest::Url;

use crate::error::{Error, Result};

/// Where the Hub is unless somebody says otherwise.
pub(super) const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// The folder in Python's cache in which the caches of other Hubs are. Its name has no "--", so that Python's client
/// takes it for no repository.
const OTHERS: &str = "other-endpoints";

pub(super) fn parse_endpoint(text: &str) -> Result<Url> {
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

/// Whether an address is on this machine, where nobody can listen on the way: localhost, 127.0.0.0/8, ::1, and
/// 127.0.0.0/8 as IPv6 writes it.
fn is_local(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare == "localhost",
    }
}

/// Whether a token may travel to this address at all: by https, or without leaving this machine.
pub(super) fn is_private_way(url: &Url) -> bool {
    url.scheme() == "https" || is_local(url)
}

/// The cache of an endpoint: for the Hub itself `shared`, which is Python's as well; for every other one a folder of
/// its own in it, since a mirror that tells lies of a commit must change nothing that was fetched from the Hub.
pub(super) fn cache_of(shared: &Path, endpoint: &Url) -> PathBuf {
    let address = endpoint.as_str().trim_end_matches('/');
    if address == DEFAULT_ENDPOINT {
        return shared.to_owned();
    }
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    // Different addresses have different names, and each is one that every system allows.
    let mut name = format!("{scheme}-");
    for byte in rest.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    shared.join(OTHERS).join(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_travels_by_https_or_on_this_machine_and_nowhere_else() {
        let private = |text: &str| is_private_way(&parse_endpoint(text).unwrap());
        for way in [
            "https://hub.example",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.9.8.7",
            "http://2130706433",
            "http://0x7f.1",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]:8080",
        ] {
            assert!(private(way), "{way}");
        }
        for way in [
            "http://hub.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "http://[::]",
            "http://[::2]",
            "http://[::ffff:10.0.0.1]",
            "http://[fe80::1]",
        ] {
            assert!(!private(way), "{way}");
        }
    }

    #[test]
    fn only_the_hub_itself_shares_the_cache_and_no_two_endpoints_share_one() {
        let of = |text: &str| cache_of(Path::new("/hub"), &parse_endpoint(text).unwrap());
        for own in ["https://huggingface.co", "https://huggingface.co/", "https://HuggingFace.co:443"] {
            assert_eq!(of(own), Path::new("/hub"), "{own}");
        }
        let mut others = vec![
            of("http://huggingface.co"),
            of("https://huggingface.co:444"),
            of("https://huggingface.co/x"),
            of("https://huggingface.co/X"),
            of("https://huggingface.co_2fx"),
            of("https://hf.example"),
            of("https://hf.example/..%2f..%2fhub"),
            of("http://[::1]:80"),
            of("http://127.0.0.1:8080"),
        ];
        assert_eq!(others[8], Path::new("/hub/other-endpoints/http-127.0.0.1_3a8080"));
        for other in &others {
            assert_eq!(other.parent(), Some(Path::new("/hub/other-endpoints")), "{}", other.display());
        }
        let all = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), all);
    }
}
