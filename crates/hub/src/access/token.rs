use std::fmt;

use zeroize::Zeroizing;

use super::endpoint::DEFAULT_ENDPOINT;
use crate::error::{Error, Result};

/// Hugging Face's are 37 characters; mirrors and private Hubs may have longer ones.
const LONGEST: usize = 512;
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
        let (mut clean, mut copied) = (String::new(), 0);
        while let Some(at) = self.place_in(&text.as_bytes()[copied..]) {
            // A token is ASCII, so that both its ends are ends of letters.
            clean.push_str(&text[copied..copied + at]);
            clean.push('…');
            copied += at + self.text.len();
        }
        clean + &text[copied..]
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.place_in(text).is_some()
    }

    /// Where it stands in a text, also in other cases: the name of a host, for one, is in small letters.
    fn place_in(&self, text: &[u8]) -> Option<usize> {
        let token = self.text.as_bytes();
        text.windows(token.len()).position(|part| part.eq_ignore_ascii_case(token))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
}
