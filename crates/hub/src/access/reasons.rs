//! What messages say of an address and of an error, without what nobody else should read.

use reqwest::Url;

/// The host, and the port where it is not the usual one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
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
