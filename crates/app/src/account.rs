//! The way to the Hub as the user has it: settings, the token, and whose it is. What is answered never has the token.

use std::path::PathBuf;

pub use hub::access::tell_of_waits;
use hub::access::{self, Found, Kept, Network, Token};
use record::{Account, HubAccess, HubSettings, HubState, LoggedIn, LoggedOut, MASK, TokenSource};

use crate::{Error, Home, error::Result};

/// The settings' file in the home; the token is not among them.
fn path(home: &Home) -> PathBuf {
    home.folder.join("hub.json")
}

/// The most that the settings' file may hold.
const LONGEST: u64 = 1 << 20;

/// The settings as they are kept, a proxy's password included; what is shown of them is [`HubSettings::masked`].
pub fn settings(home: &Home) -> Result<HubSettings> {
    let path = path(home);
    let text = match files::read_limited(&path, LONGEST) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HubSettings::default()),
        Err(source) => return Err(Error::Read { path, source }),
    };
    // What an older version has written is open to others, and may hold a password. Where that cannot be mended,
    // on a disk that is only read, reading goes on.
    files::restrict_to_owner(&path).ok();
    serde_json::from_slice(&text).map_err(|error| Error::Read { path, source: error.into() })
}

/// Settings as they would be kept: an empty text counts as none, and a proxy whose password is masked, as
/// it was shown, as the one that is kept. Fails where they cannot be used.
fn checked_settings(home: &Home, wanted: &HubSettings) -> Result<HubSettings> {
    let filled = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let HubSettings { endpoint, env_file, proxy, ca_file } = wanted;
    let settings = HubSettings {
        endpoint: filled(endpoint),
        env_file: filled(env_file),
        proxy: filled(proxy).map(|proxy| unmasked(home, proxy)).transpose()?,
        ca_file: filled(ca_file),
    };
    connect(home, &settings, None)?;
    Ok(settings)
}

/// What would become of the way to the Hub, for whoever has to agree to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsChange {
    pub old: HubSettings,
    pub new: HubSettings,
    /// Where the Hub would be, as scheme, host and port in plain letters.
    pub origin: String,
    /// The token that would go there.
    pub token: Option<TokenSource>,
}

/// Says what wanted settings would change, without keeping them. Fails where they cannot be used.
pub fn change(home: &Home, wanted: &HubSettings) -> Result<SettingsChange> {
    let new = checked_settings(home, wanted)?;
    let token = find(home, &new)?.token.map(|(_, source)| source);
    let origin = access::origin(&new, &access::from_environment).unwrap_or_default();
    Ok(SettingsChange { old: settings(home)?, new, origin, token })
}

/// The proxy whose masked address this is. The password goes with the very address that it was kept with, and with no
/// other: whoever changes the host does not get it.
fn unmasked(home: &Home, proxy: String) -> Result<String> {
    if !proxy.contains(MASK) {
        return Ok(proxy);
    }
    let kept = settings(home)?.proxy.filter(|kept| record::mask_password(kept) == proxy);
    let reason = "has no password: type it anew".to_owned();
    kept.ok_or_else(|| Error::Hub(hub::Error::BadSetting { name: "proxy", value: proxy, reason }))
}

/// The error of a text that is no token.
pub fn no_token_of_the_hub() -> Error {
    hub::Error::BadToken.into()
}

/// Fails where the Hub is not at this address any more.
pub fn is_still(home: &Home, endpoint: &str) -> Result<()> {
    let now = access(home)?.endpoint;
    if now == endpoint {
        return Ok(());
    }
    let reason = format!("is not {endpoint} any more, to which it was agreed: ask again");
    Err(hub::Error::BadSetting { name: "endpoint", value: now, reason }.into())
}

/// Keeps settings that can be used.
pub fn set_settings(home: &Home, wanted: &HubSettings) -> Result<()> {
    let settings = checked_settings(home, wanted)?;
    let path = path(home);
    let text = serde_json::to_vec_pretty(&settings).map_err(|error| Error::write(&path, error.into()))?;
    let text = zeroize::Zeroizing::new(text);
    files::replace(&path, &text, files::Access::Owner).map_err(|error| Error::write(&path, error))
}

