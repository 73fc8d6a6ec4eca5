//! What a repository holds at a revision.

use record::{RemoteFile, RepoKind};
use reqwest::{Method, Url, header::LINK};
use serde::Deserialize;
use serde_json::Value;

use super::repo::RepoPath;
use crate::{
    access::Network,
    error::{Error, Result},
};

/// More pages of a thousand files each than any repository of models or texts has.
const PAGES: usize = 100;

/// A repository as its page tells of it, at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub commit: String,
    pub gated: bool,
    /// The YAML at the head of its README, as JSON.
    pub card: Value,
}

/// The commit that a revision stands for, and what the repository's card says.
pub(crate) async fn head(
    network: &Network,
    kind: RepoKind,
    repo: &str,
    revision: Option<&str>,
) -> Result<Head> {
    let hub = network.hub(repo)?;
    let (owner, name) = hf_hub::split_id(repo);
    let translated = |error| network.translated(error, repo);
    let (sha, gated, card) = match kind {
        RepoKind::Model => {
            let info =
                hub.model(owner, name).info().maybe_revision(revision).send().await.map_err(translated)?;
            (info.sha, info.gated, info.card_data)
        }
        RepoKind::Dataset => {
            let info =
                hub.dataset(owner, name).info().maybe_revision(revision).send().await.map_err(translated)?;
            (info.sha, info.gated, info.card_data)
        }
    };
    let is_commit = |sha: &String| sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = sha.filter(is_commit).ok_or_else(|| Error::BadAnswer {
        host: network.host(),
        reason: format!("it does not tell which commit {repo} is at"),
    })?;
    let gated = gated.is_some_and(|gated| gated.as_bool() != Some(false));
    Ok(Head { commit, gated, card: card.unwrap_or_default() })
}

/// The licence that a card names.
pub(crate) fn licence(card: &Value) -> Option<String> {
    match card.get("license")? {
        Value::String(name) => Some(name.clone()),
        Value::Array(names) => names.first()?.as_str().map(str::to_owned),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: String,
    #[serde(default)]
    size: i64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: i64,
}

/// All files at a revision, with their sizes and hashes: `GET /api/models/ID/tree/REVISION`, page after page. Pages
/// are asked for here and not by hf-hub, since a page names the next one, which may lie on another host.
pub(crate) async fn files(
    network: &Network,
    kind: RepoKind,
    repo: &str,
    revision: &str,
) -> Result<Vec<RemoteFile>> {
    let mut segments = RepoPath(kind, repo).api();
    segments.extend(["tree", revision]);
    let mut url = network.url(segments);
    url.set_query(Some("recursive=true"));
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let asked =
            network.send_json(Method::GET, url.clone(), repo, "which files there are", |request| request);
        let (entries, headers): (Vec<Entry>, _) = asked.await?;
        let next = headers.get(LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
        let files = entries.into_iter().filter(|entry| entry.kind == "file" && is_inside(&entry.path));
        found.extend(files.map(|file| match file.lfs {
            Some(lfs) => RemoteFile { path: file.path, bytes: lfs.size, hash: lfs.oid, lfs: true },
            None => RemoteFile { path: file.path, bytes: file.size, hash: file.oid, lfs: false },
        }));
        let Some(next) = next.and_then(|next| url.join(&next).ok()) else { break };
        url = next;
    }
    match found.iter().find(|file| !is_hash(file)) {
        Some(file) => Err(Error::BadAnswer {
            host: network.host(),
            reason: format!("it tells no usable hash of {}", file.path),
        }),
        None => Ok(found),
    }
}

/// A hash names a file in the cache, so that it must be nothing but one.
fn is_hash(file: &RemoteFile) -> bool {
    let length = if file.lfs { 64 } else { 40 };
    file.bytes >= 0 && file.hash.len() == length && file.hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a path stays within the folder that it is put in.
fn is_inside(path: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0']);
    path.split('/').all(plain)
}

/// The address of the next page in a header such as `<https://…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    (!address.is_empty()).then(|| address.to_owned())
}

/// The address of one file at a commit.
pub(crate) fn file_url(network: &Network, kind: RepoKind, repo: &str, commit: &str, path: &str) -> Url {
    let mut segments = RepoPath(kind, repo).segments();
    segments.extend(["resolve", commit]);
    segments.extend(path.split('/'));
    network.url(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_of_the_folder_are_passed_over() {
        for path in ["model.safetensors", "data/train-00000.parquet", "a b/c"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/x", "../x", "a/../../x", "a//b", "a\\b", "C:/x", "a/./b", "a\0"] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn the_next_page_and_the_licence_are_read_as_the_hub_writes_them() {
        let link = r#"<https://x/api?cursor=a>; rel="next", <https://x/api>; rel="first""#;
        assert_eq!(next_page(link).as_deref(), Some("https://x/api?cursor=a"));
        assert_eq!(next_page(r#"<https://x>; rel="prev""#), None);
        let card = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        assert_eq!(licence(&card(r#"{"license": "mit"}"#)).as_deref(), Some("mit"));
        assert_eq!(licence(&card(r#"{"license": ["mit", "x"]}"#)).as_deref(), Some("mit"));
        assert_eq!(licence(&card("{}")), None);
    }
}
