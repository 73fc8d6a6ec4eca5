//! A token: found, kept, forgotten. Nothing here prints one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use record::{HubSettings, TokenSource};
use zeroize::Zeroizing;

use super::{keyring, settings::Variables, token_file};
use crate::error::{Error, Result};

/// The names under which a token may stand in the environment or in a `.env` file; the second is the tutorial's.
const NAMES: [&str; 2] = ["HF_TOKEN", "HF_HUB_TOKEN"];
/// Hugging Face's are 37 characters; mirrors and private Hubs may have longer ones.
const LONGEST: usize = 512;

/// A Hugging Face token. Its text is wiped from memory with it, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes what a person has typed or a file holds; white space around it counts for nothing.
    pub fn parse(text: &str) -> Result<Token> {
        let text = text.trim();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !is_plain {
            return Err(Error::BadToken);
        }
        Ok(Token(Zeroizing::new(text.to_owned())))
    }

    /// The text itself: for the header of a request to the endpoint, a place of keeping, and the engine's pipe.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text of somebody else without this token in it, should it have been sent back.
    pub fn scrub(&self, text: &str) -> String {
        text.replace(self.0.as_str(), "…")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// Looks a token up: environment, `.env` file, keyring, the program's own file in `home`, Hugging Face's file.
/// What is there but cannot be a token, such as an empty variable, is passed over.
pub fn find(
    home: &Path,
    settings: &HubSettings,
    variables: &Variables,
) -> Result<Option<(Token, TokenSource)>> {
    for name in NAMES {
        if let Some(token) = variables(name).and_then(|value| Token::parse(&value).ok()) {
            return Ok(Some((token, TokenSource::Environment { name: name.to_owned() })));
        }
    }
    if let Some(found) = in_env_file(settings)? {
        return Ok(Some(found));
    }
    if let keyring::KeyringAnswer::Token(token) = keyring::get() {
        return Ok(Some((token, TokenSource::Keyring)));
    }
    let own = token_file::own(home);
    let shown = |path: &Path| path.display().to_string();
    if let Some(token) = token_file::read(&own)? {
        return Ok(Some((token, TokenSource::OwnFile { path: shown(&own) })));
    }
    let theirs = token_file::of_hugging_face(variables);
    if let Some(token) = theirs.as_deref().map(token_file::read).transpose()?.flatten() {
        let path = theirs.as_deref().map(shown).unwrap_or_default();
        return Ok(Some((token, TokenSource::HuggingFaceFile { path })));
    }
    Ok(None)
}

/// A token in the `.env` file of the settings. A file that is not there is told of, since the user has named it.
fn in_env_file(settings: &HubSettings) -> Result<Option<(Token, TokenSource)>> {
    let Some(path) = settings.env_file.as_deref() else { return Ok(None) };
    let unreadable = |reason: String| Error::BadSetting { name: "env_file", value: path.to_owned(), reason };
    let lines =
        dotenvy::from_path_iter(path).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    // The error of a line would carry the line, which may be the token's.
    let lines: Vec<(String, String)> = lines
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| unreadable("has a line that is not NAME=VALUE".to_owned()))?;
    for name in NAMES {
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

/// Keeps a token in the keyring; where none answers, in the program's own file, which only its owner may read.
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
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_token_is_one_plain_word_and_is_never_printed() {
        let token = Token::parse(" hf_abc\n").unwrap();
        assert_eq!(token.reveal(), "hf_abc");
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.scrub("Bearer hf_abc is wrong"), "Bearer … is wrong");
        for wrong in ["", "  ", "hf a", "hf\u{0}a", "токен", &"x".repeat(513)] {
            assert!(matches!(Token::parse(wrong), Err(Error::BadToken)), "{wrong:?}");
        }
    }

    #[test]
    fn the_environment_comes_first_then_the_env_file_the_own_file_and_hugging_faces() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let theirs = path.join("hf/token");
        let settings =
            HubSettings { env_file: Some(path.join("my.env").display().to_string()), ..Default::default() };
        let hf_home = path.join("hf").display().to_string();
        let only_hf_home = |name: &str| (name == "HF_HOME").then(|| hf_home.clone());
        std::fs::create_dir(path.join("hf")).unwrap();
        std::fs::write(&theirs, "hf_theirs\n").unwrap();
        std::fs::write(path.join("my.env"), "# mine\nHF_TOKEN=\nHF_HUB_TOKEN='hf_dotenv'\n").unwrap();
        keep(&path, &Token::parse("hf_own").unwrap()).unwrap();

        let text = |settings: &HubSettings, variables: &Variables| {
            find(&path, settings, variables)
                .unwrap()
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
