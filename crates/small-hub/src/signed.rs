//! Addresses that are their own permission: whoever has one may use it, without a token, until it expires.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::Uri;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::git;

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() as i64
}

fn signature(secret: &str, path: &str, expires: u128) -> String {
    git::hex(&Sha256::digest(format!("{secret}\n{path}\n{expires}")))
}

/// The moment in milliseconds, for lives of less than a second.
fn moment() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// The path with its signature behind it, in the query.
pub(crate) fn sign(secret: &str, path: &str, life: std::time::Duration, file_name: Option<&str>) -> String {
    let expires = moment() + life.as_millis();
    let disposition = file_name.map_or(String::new(), |name| {
        let text = format!("inline; filename*=UTF-8''{name}; filename=\"{name}\";");
        format!("response-content-disposition={}&", utf8_percent_encode(&text, NON_ALPHANUMERIC))
    });
    format!("{path}?{disposition}Expires={expires}&Signature={}", signature(secret, path, expires))
}

pub(crate) enum NotAllowed {
    Expired,
    WrongSignature,
}

pub(crate) fn check(secret: &str, uri: &Uri) -> Result<(), NotAllowed> {
    let expires = parameter(uri, "Expires").and_then(|text| text.parse().ok()).unwrap_or(0);
    if parameter(uri, "Signature") != Some(signature(secret, uri.path(), expires)) {
        return Err(NotAllowed::WrongSignature);
    }
    if moment() > expires { Err(NotAllowed::Expired) } else { Ok(()) }
}

/// One parameter of a query, decoded.
pub(crate) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// The name under which a signed address wants its file to be saved.
pub(crate) fn file_name(uri: &Uri) -> Option<String> {
    let disposition = parameter(uri, "response-content-disposition")?;
    let name = disposition.split("filename=\"").nth(1)?.split('"').next()?;
    Some(name.to_owned())
}
