//! The way to the Hub as the user has it: settings, the token, and whose it is. What is answered never has the token.

use std::path::PathBuf;

use hub::access::{self, Kept, Network, Token};
use record::{Account, HubAccess, HubSettings, HubState, LoggedIn, LoggedOut, TokenSource};

use crate::{Error, Home, error::Result};

/// The settings' file in the home; the token is not among them.
fn path(home: &Home) -> PathBuf {
    home.folder.join("hub.json")
}

pub fn settings(home: &Home) -> Result<HubSettings> {
    let path = path(home);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HubSettings::default()),
        Err(source) => return Err(Error::Read { path, source }),
    };
    serde_json::from_slice(&text).map_err(|error| Error::Read { path, source: error.into() })
}

/// Keeps settings that can be used; an empty text counts as none.
pub fn set_settings(home: &Home, settings: &HubSettings) -> Result<()> {
    let filled = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let HubSettings { endpoint, env_file, proxy, ca_file } = settings;
    let settings = HubSettings {
        endpoint: filled(endpoint),
        env_file: filled(env_file),
        proxy: filled(proxy),
        ca_file: filled(ca_file),
    };
    // One that cannot be used is told of here and not kept.
    let token = access::find(&home.folder, &settings, &access::from_environment)?;
    access::connect(&settings, &access::from_environment, token)?;
    let path = path(home);
    let text = serde_json::to_vec_pretty(&settings).map_err(|error| Error::write(&path, error.into()))?;
    let new = path.with_extension("new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, &path))
        .map_err(|error| Error::write(&path, error))
}

/// The way to the Hub, with the token if there is one.
pub fn network(home: &Home) -> Result<Network> {
    network_with(home, None)
}

/// The same with a token that was handed over, in place of what can be found.
pub fn network_with(home: &Home, given: Option<(Token, TokenSource)>) -> Result<Network> {
    let settings = settings(home)?;
    let token = match given {
        Some(given) => Some(given),
        None => access::find(&home.folder, &settings, &access::from_environment)?,
    };
    Ok(access::connect(&settings, &access::from_environment, token)?)
}

/// What is known without asking the Hub.
pub fn access(home: &Home) -> Result<HubAccess> {
    Ok(network(home)?.access())
}

/// The settings, and what is known without asking the Hub.
pub fn state(home: &Home) -> Result<HubState> {
    let settings = settings(home)?;
    Ok(match access(home) {
        Ok(access) => HubState { settings, access: Some(access), problem: None },
        // What is wrong with a setting is told beside it, so that it can be mended.
        Err(error) => HubState { settings, access: None, problem: Some(error.problem()) },
    })
}

/// The token that would be used, for the engine's pipe.
pub(crate) fn token(home: &Home) -> Result<Option<Token>> {
    let found = access::find(&home.folder, &settings(home)?, &access::from_environment)?;
    Ok(found.map(|(token, _)| token))
}

/// Whose the token is, as the Hub tells it now.
pub async fn whoami(home: &Home) -> Result<(HubAccess, Account)> {
    let network = network(home)?;
    let account = access::whoami(&network).await?;
    Ok((network.access(), account))
}

/// Asks the Hub about a token and, if it knows it, keeps it: in the keyring, or where none answers in a file.
pub async fn login(home: &Home, text: &str) -> Result<(LoggedIn, Kept)> {
    let token = Token::parse(text)?;
    let network = network_with(home, Some((token.clone(), TokenSource::Keyring)))?;
    let account = access::whoami(&network).await.map_err(|error| match error {
        // It comes from nowhere yet.
        hub::Error::WrongToken { .. } => hub::Error::UnknownToken,
        other => other,
    })?;
    let kept = access::keep(&home.folder, &token)?;
    let file = match &kept {
        Kept::Keyring => None,
        Kept::File { path, .. } => Some(path.display().to_string()),
    };
    Ok((LoggedIn { account, file, used: self::access(home)?.token }, kept))
}

/// Forgets the token that this program keeps. Tells whether there was one, and where one is still found.
pub fn logout(home: &Home) -> Result<LoggedOut> {
    let was = access::forget(&home.folder)?;
    let left = access::find(&home.folder, &settings(home)?, &access::from_environment)?;
    Ok(LoggedOut { was, left: left.map(|(_, source)| source) })
}
