//! Names of repositories.

use hf_hub::{RepoType, RepoTypeDataset, RepoTypeModel};
use record::RepoKind;

use crate::error::{Error, Result};

/// The branch in which the Hub keeps data sets that it has converted itself.
pub(super) const CONVERTED: &str = "refs/convert/parquet";

/// The name of a repository, `user/name` or, of old ones, `name`, out of what a person writes: the name, or the address
/// of its page.
pub fn parse_repo(text: &str) -> Result<String> {
    let wrong = || Error::BadRepo { repo: text.trim().chars().take(120).collect() };
    let mut name = text.trim().trim_end_matches('/');
    if let Some((_, rest)) = name.split_once("://") {
        name = rest.split_once('/').ok_or_else(wrong)?.1;
    }
    name = name.strip_prefix("datasets/").unwrap_or(name);
    let parts: Vec<&str> = name.split('/').take(3).collect();
    // The address of a page below the repository's own, such as its files, names the repository as well.
    let named = if text.contains("://") && parts.len() > 2 { &parts[..2] } else { &parts[..] };
    let name = named.join("/");
    if !record::is_repo_name(&name) {
        return Err(wrong());
    }
    Ok(name)
}

pub(crate) fn plural(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => RepoTypeModel.plural(),
        RepoKind::Dataset => RepoTypeDataset.plural(),
    }
}

/// Where a repository's own pages and files lie under the endpoint, which for models is at the root.
pub(crate) struct RepoPath<'a>(pub RepoKind, pub &'a str);

impl<'a> RepoPath<'a> {
    pub fn segments(&self) -> Vec<&'a str> {
        let mut segments: Vec<&str> = match self.0 {
            RepoKind::Model => Vec::new(),
            RepoKind::Dataset => vec!["datasets"],
        };
        segments.extend(self.1.split('/'));
        segments
    }

    /// The same under `api`, where models have a folder as well.
    pub fn api(&self) -> Vec<&'a str> {
        let mut segments = vec!["api", plural(self.0)];
        segments.extend(self.1.split('/'));
        segments
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_or_the_address_of_a_page_names_a_repository() {
        for (text, name) in [
            ("microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3-mini-4k-instruct"),
            (" gpt2\n", "gpt2"),
            ("https://huggingface.co/datasets/minhaozhang/mbti", "minhaozhang/mbti"),
            ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", "Qwen/Qwen3-0.6B"),
            ("http://127.0.0.1:8000/a/b/", "a/b"),
            ("datasets/a/b", "a/b"),
        ] {
            assert_eq!(parse_repo(text).unwrap(), name);
        }
        for wrong in [
            "",
            "/",
            "a/b/c",
            "a//b",
            "../b",
            "a/..",
            "a/b c",
            "a/-b",
            "a/b.",
            "a/b--c",
            "https://huggingface.co",
            "a/б",
            &"a".repeat(97),
        ] {
            assert!(matches!(parse_repo(wrong), Err(Error::BadRepo { .. })), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_a_safe_name_of_folders(text in ".{0,60}") {
            if let Ok(name) = parse_repo(&text) {
                prop_assert!(!name.contains("..") && !name.starts_with('/') && name.split('/').count() <= 2);
                prop_assert!(name.is_ascii() && !name.contains('\\'));
            }
        }
    }
}
