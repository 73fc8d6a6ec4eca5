//! What a repository holds at a revision.

use record::{RemoteFile, RepoKind};
use reqwest::{Method, Url, header::LINK};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::repo::RepoPath;
use crate::{
    access::{Network, bytes},
    error::{Error, Result},
    shown::shown,
};

/// Pages of one list.
const PAGES: usize = 200;
/// Files of one repository: more than any of models or texts has.
const FILES: usize = 100_000;
/// The longest path of a file, in bytes.
const LONGEST_PATH: usize = 1024;
/// The largest file, in bytes: 1 PiB. With `FILES` of them their sum would still not fit, so that it is checked.
const LARGEST: i64 = 1 << 50;

/// A repository as its page tells of it, at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub commit: String,
    /// What it is called, where that is another name than was asked for.
    pub renamed: Option<String>,
    pub gated: bool,
    /// The YAML at the head of its README, as JSON.
    pub card: Value,
    /// What the Hub tells of a model's config.json.
    pub config: Map<String, Value>,
}

/// The commit that a revision stands for, and what the repository's card says.
pub(crate) async fn head(
    network: &Network,
    kind: RepoKind,
    repo: &str,
    revision: Option<&str>,
) -> Result<Head> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct About {
        id: Option<String>,
        sha: Option<String>,
        gated: Option<Value>,
        card_data: Option<Value>,
        config: Option<Value>,
    }
    if let Some(revision) = revision.filter(|revision| !can_be_revision(revision)) {
        return Err(Error::BadRevision { revision: shown(revision) });
    }
    let mut segments = RepoPath(kind, repo).api();
    segments.extend(revision.map(|revision| ["revision", revision]).into_iter().flatten());
    let what = (bytes::REPO, "what the repository is");
    let url = network.url(segments);
    let asked = network.send_json(Method::GET, url.clone(), repo, what, |request| request);
    let (about, envelope): (About, _) = asked.await.map_err(|error| match (error, revision) {
        (Error::NoRevision { repo, .. }, Some(revision)) => {
            Error::NoRevision { repo, revision: revision.to_owned() }
        }
        (error, _) => error,
    })?;
    let bad = |reason: String| Error::BadAnswer { host: network.host(), reason };
    let commit = about.sha.filter(|sha| is_commit(sha)).map(|sha| sha.to_ascii_lowercase());
    let commit = commit.ok_or_else(|| bad(format!("it does not tell which commit {repo} is at")))?;
    // Who asks for a commit gets that one or none.
    if revision.is_some_and(|asked| is_commit(asked) && !asked.eq_ignore_ascii_case(&commit)) {
        return Err(bad(format!("it tells of another commit of {repo} than was asked for")));
    }
    let renamed = match about.id {
        None => None,
        Some(name) if name.eq_ignore_ascii_case(repo) => None,
        Some(name) if record::is_repo_name(&name) && (envelope.url != url || is_of_old_name(&name, repo)) => {
            Some(name)
        }
        Some(name) => return Err(bad(format!("asked for {repo}, it tells of {}", shown(&name)))),
    };
    let gated = is_gated(about.gated.as_ref());
    let card = about.card_data.unwrap_or_default();
    let config = about.config.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(Head { commit, renamed, gated, card, config })
}

/// Whether a repository that had no owner once may have got one, as those of the Hub's first years have. Others that
/// were renamed are redirected to.
fn is_of_old_name(name: &str, asked: &str) -> bool {
    name.split_once('/').is_some_and(|(_, own)| own.eq_ignore_ascii_case(asked))
}

/// Whether git may have a branch, a tag or a commit of this name. Others would be addresses of something else.
fn can_be_revision(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    name.len() <= LONGEST_PATH
        && record::one_line(name) == name
        && !name.contains("..")
        && !name.contains([' ', '\\', '~', '^', ':', '?', '*', '['])
        && name.split('/').all(plain)
}

