//! Putting a model on the Hub: files first, then one commit that makes all of them visible at once.

mod card;
mod commit;
mod foreign;
mod lfs;
mod multipart;
mod rights;
mod sending;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use hf_hub::RepoType;
use record::{RemoteFile, RepoKind};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::{
    access::{Network, bytes},
    download::{GivenUp, RepoPath, apart, files, hashes, head},
    error::{Error, Result},
    transfer::Transfer,
};

pub use card::{CardFacts, model_card};
pub use rights::check_rights;

/// The branch that is pushed to.
const BRANCH: &str = "main";
/// What of a file's beginning the Hub wants to see, to tell text from binary.
const SAMPLE: usize = 512;
/// The largest file that goes within the commit, whatever the other side says: it stands there as text, a few times in
/// memory. The Hub itself takes none above 10 MB, and takes every file by LFS.
const INLINE: u64 = 8 << 20;

/// A file to be pushed.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its path in the repository.
    pub path: String,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    File(PathBuf),
    Text(String),
}

/// Where something was pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub commit: String,
    /// The page of the repository.
    pub page: String,
    /// Whether all of it was there before, so that nothing had to be changed.
    pub was_there: bool,
}

/// A file with what the Hub names it by.
pub(crate) struct Hashed {
    pub path: String,
    pub content: Content,
    pub bytes: u64,
    pub sha256: String,
    pub git: String,
    pub sample: Vec<u8>,
}

/// Pushes files to a model's repository, which is made if need be, in one commit. What large files have been uploaded
/// before, in this or an earlier attempt, is not sent again; `notes` is a folder in which an upload in parts is written
/// down, so that it goes on after a crash.
///
/// # Errors
/// [`Error::NoRight`], [`Error::NoUploads`], [`Error::Changed`] where somebody else has committed meanwhile, and those
/// of the network. After any of them the repository is as it was.
pub async fn push(
    network: &Network,
    repo: &str,
    private: bool,
    uploads: Vec<Upload>,
    summary: &str,
    notes: &Path,
    transfer: &Transfer,
) -> Result<Pushed> {
    network.online(repo)?;
    if !network.has_token() {
        return Err(Error::NoToken);
    }
    let done = transfer.or_stop(all(network, repo, private, uploads, summary, notes, transfer)).await;
    done.flatten().map_err(|error| if matches!(error, Error::Stopped) { Error::PushStopped } else { error })
}

async fn all(
    network: &Network,
    repo: &str,
    private: bool,
    uploads: Vec<Upload>,
    summary: &str,
    notes: &Path,
    transfer: &Transfer,
) -> Result<Pushed> {
    network.question(create(network, repo, private)).await?;
    let (parent, there) = network.question(newest(network, repo)).await?;
    let page = network.url(repo.split('/')).to_string();
    let hashed = hash_all(uploads).await?;
    let outdated = outdated(&there, &hashed);
    let changed: Vec<Hashed> = hashed.into_iter().filter(|file| !is_there(&there, file)).collect();
    if changed.is_empty() && outdated.is_empty() {
        return Ok(Pushed { commit: parent, page, was_there: true });
    }
    transfer.expect(changed.iter().map(|file| file.bytes as i64).sum());
    let large = network.question(preupload(network, repo, &changed)).await?;
    lfs::upload(network, repo, changed.iter().filter(|file| large.contains(&file.path)), notes, transfer)
        .await?;
    let made = commit::commit(network, repo, &parent, &changed, &large, &outdated, summary, transfer).await?;
    Ok(Pushed { commit: made, page, was_there: false })
}

/// The newest commit of a model's repository, and its files.
async fn newest(network: &Network, repo: &str) -> Result<(String, Vec<RemoteFile>)> {
    let commit = head(network, RepoKind::Model, repo, None).await?.commit;
    let there = files(network, RepoKind::Model, repo, &commit).await?;
    Ok((commit, there))
}

