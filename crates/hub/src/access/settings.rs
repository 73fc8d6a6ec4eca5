//! What of the way to the Hub stands in the environment, under the names that `huggingface_hub` reads.

use std::path::PathBuf;

/// Looks a variable of the environment up. Tests give their own.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The environment of this process.
pub fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
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
    fn yes_has_four_spellings() {
        for (value, on) in [("1", true), ("true", true), ("On", true), ("0", false), ("no", false)] {
            assert_eq!(is_on(&|_| Some(value.to_owned()), "HF_HUB_OFFLINE"), on, "{value}");
        }
        assert!(!is_on(&|_| None, "HF_HUB_OFFLINE"));
    }
}