/// Whether a text is the full name of a commit.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `false`, or a word for the way in which its owner lets people in.
pub(super) fn is_gated(gated: Option<&Value>) -> bool {
    gated.is_some_and(|gated| !gated.is_null() && gated.as_bool() != Some(false))
}

/// The licence that a card names.
pub(crate) fn licence(card: &Value) -> Option<String> {
    match card.get("license")? {
        Value::String(name) => Some(shown(name)),
        Value::Array(names) => names.first()?.as_str().map(shown),
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

/// All files at a revision, with their sizes and hashes: `GET /api/models/ID/tree/REVISION`, page after page, each of
/// which names the next one. That has to be at the endpoint as well.
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
    let bad = |reason: String| Error::BadAnswer { host: network.host(), reason };
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let what = (bytes::LIST, "which files there are");
        let asked = network.send_json(Method::GET, url.clone(), repo, what, |request| request);
        let (entries, envelope): (Vec<Entry>, _) = asked.await?;
        let next = envelope.headers.get(LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
        for entry in entries.into_iter().filter(|entry| entry.kind == "file" && is_inside(&entry.path)) {
            found.push(remote_file(entry).map_err(|reason| bad(format!("{reason} of {repo}")))?);
        }
        if found.len() > FILES {
            return Err(bad(format!("it tells of more than {FILES} files of {repo}")));
        }
        let Some(next) = next.and_then(|next| url.join(&next).ok()) else { return Ok(found) };
        if !network.is_own(&next) {
            return Err(bad(format!("the list of the files of {repo} goes on at another address")));
        }
        url = next;
    }
    Err(bad(format!("its list of the files of {repo} has more than {PAGES} pages")))
}

/// A file with its size and hash, or what of them cannot be.
fn remote_file(entry: Entry) -> std::result::Result<RemoteFile, String> {
    let lfs = entry.lfs.is_some();
    let (bytes, hash) = entry.lfs.map_or((entry.size, entry.oid), |lfs| (lfs.size, lfs.oid));
    let path = entry.path;
    if !(0..=LARGEST).contains(&bytes) {
        return Err(format!("it tells of {bytes} bytes in {}", shown(&path)));
    }
    // A hash names a file in the cache, so that it must be nothing but one.
    let length = if lfs { 64 } else { 40 };
    if hash.len() != length || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("it tells no usable hash of {}", shown(&path)));
    }
    Ok(RemoteFile { path, bytes, hash: hash.to_ascii_lowercase(), lfs })
}

/// Whether a path stays within the folder that it is put in, and looks like what it is.
pub(super) fn is_inside(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']);
    path.len() <= LONGEST_PATH && record::one_line(path) == path && path.split('/').all(plain)
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
        for path in [
            "",
            "/etc/x",
            "../x",
            "a/../../x",
            "a//b",
            "a\\b",
            "C:/x",
            "a/./b",
            "a\0",
            "a\u{1b}[2J",
            "a\u{202e}b",
        ] {
            assert!(!is_inside(path), "{path}");
        }
        assert!(!is_inside(&"a/".repeat(600)));
    }

    #[test]
    fn sizes_and_hashes_that_cannot_be_are_refused_by_the_name_of_their_file() {
        let told = |bytes: i64, hash: &str| {
            let lfs = Some(Lfs { oid: hash.to_owned(), size: bytes });
            remote_file(Entry {
                kind: String::new(),
                path: "x.bin".to_owned(),
                oid: String::new(),
                size: 0,
                lfs,
            })
        };
        let hash = "AB".repeat(32);
        assert_eq!(told(7, &hash).map(|file| file.hash), Ok(hash.to_lowercase()));
        for bytes in [-1, i64::MIN, i64::MAX, LARGEST + 1] {
            assert!(told(bytes, &hash).is_err_and(|reason| reason.contains("x.bin")), "{bytes}");
        }
        for hash in ["", "../../x", &"a".repeat(40), &"g".repeat(64)] {
            assert!(told(7, hash).is_err_and(|reason| reason.contains("x.bin")), "{hash}");
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