/// The way to the Hub, with the token if there is one.
pub fn network(home: &Home) -> Result<Network> {
    network_with(home, None)
}

/// The same with a token that was handed over, in place of what can be found.
pub fn network_with(home: &Home, given: Option<(Token, TokenSource)>) -> Result<Network> {
    connect(home, &settings(home)?, given)
}

/// Every way to the Hub is made here, where a token that is bound to another address is stopped.
fn connect(home: &Home, settings: &HubSettings, given: Option<(Token, TokenSource)>) -> Result<Network> {
    let token = match given {
        Some(given) => Some(given),
        None => find(home, settings)?.token,
    };
    let here = access::origin(settings, &access::from_environment);
    if let Some(bound) = token.as_ref().and_then(|(token, _)| token.origin())
        && here.as_deref() != Some(bound)
    {
        return Err(token_of_another(settings, bound.to_owned()).into());
    }
    Ok(access::connect(settings, &access::from_environment, token)?)
}

fn find(home: &Home, settings: &HubSettings) -> Result<Found> {
    Ok(access::find(&home.folder, settings, &access::from_environment)?)
}

fn token_of_another(settings: &HubSettings, kept_for: String) -> hub::Error {
    let endpoint = access::origin(settings, &access::from_environment).unwrap_or_default();
    hub::Error::TokenOfAnother { kept_for, endpoint }
}

/// What is known without asking the Hub.
pub fn access(home: &Home) -> Result<HubAccess> {
    Ok(network(home)?.access())
}

/// The settings as they may be shown, and what is known without asking the Hub.
pub fn state(home: &Home) -> Result<HubState> {
    let settings = settings(home)?;
    let kept_for = find(home, &settings).ok().and_then(|found| found.kept_for);
    let (access, problem) = match access(home) {
        Ok(access) => (Some(access), None),
        // What is wrong with a setting is told beside it, so that it can be mended.
        Err(error) => (None, Some(error.problem())),
    };
    Ok(HubState { settings: settings.masked(), kept_for, access, problem })
}

/// The token that would be used, for the engine's pipe, bound to the address that is set now: should another one be
/// set before the engine comes to use it, it does not go there.
pub fn token(home: &Home) -> Result<Token> {
    let settings = settings(home)?;
    let found = find(home, &settings)?;
    let Some((token, _)) = found.token else {
        return Err(match found.kept_for {
            Some(kept_for) => token_of_another(&settings, kept_for),
            None => hub::Error::NoToken,
        }
        .into());
    };
    let here = access::origin(&settings, &access::from_environment);
    Ok(match here {
        Some(here) => token.given_for(&here),
        None => token,
    })
}

/// Whose the token is, as the Hub tells it now.
pub async fn whoami(home: &Home) -> Result<(HubAccess, Account)> {
    let network = network(home)?;
    if !network.has_token() {
        // It may be that one is kept for another address.
        token(home)?;
    }
    let account = access::whoami(&network).await?;
    Ok((network.access(), account))
}

/// Asks the Hub about a token and, if it knows it, keeps it, bound to this Hub's address: in the keyring, or where none answers in a file.
pub async fn login(home: &Home, text: &str) -> Result<(LoggedIn, Kept)> {
    let token = Token::parse(text)?;
    let settings = settings(home)?;
    let network = connect(home, &settings, Some((token.clone(), TokenSource::Keyring)))?;
    let account = access::whoami(&network).await.map_err(|error| match error {
        // It comes from nowhere yet.
        hub::Error::WrongToken { .. } => hub::Error::UnknownToken,
        other => other,
    })?;
    let here = access::origin(&settings, &access::from_environment);
    let kept = access::keep(&home.folder, &token.given_for(&here.unwrap_or_default()))?;
    let file = match &kept {
        Kept::Keyring => None,
        Kept::File { path, .. } => Some(path.display().to_string()),
    };
    Ok((LoggedIn { account, file, used: self::access(home)?.token }, kept))
}

