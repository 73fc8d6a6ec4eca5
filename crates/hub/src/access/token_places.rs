//! Where a token is found, kept and forgotten.
//!
//! A token that this program keeps is bound to the scheme, host and port that it was given for, and is found only
//! where that is the Hub's address: who changes the address must not get the token with it. What the environment, a
//! `.env` file and Hugging Face's own file hold is bound to nothing, as with Python's client: whoever sets the
//! address, by `mbti hub set`, by `HF_ENDPOINT` or by the window, where a dialog of the system's asks first, sends
//! these there too.

use std::path::{Path, PathBuf};

use record::{HubSettings, TokenSource};
use zeroize::Zeroizing;

use super::{
    Token, keyring,
    settings::{TOKEN_NAMES, Variables, origin},
    token_file,
};
use crate::error::{Error, Result};

/// The most that a `.env` file may hold.
const LONGEST_ENV_FILE: u64 = 1 << 20;

/// A look at one place where a token may be kept, taken only when its turn comes.
type Look<'a> = &'a dyn Fn() -> Result<Option<Token>>;

/// What looking for a token has brought.
#[derive(Debug, Default)]
pub struct Found {
    pub token: Option<(Token, TokenSource)>,
    /// What a token that is kept here is bound to, where that is not the address that is set.
    pub kept_for: Option<String>,
}

/// Looks a token up: environment, `.env` file, keyring, the program's own file in `home`, Hugging Face's file.
/// What is there but cannot be a token, such as an empty variable, is passed over.
pub fn find(home: &Path, settings: &HubSettings, variables: &Variables) -> Result<Found> {
    let found = |token, source| Ok(Found { token: Some((token, source)), kept_for: None });
    for name in TOKEN_NAMES {
        if let Some(token) = variables(name).and_then(|value| Token::parse(&value).ok()) {
            return found(token, TokenSource::Environment { name: name.to_owned() });
        }
    }
    if let Some((token, source)) = in_env_file(settings)? {
        return found(token, source);
    }
    let own = token_file::own(home);
    let shown = |path: &Path| path.display().to_string();
    let kept: [(Look, TokenSource); 2] = [
        (&|| Ok(keyring::get()), TokenSource::Keyring),
        (&|| token_file::read_own(&own), TokenSource::OwnFile { path: shown(&own) }),
    ];
    let here = origin(settings, variables);
    let mut kept_for = None;
    for (look, source) in kept {
        match look()? {
            Some(token) if token.origin() == here.as_deref() => return found(token, source),
            Some(token) => kept_for = kept_for.or_else(|| token.origin().map(str::to_owned)),
            None => {}
        }
    }
    let theirs = token_file::of_hugging_face(variables);
    let token = theirs.as_deref().map(token_file::read_theirs).transpose()?.flatten();
    let path = theirs.as_deref().map(shown).unwrap_or_default();
    Ok(Found { token: token.map(|token| (token, TokenSource::HuggingFaceFile { path })), kept_for })
}

/// A token in the `.env` file of the settings. A file that is not there is told of, since the user has named it.
fn in_env_file(settings: &HubSettings) -> Result<Option<(Token, TokenSource)>> {
    let Some(path) = settings.env_file.as_deref() else { return Ok(None) };
    let unreadable = |reason: String| Error::BadSetting { name: "env_file", value: path.to_owned(), reason };
    let text = files::read_text_limited(Path::new(path), LONGEST_ENV_FILE)
        .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let text = Zeroizing::new(text);
    // The error of a line would carry the line, which may be the token's.
    let lines: Vec<(String, String)> = dotenvy::from_read_iter(text.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| unreadable("has a line that is not NAME=VALUE".to_owned()))?;
    for name in TOKEN_NAMES {
        let value = lines.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        if let Some(token) = value.and_then(|value| Token::parse(value).ok()) {
            return Ok(Some((token, TokenSource::EnvFile { name: name.to_owned(), path: path.to_owned() })));
        }
    }
    Ok(None)
}

/// Where a token was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Keyring,
    /// There is no keyring, or it refuses; the reason is for the user.
    File {
        path: PathBuf,
        reason: String,
    },
}

/// Keeps a token, with what it is bound to, in the keyring; where none answers, in the program's own file, which only its owner may read.
pub fn keep(home: &Path, token: &Token) -> Result<Kept> {
    match keyring::set(token) {
        Ok(()) => {
            // One that was kept in the file before keyrings answered would otherwise stay for ever.
            token_file::remove(&token_file::own(home))?;
            Ok(Kept::Keyring)
        }
        Err(reason) => {
            let path = token_file::own(home);
            token_file::write(&path, token)?;
            Ok(Kept::File { path, reason })
        }
    }
}

