//! The cache as `huggingface_hub` lays it out, so that each program finds what the other has fetched:
//!
//! ```text
//! models--owner--name/blobs/HASH             the files, by their hashes; HASH.incomplete while they come
//! models--owner--name/snapshots/COMMIT/PATH  links to them
//! models--owner--name/refs/main              the commit that a revision stood for when it was last asked
//! .locks/models--owner--name/HASH.lock       held by the process that fetches the file
//! ```

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use record::{RemoteFile, RepoKind};

use super::repo::plural;
use crate::{
    error::{Error, Result},
    transfer::Transfer,
};

/// How often a lock that another process holds is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The folder of one repository in the cache.
#[derive(Debug, Clone)]
pub(crate) struct RepoCache {
    root: PathBuf,
    name: String,
}

impl RepoCache {
    /// `repo` is a name that [`super::parse_repo`] has accepted.
    pub fn new(cache: &Path, kind: RepoKind, repo: &str) -> RepoCache {
        RepoCache { root: cache.to_owned(), name: format!("{}--{}", plural(kind), repo.replace('/', "--")) }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    pub fn blob(&self, file: &RemoteFile) -> PathBuf {
        self.folder().join("blobs").join(&file.hash)
    }

    /// Where a file is gathered until it is whole. Python's client goes on with it just as well.
    pub fn incomplete(&self, file: &RemoteFile) -> PathBuf {
        self.folder().join("blobs").join(format!("{}.incomplete", file.hash))
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// Writes down which commit a revision stands for.
    pub fn set_revision(&self, revision: &str, commit: &str) -> Result<()> {
        let path = revision.split('/').fold(self.folder().join("refs"), |path, part| path.join(part));
        let failed = |error| Error::write(&path, error);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
        std::fs::write(&path, commit).map_err(failed)
    }

    fn commit_of(&self, revision: &str) -> Option<String> {
        let path = revision.split('/').fold(self.folder().join("refs"), |path, part| path.join(part));
        let commit = std::fs::read_to_string(path).ok()?.trim().to_owned();
        Some(commit).filter(|commit| commit.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    }

    /// Makes a file of the snapshot point to its blob: by a relative link, where the system has none or does not allow
    /// it by a hard link or a copy.
    pub fn link(&self, commit: &str, file: &RemoteFile) -> Result<()> {
        let (blob, place) = (self.blob(file), self.snapshot(commit).join(&file.path));
        let failed = |error| Error::write(&place, error);
        std::fs::create_dir_all(place.parent().unwrap_or(&place)).map_err(failed)?;
        let depth = file.path.matches('/').count();
        let up = "../".repeat(depth + 2);
        let target = PathBuf::from(format!("{up}blobs/{}", file.hash));
        if std::fs::read_link(&place).is_ok_and(|found| found == target) {
            return Ok(());
        }
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        symlink(&target, &place)
            .or_else(|_| std::fs::hard_link(&blob, &place))
            .or_else(|_| std::fs::copy(&blob, &place).map(|_| ()))
            .map_err(failed)
    }

    /// Waits until no other process fetches this file, and keeps others from it as long as the answer lives.
    pub async fn lock(&self, file: &RemoteFile, transfer: &Transfer) -> Result<File> {
        let folder = self.root.join(".locks").join(&self.name);
        let path = folder.join(format!("{}.lock", file.hash));
        let failed = |error| Error::write(&path, error);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(&path).map_err(failed)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
            transfer.sleep(AGAIN).await?;
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(windows)]
fn symlink(target: &Path, place: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, place)
}

/// The newest snapshot that was fetched of a revision, for times without a network.
pub fn snapshot_offline(
    cache: &Path,
    kind: RepoKind,
    repo: &str,
    revision: Option<&str>,
) -> Option<(String, PathBuf)> {
    let cache = RepoCache::new(cache, kind, repo);
    let revision = revision.unwrap_or("main");
    let commit = cache.commit_of(revision).unwrap_or_else(|| revision.to_owned());
    if !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let folder = cache.snapshot(&commit);
    folder.is_dir().then_some((commit, folder))
}
