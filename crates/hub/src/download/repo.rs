//! Names of repositories.

use hf_hub::{RepoType, RepoTypeDataset, RepoTypeModel};
use record::RepoKind;
use reqwest::Url;

use crate::{
    access::Network,
    error::{Error, Result},
    shown::shown,
};

/// The branch in which the Hub keeps data sets that it has converted itself.
pub(super) const CONVERTED: &str = "refs/convert/parquet";

/// The name of a repository, `user/name` or, of old ones, `name`, out of what a person writes: the name, or the address
/// of its page.
pub fn parse_repo(text: &str) -> Result<String> {
    let wrong = || Error::BadRepo { repo: shown(&record::mask_password(text.trim())) };
    let mut name = text.trim().trim_end_matches('/');
    if let Some((_, rest)) = name.split_once("://") {
        name = rest.split_once('/').ok_or_else(wrong)?.1;
    }
    name_in(name, text.contains("://")).ok_or_else(wrong)
}

/// The name in what was written, or in the path of a page.
fn name_in(text: &str, is_page: bool) -> Option<String> {
    let name = text.strip_prefix("datasets/").unwrap_or(text);
    let parts: Vec<&str> = name.split('/').take(3).collect();
    // The address of a page below the repository's own, such as its files, names the repository as well.
    let named = if is_page && parts.len() > 2 { &parts[..2] } else { &parts[..] };
    Some(named.join("/")).filter(|name| record::is_repo_name(name))
}

/// The same of a repository of a kind, which is to be at the Hub that is asked.
pub fn parse_repo_at(network: &Network, kind: RepoKind, text: &str) -> Result<String> {
    let wrong = || Error::BadRepo { repo: shown(&record::mask_password(text.trim())) };
    let mut name = text.trim().trim_end_matches('/');
    let page = if name.contains("://") { Some(Url::parse(name).map_err(|_| wrong())?) } else { None };
    if let Some(page) = &page {
        name = network.path_of_page(page).ok_or_else(|| Error::RepoElsewhere {
            repo: shown(&record::mask_password(text.trim())),
            endpoint: network.access().endpoint,
        })?;
    }
    if page.is_some() && name.starts_with("spaces/")
        || kind == RepoKind::Model && name.starts_with("datasets/")
    {
        return Err(wrong());
    }
    name_in(name, page.is_some()).ok_or_else(wrong)
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

    #[test]
    fn a_page_of_another_place_names_no_repository_of_the_hub_that_is_asked() {
        let at = |endpoint: &str| {
            let settings = record::HubSettings { endpoint: Some(endpoint.to_owned()), ..Default::default() };
            crate::access::connect(&settings, &|_| None, None).unwrap()
        };
        let (hub, mirror, below) =
            (at("https://huggingface.co"), at("http://127.0.0.1:9101"), at("https://all.example/hf"));
        let model = |network: &Network, text: &str| parse_repo_at(network, RepoKind::Model, text);
        for (network, text) in [
            (&hub, "https://huggingface.co/a/b/tree/main"),
            (&hub, "https://hf.co/a/b"),
            (&hub, "https://www.huggingface.co/a/b/"),
            (&mirror, "http://127.0.0.1:9101/a/b"),
            (&below, "https://all.example/hf/a/b"),
            (&below, "a/b"),
        ] {
            assert_eq!(model(network, text).unwrap(), "a/b", "{text}");
        }
        for (network, text) in [
            (&mirror, "http://127.0.0.1:9102/a/b"),
            (&mirror, "https://127.0.0.1:9101/a/b"),
            (&mirror, "https://huggingface.co/a/b"),
            (&hub, "https://other.example/a/b"),
            (&hub, "https://huggingface.co@other.example/a/b"),
            (&hub, "https://huggingface.co:8443/a/b"),
            (&hub, "https://huggingface.co.other.example/a/b"),
        ] {
            let error = model(network, text).unwrap_err();
            assert!(matches!(error, Error::RepoElsewhere { .. }), "{text}: {error}");
        }
        for text in
            ["datasets/x", "https://hf.co/datasets/a/b", "https://hf.co/spaces/a/b", "https://", "hf://a/b"]
        {
            assert!(model(&hub, text).is_err(), "{text}");
        }
        for text in ["datasets/a/b", "https://hf.co/datasets/a/b/viewer", "a/b"] {
            assert_eq!(parse_repo_at(&hub, RepoKind::Dataset, text).unwrap(), "a/b", "{text}");
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
