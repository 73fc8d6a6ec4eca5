//! The cache as `huggingface_hub` lays it out, so that each program finds what the other has fetched:
//!
//! ```text
//! models--owner--name/blobs/HASH             the files, by their hashes; HASH.incomplete while they come
//! models--owner--name/snapshots/COMMIT/PATH  links to them
//! models--owner--name/refs/main              the commit that a revision stood for when it was last asked
//! .locks/models--owner--name/HASH.lock       held by the process that fetches the file
//! ```
//!
//! What a commit has never changes: a file that a snapshot has stays, whoever tells of another.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use record::{RemoteFile, RepoKind};

use super::{
    listing::{is_commit, is_inside},
    repo::{CONVERTED, plural},
};
use crate::{
    error::{Error, Result},
    transfer::Transfer,
};

/// How often a lock that another process holds is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The longest note of a commit, in bytes.
const NOTE: u64 = 1024;

/// What a snapshot has in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InPlace {
    Nothing,
    /// A link to the file's blob, which may have to be fetched yet.
    Linked,
    /// Something else, which is the same file if its content is.
    Other,
}

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

    fn note_of(&self, revision: &str) -> Option<PathBuf> {
        let refs = self.folder().join("refs");
        is_inside(revision).then(|| revision.split('/').fold(refs, |path, part| path.join(part)))
    }

    /// Writes down which commit a revision stands for.
    pub fn set_revision(&self, revision: &str, commit: &str) -> Result<()> {
        // One that could not be a branch's name has been answered all the same; there is no place for it.
        let Some(path) = self.note_of(revision) else { return Ok(()) };
        let failed = |error| Error::write(&path, error);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
        files::replace(&path, commit.as_bytes(), files::Access::Usual).map_err(failed)
    }

    fn commit_of(&self, revision: &str) -> Option<String> {
        let commit = files::read_text_limited(&self.note_of(revision)?, NOTE).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Where a snapshot's link leads.
    fn target(file: &RemoteFile) -> PathBuf {
        let up = "../".repeat(file.path.matches('/').count() + 2);
        PathBuf::from(format!("{up}blobs/{}", file.hash))
    }

    pub fn in_place(&self, commit: &str, file: &RemoteFile) -> Result<InPlace> {
        let place = self.snapshot(commit).join(&file.path);
        match std::fs::symlink_metadata(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(InPlace::Nothing),
            Err(error) => Err(Error::read(&place, error)),
            Ok(_) if std::fs::read_link(&place).is_ok_and(|found| found == RepoCache::target(file)) => {
                Ok(InPlace::Linked)
            }
            Ok(_) => Ok(InPlace::Other),
        }
    }

    /// Makes a file of the snapshot, where nothing is yet, point to its blob: by a relative link, where the system has
    /// none or does not allow it by a hard link or a copy.
    pub fn link(&self, commit: &str, file: &RemoteFile) -> Result<()> {
        let (blob, place) = (self.blob(file), self.snapshot(commit).join(&file.path));
        let failed = |error| Error::write(&place, error);
        std::fs::create_dir_all(place.parent().unwrap_or(&place)).map_err(failed)?;
        let linked = symlink(&RepoCache::target(file), &place)
            .or_else(|_| std::fs::hard_link(&blob, &place))
            .or_else(|_| copy(&blob, &place));
        // Another process may have been faster.
        match self.in_place(commit, file)? {
            InPlace::Linked => Ok(()),
            _ => linked.map_err(failed),
        }
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

fn copy(blob: &Path, place: &Path) -> std::io::Result<()> {
    let mut new = files::Replacement::begin(place, files::Access::Usual)?;
    std::io::copy(&mut files::open_regular(blob)?, new.file())?;
    new.put_new()
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
    snapshots_offline(cache, kind, repo, revision).into_iter().next()
}

/// The snapshots that may be meant: of a data set whose own files could not be read, also the Hub's conversion.
pub(super) fn snapshots_offline(
    cache: &Path,
    kind: RepoKind,
    repo: &str,
    revision: Option<&str>,
) -> Vec<(String, PathBuf)> {
    let cache = RepoCache::new(cache, kind, repo);
    let asked = match (revision, kind) {
        (Some(revision), _) => vec![revision],
        (None, RepoKind::Model) => vec!["main"],
        (None, RepoKind::Dataset) => vec!["main", CONVERTED],
    };
    let found = asked.into_iter().filter_map(|revision| {
        let commit =
            cache.commit_of(revision).or_else(|| Some(revision.to_owned()).filter(|it| is_commit(it)))?;
        let folder = cache.snapshot(&commit);
        folder.is_dir().then_some((commit, folder))
    });
    found.collect()
}