/// Makes the repository, or finds that it is there.
async fn create(network: &Network, repo: &str, private: bool) -> Result<()> {
    let (owner, name) = hf_hub::split_id(repo);
    let mut body = json!({ "name": name, "type": hf_hub::RepoTypeModel.singular(), "private": private });
    if !owner.is_empty() {
        body["organization"] = json!(owner);
    }
    let url = network.url(["api", "repos", "create"]);
    let what = (bytes::OTHER, "whether the repository was made");
    match network.send(Method::POST, url, repo, what, |request| request.json(&body)).await {
        // Whether it is one's own that is there already shows when it is written to.
        Ok(_) | Err(Error::Server { status: 409, .. }) => Ok(()),
        // A mirror has no such address, or knows no such method.
        Err(Error::NoRepo { .. } | Error::Server { status: 404 | 405 | 501, .. }) => {
            Err(Error::NoUploads { host: network.host() })
        }
        Err(error) => Err(error),
    }
}

async fn hash_all(uploads: Vec<Upload>) -> Result<Vec<Hashed>> {
    apart(move |given_up| uploads.into_iter().map(|upload| hash(upload, given_up)).collect()).await
}

fn hash(upload: Upload, given_up: &GivenUp) -> Result<Hashed> {
    let Upload { path, content } = upload;
    match &content {
        Content::File(place) => {
            let found = hashes(place, given_up)?;
            let mut sample = Vec::new();
            let file = ::files::open_regular(place).map_err(|error| Error::read(place, error))?;
            std::io::Read::read_to_end(&mut std::io::Read::take(file, SAMPLE as u64), &mut sample)
                .map_err(|error| Error::read(place, error))?;
            Ok(Hashed { path, bytes: found.bytes, sha256: found.sha256, git: found.git, sample, content })
        }
        Content::Text(text) => {
            let (sha256, git) = crate::download::hashes_of(text.as_bytes());
            let sample = text.bytes().take(SAMPLE).collect();
            Ok(Hashed { path, bytes: text.len() as u64, sha256, git, sample, content })
        }
    }
}

fn is_there(there: &[RemoteFile], file: &Hashed) -> bool {
    let same = |old: &RemoteFile| old.hash == if old.lfs { file.sha256.as_str() } else { file.git.as_str() };
    there.iter().any(|old| old.path == file.path && same(old))
}

/// Weights of an earlier push under other names, such as shards: beside the new ones they would be loaded instead.
fn outdated(there: &[RemoteFile], new: &[Hashed]) -> Vec<String> {
    let is_model = |path: &str| {
        !path.contains('/')
            && (path.ends_with(".safetensors")
                || path.ends_with(".safetensors.index.json")
                || path == "adapter_config.json")
    };
    let gone = there.iter().filter(|old| is_model(&old.path) && new.iter().all(|file| file.path != old.path));
    gone.map(|old| old.path.clone()).collect()
}

/// Which files go by LFS: those of which the other side says so, by `POST /api/models/ID/preupload/BRANCH`, as
/// `huggingface_hub`'s `_fetch_upload_modes` asks, and all that are too large for a commit.
async fn preupload(network: &Network, repo: &str, changed: &[Hashed]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mode {
        path: String,
        upload_mode: String,
    }
    #[derive(Deserialize)]
    struct Answer {
        files: Vec<Mode>,
    }
    use base64::{Engine, engine::general_purpose::STANDARD};
    let told = |file: &Hashed| json!({ "path": file.path, "sample": STANDARD.encode(&file.sample), "size": file.bytes });
    let body = json!({ "files": changed.iter().map(told).collect::<Vec<_>>() });
    let mut segments = RepoPath(RepoKind::Model, repo).api();
    segments.extend(["preupload", BRANCH]);
    let (url, what) = (network.url(segments), (bytes::REPO, "how files are to be uploaded"));
    let asked = network.send_json(Method::POST, url, repo, what, |request| request.json(&body));
    let (answer, _): (Answer, _) = asked.await?;
    let said: BTreeSet<String> =
        answer.files.into_iter().filter(|mode| mode.upload_mode == "lfs").map(|mode| mode.path).collect();
    // An empty file is no LFS object, whatever its ending.
    let is_large = |file: &&Hashed| file.bytes > INLINE || (file.bytes > 0 && said.contains(&file.path));
    Ok(changed.iter().filter(is_large).map(|file| file.path.clone()).collect())
}