/// Forgets the token that this program keeps, in the keyring and in its file. Tells whether there was one.
/// What others keep, in the environment or in Hugging Face's file, is theirs.
pub fn forget(home: &Path) -> Result<bool> {
    let in_keyring = keyring::delete();
    let in_file = token_file::remove(&token_file::own(home))?;
    Ok(in_keyring || in_file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::endpoint::DEFAULT_ENDPOINT;
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_token_that_is_kept_is_found_at_the_address_it_was_given_for_and_at_no_other() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path();
        let settings = |endpoint: &str| HubSettings { endpoint: Some(endpoint.into()), ..Default::default() };
        let found = |settings: &HubSettings| {
            let found = find(path, settings, &|_| None).unwrap();
            (found.token.map(|(token, _)| token.reveal().to_owned()), found.kept_for)
        };
        keep(path, &Token::parse("hf_own").unwrap().given_for("https://hub.example")).unwrap();
        for same in ["https://hub.example", "https://hub.example:443/under/a/path"] {
            assert_eq!(found(&settings(same)), (Some("hf_own".to_owned()), None), "{same}");
        }
        for other in ["https://evil.example", "http://hub.example", "https://hub.example:8443", "nonsense"] {
            assert_eq!(found(&settings(other)).1.as_deref(), Some("https://hub.example"), "{other}");
            assert!(found(&settings(other)).0.is_none(), "{other}");
        }
        // One that an older version has kept is Hugging Face's.
        std::fs::write(token_file::own(path), "hf_old").unwrap();
        assert_eq!(found(&HubSettings::default()).0.as_deref(), Some("hf_old"));
        assert!(found(&settings("https://hub.example")).0.is_none());
        let mirror = |name: &str| (name == "HF_ENDPOINT").then(|| "https://mirror.example".to_owned());
        assert!(find(path, &HubSettings::default(), &mirror).unwrap().token.is_none());
    }

    #[test]
    fn the_environment_comes_first_then_the_env_file_the_own_file_and_hugging_faces() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let own = Token::parse("hf_own").unwrap().given_for(DEFAULT_ENDPOINT);
        let theirs = path.join("hf/token");
        let settings =
            HubSettings { env_file: Some(path.join("my.env").display().to_string()), ..Default::default() };
        let hf_home = path.join("hf").display().to_string();
        let only_hf_home = |name: &str| (name == "HF_HOME").then(|| hf_home.clone());
        std::fs::create_dir(path.join("hf")).unwrap();
        std::fs::write(&theirs, "hf_theirs\n").unwrap();
        std::fs::write(path.join("my.env"), "# mine\nHF_TOKEN=\nHF_HUB_TOKEN='hf_dotenv'\n").unwrap();
        keep(&path, &own).unwrap();

        let text = |settings: &HubSettings, variables: &Variables| {
            find(&path, settings, variables)
                .unwrap()
                .token
                .map(|(token, source)| (token.reveal().to_owned(), source))
        };
        let both = |name: &str| match name {
            "HF_TOKEN" => Some(" ".to_owned()),
            "HF_HUB_TOKEN" => Some("hf_environment".to_owned()),
            _ => None,
        };
        let (token, source) = text(&settings, &both).unwrap();
        assert_eq!(
            (token.as_str(), source),
            ("hf_environment", TokenSource::Environment { name: "HF_HUB_TOKEN".into() })
        );
        assert_eq!(text(&settings, &nothing).unwrap().0, "hf_dotenv");
        let none = HubSettings::default();
        assert_eq!(text(&none, &only_hf_home).unwrap().0, "hf_own");
        assert!(forget(&path).unwrap());
        assert!(!forget(&path).unwrap());
        let (token, source) = text(&none, &only_hf_home).unwrap();
        assert_eq!(
            (token.as_str(), source),
            ("hf_theirs", TokenSource::HuggingFaceFile { path: theirs.display().to_string() })
        );
    }

    #[test]
    fn a_broken_env_file_is_told_of_without_its_lines() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("my.env");
        std::fs::write(&path, "HF_TOKEN='hf_secret\nx y z\n").unwrap();
        for path in [path, home.path().join("none.env")] {
            let settings = HubSettings { env_file: Some(path.display().to_string()), ..Default::default() };
            let error = find(home.path(), &settings, &nothing).unwrap_err();
            assert!(matches!(&error, Error::BadSetting { name: "env_file", .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("hf_secret"), "{error}");
        }
    }
}
