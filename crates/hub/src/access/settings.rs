//! What of the way to the Hub stands in the environment, under the names that `huggingface_hub` reads.

use std::{path::PathBuf, sync::OnceLock};

use record::HubSettings;
use reqwest::Url;
use zeroize::Zeroizing;

use super::endpoint::DEFAULT_ENDPOINT;

/// The names under which a token may stand in the environment or in a `.env` file; the second is the tutorial's.
pub(super) const TOKEN_NAMES: [&str; 2] = ["HF_TOKEN", "HF_HUB_TOKEN"];

/// All variables that may hold a token, also those that only other programs read: what a child process need not have.
pub const SECRETS: [&str; 3] = [TOKEN_NAMES[0], TOKEN_NAMES[1], "HUGGING_FACE_HUB_TOKEN"];

/// The tokens that the environment had, by their names.
static HELD: OnceLock<Vec<(&'static str, Zeroizing<String>)>> = OnceLock::new();

/// Copies the tokens of the environment, which [`from_environment`] gives from then on. A program whose children inherit
/// its environment can then take [`SECRETS`] out of it.
pub fn hold_tokens() {
    HELD.get_or_init(|| {
        let value = |name| Some((name, Zeroizing::new(std::env::var(name).ok()?)));
        TOKEN_NAMES.into_iter().filter_map(value).collect()
    });
}

/// Looks a variable of the environment up. Tests give their own.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The environment of this process, with the tokens that it had.
pub fn from_environment(name: &str) -> Option<String> {
    let held = HELD.get().and_then(|held| held.iter().find(|(known, _)| *known == name));
    let value = held.map(|(_, value)| value.to_string()).or_else(|| std::env::var(name).ok());
    value.filter(|value| !value.is_empty())
}

/// Whose the Hub's address is, as scheme, host and port: what a token is bound to. None where the address is none.
pub fn origin(settings: &HubSettings, variables: &Variables) -> Option<String> {
    let address = settings.endpoint.clone().or_else(|| variables("HF_ENDPOINT"));
    let url = Url::parse(address.as_deref().unwrap_or(DEFAULT_ENDPOINT).trim()).ok()?;
    url.host().is_some().then(|| url.origin().ascii_serialization())
}

/// Hugging Face's own folder: `HF_HOME`, else `huggingface` in the user's cache folder.
pub(super) fn hf_home(variables: &Variables) -> Option<PathBuf> {
    let cache = || {
        let user = directories::BaseDirs::new()?;
        // Python's client uses ~/.cache on every system.
        Some(variables("XDG_CACHE_HOME").map_or_else(|| user.home_dir().join(".cache"), PathBuf::from))
    };
    variables("HF_HOME").map(PathBuf::from).or_else(|| Some(cache()?.join("huggingface")))
}

/// The cache that is shared with `huggingface_hub`: `HF_HUB_CACHE`, else `hub` in its home.
pub fn cache_folder(variables: &Variables) -> Option<PathBuf> {
    let named = variables("HF_HUB_CACHE").or_else(|| variables("HUGGINGFACE_HUB_CACHE"));
    named.map(PathBuf::from).or_else(|| Some(hf_home(variables)?.join("hub")))
}

/// Whether a variable is set to yes, in the spellings of `huggingface_hub`.
pub(super) fn is_on(variables: &Variables, name: &str) -> bool {
    variables(name).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_cache_is_where_python_has_it() {
        let only = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "/x".to_owned());
        assert_eq!(cache_folder(&only("HF_HUB_CACHE")).as_deref(), Some(Path::new("/x")));
        assert_eq!(cache_folder(&only("HF_HOME")).as_deref(), Some(Path::new("/x/hub")));
        assert_eq!(cache_folder(&only("XDG_CACHE_HOME")).as_deref(), Some(Path::new("/x/huggingface/hub")));
        let found = cache_folder(&|_| None);
        assert!(found.is_none_or(|path| path.ends_with(".cache/huggingface/hub")));
    }

    #[test]
    fn an_address_counts_by_scheme_host_and_port_alone() {
        let of = |endpoint: Option<&str>, variable: Option<&str>| {
            let settings = HubSettings { endpoint: endpoint.map(str::to_owned), ..HubSettings::default() };
            origin(&settings, &|name| variable.filter(|_| name == "HF_ENDPOINT").map(str::to_owned))
        };
        assert_eq!(of(None, None).as_deref(), Some(DEFAULT_ENDPOINT));
        assert_eq!(of(Some(" https://HuggingFace.co:443/a/ "), None).as_deref(), Some(DEFAULT_ENDPOINT));
        assert_eq!(of(None, Some("https://hub.example/x")).as_deref(), Some("https://hub.example"));
        assert_eq!(
            of(Some("http://127.0.0.1:8080"), Some("https://hub.example")).as_deref(),
            Some("http://127.0.0.1:8080")
        );
        for other in ["http://huggingface.co", "https://huggingface.co:444", "https://huggingface.co.evil"] {
            assert_ne!(of(Some(other), None).as_deref(), Some(DEFAULT_ENDPOINT), "{other}");
        }
        for wrong in ["nonsense", "", "data:,x", "file:///x"] {
            assert_eq!(of(Some(wrong), None), None, "{wrong:?}");
        }
    }

    #[test]
    fn yes_has_four_spellings() {
        for (value, on) in [("1", true), ("true", true), ("On", true), ("0", false), ("no", false)] {
            assert_eq!(is_on(&|_| Some(value.to_owned()), "HF_HUB_OFFLINE"), on, "{value}");
        }
        assert!(!is_on(&|_| None, "HF_HUB_OFFLINE"));
    }
}
