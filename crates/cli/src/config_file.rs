//! Settings in a file: TOML, or JSON.

use std::path::Path;

use record::TrainConfig;
use serde_json::Value;

use crate::error::{Error, Result};

/// The longest file of settings, in bytes. There are some fifty of them, each with a few words.
const LONGEST: u64 = 1 << 20;

/// Reads a file of settings; what it does not say is as in `base`.
pub fn read(path: &Path, base: &TrainConfig) -> Result<TrainConfig> {
    let wrong = |reason: String| Error::ConfigFile { path: path.to_owned(), reason };
    let text = files::read_text_limited(path, LONGEST).map_err(|error| wrong(error.to_string()))?;
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let said: Value = if is_json {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        toml::from_str(&text).map_err(|error| wrong(without_quote(&text, &error)))?
    };
    let Value::Object(said) = said else { return Err(wrong("it is no table of settings".to_owned())) };
    // TOML has no null: a number that is infinite or none becomes one in JSON, and would count as not set.
    if let Some((name, _)) = said.iter().find(|(_, value)| !is_json && value.is_null()) {
        return Err(wrong(format!("{name} is not a finite number")));
    }
    let config = base.overlaid(said).map_err(|error| wrong(error.to_string()))?;
    config.check()?;
    Ok(config)
}

/// What is wrong with a file, and in which line, but not what stands there: a file that was named by mistake may hold a
/// secret.
fn without_quote(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    // A message may name a key, which the quote of a line would not hide.
    let what = error.message().lines().next().unwrap_or_default();
    format!("it is no TOML of settings in line {line}: {what}")
}

/// The settings as TOML that [`read`] takes.
pub fn write(config: &TrainConfig) -> Result<String> {
    toml::to_string(config).map_err(|error| Error::Toml(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use record::{Preset, TokensPerPass};

    #[test]
    fn an_error_quotes_nothing_of_a_file_that_was_named_by_mistake() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [(".env", "# mine\nHF_TOKEN=hf_secret\n"), ("a.json", "{\"a\": hf_secret}")] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let error = read(&path, &TrainConfig::default()).unwrap_err().to_string();
            assert!(!error.contains("hf_secret") && error.contains("line"), "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_settings_whatever_the_base() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        for preset in Preset::ALL {
            let mut config = preset.config();
            (config.data, config.model) = ("my \"posts\"".into(), "m".into());
            (config.learning_rate, config.lora_target_modules) = (Some(2e-5), vec!["q_proj".into()]);
            config.tokens_per_pass = TokensPerPass::Tokens(2048);
            std::fs::write(&path, write(&config).unwrap()).unwrap();
            assert_eq!(read(&path, &TrainConfig::default()).unwrap(), config);
        }
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_what_is_wrong_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, reason) in [
            ("a.toml", "seed = ", "line 1"),
            ("b.toml", "lerning_rate = 1", "lerning_rate"),
            ("c.json", "[1]", "no table"),
            ("d.toml", "seed = \"x\"", "u32"),
            ("e.toml", "learning_rate = nan", "learning_rate is not a finite number"),
            ("f.toml", "max_steps = -inf", "max_steps is not a finite number"),
            ("g.toml", "max_steps = -1", "-1"),
            ("h.json", "{\"learning_rate\": 1e999}", "range"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let error = read(&path, &TrainConfig::default()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
        assert!(read(&folder.path().join("none"), &TrainConfig::default()).is_err());
    }

    #[test]
    fn a_file_that_is_endless_or_nested_without_measure_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            read(&path, &TrainConfig::default()).unwrap_err().to_string()
        };
        let deep = 200_000;
        refused("lists.json", &format!("{{\"axes\": {}", "[".repeat(deep)));
        refused("objects.json", &"{\"a\":".repeat(deep));
        refused("lists.toml", &format!("axes = {}", "[".repeat(deep)));
        refused("tables.toml", &format!("a = {}", "{a = ".repeat(deep)));
        refused("names.toml", &format!("{}a = 1", "a.".repeat(deep)));
        refused("heads.toml", &format!("[{}a]", "a.".repeat(deep)));
        assert!(refused("long.toml", &format!("# {}", "x".repeat(2 << 20))).contains("1048576 bytes"));
        let error = read(Path::new("/dev/zero"), &TrainConfig::default()).unwrap_err();
        assert!(cfg!(not(unix)) || error.to_string().contains("regular file"), "{error}");
    }
}
