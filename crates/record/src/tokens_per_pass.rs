use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use ts_rs::TS;

/// How many tokens of a step go through the network at once: `auto`, `none`, or a number.
///
/// The texts of a step are those that batch size and accumulation say, whatever this is. With a number they are packed, in
/// their order, into passes of at most so many tokens; a text that is longer is a pass of its own. As the loss of a step is a
/// mean over all its texts, what is learned is the same but for rounding, and for which elements dropout leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, TS)]
#[ts(export, type = "\"auto\" | \"none\" | number")]
pub enum TokensPerPass {
    /// On a GPU as many as its free memory has room for, on a processor as with `None`.
    #[default]
    Auto,
    /// Each batch is a pass, as the settings of batches say.
    None,
    Tokens(u32),
}

impl TokensPerPass {
    pub const ALLOWED: &'static str = "auto, none, or a whole number from 4 to 16777216";
    /// The least and the greatest number of tokens.
    pub const LIMITS: [u32; 2] = [4, 1 << 24];

    /// The number, where it is one.
    pub fn tokens(self) -> Option<u32> {
        match self {
            TokensPerPass::Tokens(tokens) => Some(tokens),
            TokensPerPass::Auto | TokensPerPass::None => None,
        }
    }
}

impl fmt::Display for TokensPerPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokensPerPass::Auto => f.write_str("auto"),
            TokensPerPass::None => f.write_str("none"),
            TokensPerPass::Tokens(tokens) => write!(f, "{tokens}"),
        }
    }
}

impl FromStr for TokensPerPass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(TokensPerPass::Auto),
            "none" => Ok(TokensPerPass::None),
            number => number.parse().map(TokensPerPass::Tokens).map_err(|_| refused(text)),
        }
    }
}

fn refused(given: impl fmt::Display) -> String {
    format!("\"{given}\" is no number of tokens; allowed are {}", TokensPerPass::ALLOWED)
}

/// The number as a number, the words as words.
impl Serialize for TokensPerPass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TokensPerPass::Tokens(tokens) => serializer.serialize_u32(*tokens),
            word => serializer.collect_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for TokensPerPass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Number(u32),
            Word(String),
            OtherNumber(f64),
        }
        match Said::deserialize(deserializer).map_err(|_| D::Error::custom(refused("that")))? {
            Said::Number(tokens) => Ok(TokensPerPass::Tokens(tokens)),
            Said::Word(word) => word.parse().map_err(D::Error::custom),
            Said::OtherNumber(number) => Err(D::Error::custom(refused(number))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TrainConfig;

    #[test]
    fn each_is_read_as_it_was_written_and_nothing_else_is() {
        for (setting, written) in [
            (TokensPerPass::Auto, "\"auto\""),
            (TokensPerPass::None, "\"none\""),
            (TokensPerPass::Tokens(4096), "4096"),
        ] {
            assert_eq!(serde_json::to_string(&setting).unwrap(), written);
            assert_eq!(serde_json::from_str::<TokensPerPass>(written).unwrap(), setting);
            assert_eq!(setting.to_string().parse(), Ok(setting));
        }
        for wrong in ["\"some\"", "-1", "2.5", "4294967296", "null", "[1]", "true", "\"\""] {
            let error = serde_json::from_str::<TokensPerPass>(wrong).unwrap_err().to_string();
            assert!(error.contains(TokensPerPass::ALLOWED), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_setting_out_of_its_limits_is_answered_with_what_is_allowed() {
        let mut config = TrainConfig::default();
        assert_eq!(config.tokens_per_pass, TokensPerPass::Auto);
        for (text, setting) in [("2048", TokensPerPass::Tokens(2048)), ("none", TokensPerPass::None)] {
            config.set("tokens_per_pass", text).unwrap();
            assert_eq!(config.tokens_per_pass, setting);
        }
        for wrong in ["3", "0", "-1", "2.5", "16777217", "many", ""] {
            let problem = config.set("tokens_per_pass", wrong).unwrap_err();
            assert_eq!(problem.params["name"], "tokens_per_pass");
            assert_eq!(problem.params["allowed"], TokensPerPass::ALLOWED, "{wrong}");
        }
        assert_eq!(config.tokens_per_pass, TokensPerPass::None);
    }

    #[test]
    fn the_limits_are_those_that_are_named() {
        let [least, most] = TokensPerPass::LIMITS;
        assert!(TokensPerPass::ALLOWED.ends_with(&format!("from {least} to {most}")));
    }
}
