//! A token: found, kept, forgotten. Nothing here prints one.
//!
//! A token that this program keeps is bound to the scheme, host and port that it was given for, and is found only
//! where that is the Hub's address: who changes the address must not get the token with it. What the environment, a
//! `.env` file and Hugging Face's own file hold is bound to nothing, as with Python's client: whoever sets the
//! address, by `mbti hub set`, by `HF_ENDPOINT` or by the window, where a dialog of the system's asks first, sends
//! these there too.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use record::{HubSettings, TokenSource};
use zeroize::Zeroizing;

use super::{
    endpoint::DEFAULT_ENDPOINT,
    keyring,
    settings::{Variables, origin},
    token_file,
};
use crate::error::{Error, Result};

/// The names under which a token may stand in the environment or in a `.env` file; the second is the tutorial's.
const NAMES: [&str; 2] = ["HF_TOKEN", "HF_HUB_TOKEN"];
/// Hugging Face's are 37 characters; mirrors and private Hubs may have longer ones.
const LONGEST: usize = 512;
/// The most that a `.env` file may hold.
const LONGEST_ENV_FILE: u64 = 1 << 20;

/// A Hugging Face token. Its text is wiped from memory with it, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: Zeroizing<String>,
    /// The scheme, host and port to which alone it may go; none where it goes wherever the Hub is set to be.
    origin: Option<String>,
}

impl Token {
    /// Takes what a person has typed or a file holds; white space around it counts for nothing.
    pub fn parse(text: &str) -> Result<Token> {
        let text = text.trim();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !is_plain {
            return Err(Error::BadToken);
        }
        Ok(Token { text: Zeroizing::new(text.to_owned()), origin: None })
    }

    /// The same, bound to a scheme, host and port.
    #[must_use]
    pub fn given_for(self, origin: &str) -> Token {
        Token { origin: Some(origin.to_owned()), ..self }
    }

    /// What it is bound to.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// A line of the token and, after a space, what it is bound to: as it is kept, and as it is handed to an engine.
    pub fn to_line(&self) -> Zeroizing<String> {
        let origin = self.origin.as_deref().unwrap_or_default();
        // As long as it becomes, since what is moved would leave a copy behind.
        let mut line = Zeroizing::new(String::with_capacity(self.text.len() + origin.len() + 2));
        line.push_str(&self.text);
        if !origin.is_empty() {
            line.push(' ');
            line.push_str(origin);
        }
        line.push('\n');
        line
    }

    /// Reads [`Token::to_line`]; one without a second word is bound to nothing.
    pub fn from_line(line: &str) -> Result<Token> {
        let line = line.trim();
        let (text, origin) = line.split_once(' ').unwrap_or((line, ""));
        let token = Token::parse(text)?;
        Ok(if origin.is_empty() { token } else { token.given_for(origin) })
    }

    /// Reads what was kept. Older versions kept no more than the token, and knew hardly anything but Hugging Face.
    pub(super) fn from_kept(line: &str) -> Result<Token> {
        let token = Token::from_line(line)?;
        Ok(if token.origin.is_none() { token.given_for(DEFAULT_ENDPOINT) } else { token })
    }

    /// The text itself: for the header of a request to the endpoint.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// A text of somebody else without this token in it, should it have been sent back.
    pub fn scrub(&self, text: &str) -> String {
        text.replace(self.text.as_str(), "…")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

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
    for name in NAMES {
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
            Some(token) => kept_for = kept_for.or(token.origin),
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
    fn a_token_is_kept_and_handed_over_with_what_it_is_bound_to() {
        let bare = Token::parse("hf_abc").unwrap();
        let bound = bare.clone().given_for("https://hub.example");
        for token in [&bare, &bound] {
            assert_eq!(&Token::from_line(&token.to_line()).unwrap(), token);
        }
        assert_eq!(Token::from_kept(&bound.to_line()).unwrap(), bound);
        assert_eq!(Token::from_kept(" hf_abc ").unwrap().origin(), Some(DEFAULT_ENDPOINT));
        assert!(Token::from_line("").is_err() && Token::from_line("hf\u{0}a https://hub.example").is_err());
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