/// Forgets the token that this program keeps. Tells whether there was one, and where one is still found.
pub fn logout(home: &Home) -> Result<LoggedOut> {
    let was = access::forget(&home.folder)?;
    let left = find(home, &settings(home)?)?.token;
    Ok(LoggedOut { was, left: left.map(|(_, source)| source) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home;

    fn with_proxy(proxy: &str) -> HubSettings {
        HubSettings { proxy: Some(proxy.to_owned()), ..HubSettings::default() }
    }

    #[tokio::test]
    async fn a_password_is_never_shown_and_stays_where_its_address_is_saved_as_it_was_shown() {
        let (_folder, home) = empty_home().await;
        let kept = "http://me:secret@127.0.0.1:9";
        set_settings(&home, &with_proxy(kept)).unwrap();
        let shown = state(&home).unwrap().settings;
        assert_eq!(shown.proxy.as_deref(), Some("http://me:•••@127.0.0.1:9"));
        set_settings(&home, &HubSettings { endpoint: Some("http://127.0.0.1:1".into()), ..shown }).unwrap();
        assert_eq!(settings(&home).unwrap().proxy.as_deref(), Some(kept));
        // Whoever changes the host, or the user, does not get the password.
        for other in
            ["http://me:•••@127.0.0.1:10", "http://you:•••@127.0.0.1:9", "socks5://me:•••@127.0.0.1:9"]
        {
            let error = set_settings(&home, &with_proxy(other)).unwrap_err();
            assert!(matches!(&error, Error::Hub(hub::Error::BadSetting { name: "proxy", .. })), "{error}");
            assert!(!format!("{error} {:?}", error.problem()).contains("secret"), "{error}");
        }
        assert_eq!(settings(&home).unwrap().proxy.as_deref(), Some(kept));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_settings_are_for_their_owner_alone_and_no_link_beside_them_is_written_through() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (folder, home) = empty_home().await;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (place, precious) = (path(&home), folder.path().join("precious"));
        std::fs::write(&precious, "mine").unwrap();
        symlink(&precious, place.with_extension("new")).unwrap();
        set_settings(&home, &with_proxy("http://me:secret@127.0.0.1:9")).unwrap();
        assert_eq!(mode(&place), 0o600);
        assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
        // One that an older version has written is closed when it is read.
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o644)).unwrap();
        settings(&home).unwrap();
        assert_eq!(mode(&place), 0o600);
        // A link in the place itself is replaced.
        std::fs::remove_file(&place).unwrap();
        symlink(&precious, &place).unwrap();
        std::fs::write(&precious, "{}").unwrap();
        set_settings(&home, &with_proxy("http://me:secret@127.0.0.1:9")).unwrap();
        assert_eq!(std::fs::read(&precious).unwrap(), b"{}");
        assert_eq!(mode(&place), 0o600);
        std::fs::remove_file(&place).unwrap();
        symlink("/dev/zero", &place).unwrap();
        assert!(matches!(settings(&home), Err(Error::Read { .. })));
    }

    #[tokio::test]
    async fn a_token_that_was_handed_over_for_another_address_goes_nowhere() {
        let (_folder, home) = empty_home().await;
        let token = Token::parse("hf_secret").unwrap().given_for("https://hub.example");
        let given = Some((token, TokenSource::Keyring));
        let set = |endpoint: &str| {
            set_settings(&home, &HubSettings { endpoint: Some(endpoint.into()), ..Default::default() })
                .unwrap();
        };
        set("https://hub.example/under/a/path");
        assert!(network_with(&home, given.clone()).unwrap().has_token());
        set("https://evil.example");
        let error = network_with(&home, given).unwrap_err();
        assert!(matches!(&error, Error::Hub(hub::Error::TokenOfAnother { .. })), "{error}");
        assert!(
            error.to_string().contains("https://hub.example") && error.to_string().contains("evil.example")
        );
    }
}
