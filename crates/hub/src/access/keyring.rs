//! The operating system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//!
//! A keyring may be absent, locked, or wait for a person, so that every question to it has a time limit, and each is
//! asked on a thread of its own, which is left behind where it never comes back. `MBTI_KEYRING=off` leaves it alone.

use std::{sync::Arc, time::Duration};

use keyring_core::{CredentialStore, Entry};
use zeroize::Zeroizing;

use super::Token;
use crate::error::{Error, Result};

const SERVICE: &str = "mbti-tuner";
const USER: &str = "huggingface";
/// For a keyring to say that it is there.
const PROBE: Duration = Duration::from_secs(3);
/// For a keyring that may first ask its owner for a password.
const ANSWER: Duration = Duration::from_secs(30);

/// The token in the keyring. A keyring that is not there or does not answer counts as an empty one, since the other
/// places are still to be asked.
pub(super) fn get() -> Option<Token> {
    let found = ask(|entry| entry.get_password());
    found.ok().and_then(|text| Token::from_kept(&Zeroizing::new(text)).ok())
}

/// Puts the token into the keyring, with what it is bound to, and looks that it is there.
pub(super) fn set(token: &Token) -> std::result::Result<(), String> {
    let kept = token.to_line();
    let done = ask(move |entry| {
        entry.set_password(&kept)?;
        entry.get_password().map(|text| Zeroizing::new(text) == kept)
    });
    match done {
        Ok(true) => Ok(()),
        Ok(false) => Err("it gives back something else than it was given".to_owned()),
        Err(Error::Keyring { reason }) => Err(reason),
        Err(other) => Err(other.to_string()),
    }
}

/// Tells whether there was a token in it.
pub(super) fn delete() -> bool {
    ask(|entry| entry.delete_credential()).is_ok()
}

fn ask<T: Send + 'static>(
    question: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
) -> Result<T> {
    if std::env::var_os("MBTI_KEYRING").is_some_and(|value| value == "off") {
        return Err(Error::Keyring { reason: "it is turned off by MBTI_KEYRING".to_owned() });
    }
    let store = within(PROBE, store)?;
    within(ANSWER, move || question(&store.build(SERVICE, USER, None)?))
}

/// Does work on a thread of its own and waits for it no longer than `limit`.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> keyring_core::Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |reason: String| Error::Keyring { reason };
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("keyring".to_owned());
    thread.spawn(move || send.send(work()).ok()).map_err(|error| failed(error.to_string()))?;
    match receive.recv_timeout(limit) {
        Ok(answer) => answer.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed(format!("it has not answered within {} seconds", limit.as_secs()))),
    }
}

#[cfg(all(target_os = "linux", not(test)))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = zbus_secret_service_keyring_store::Store::new()?;
    Ok(store)
}

#[cfg(all(target_os = "macos", not(test)))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = apple_native_keyring_store::keychain::Store::new()?;
    Ok(store)
}

#[cfg(all(windows, not(test)))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = windows_native_keyring_store::Store::new()?;
    Ok(store)
}

/// Tests of this crate must neither read nor change the keyring of whoever runs them; `tests/keyring.rs` of the
/// engine asks a real one in a session of its own.
#[cfg(any(test, not(any(target_os = "linux", target_os = "macos", windows))))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(keyring_core::Error::NoDefaultStore)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_keyring_that_never_answers_is_waited_for_no_longer_than_its_limit() {
        let slow = within(Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        assert!(matches!(slow, Err(Error::Keyring { reason }) if reason.contains("not answered")));
    }

    #[test]
    fn without_a_keyring_nothing_is_found_and_the_reason_is_told() {
        assert!(get().is_none());
        assert!(!set(&Token::parse("hf_x").unwrap()).unwrap_err().is_empty());
        assert!(!delete());
    }
}
