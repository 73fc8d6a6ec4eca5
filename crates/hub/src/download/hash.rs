//! The hashes by which the Hub names files: SHA-256 in LFS, and git's SHA-1 of a blob elsewhere.

use std::{
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use record::RemoteFile;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::error::{Error, Result};

/// What a file is read by, at once.
const PIECE: usize = 1 << 20;

pub(crate) struct Hashes {
    pub sha256: String,
    pub git: String,
    pub bytes: u64,
}

/// Whether nobody waits for a hash any more.
pub(crate) type GivenUp = AtomicBool;

/// Hashes on a thread of its own, since a large file takes seconds. Where nobody waits for it any more it ends after
/// the piece that it is at, so that neither does a program that is to end wait for it.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce(&GivenUp) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct Waiting(Arc<GivenUp>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let waiting = Waiting(Arc::default());
    let given_up = waiting.0.clone();
    tokio::task::spawn_blocking(move || work(&given_up)).await.unwrap_or(Err(Error::Stopped))
}

/// Both hashes of a file in one reading.
pub(crate) fn hashes(path: &Path, given_up: &GivenUp) -> Result<Hashes> {
    let bytes = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.len();
    let (mut sha256, mut git) = (Sha256::new(), git_start(bytes));
    read(path, given_up, |piece| {
        sha256.update(piece);
        git.update(piece);
    })?;
    Ok(Hashes { sha256: hex(&sha256.finalize()), git: hex(&git.finalize()), bytes })
}

/// The SHA-256 and the git hash of what is in memory.
pub(crate) fn hashes_of(bytes: &[u8]) -> (String, String) {
    let mut git = git_start(bytes.len() as u64);
    git.update(bytes);
    (hex(&Sha256::digest(bytes)), hex(&git.finalize()))
}

/// Whether a file is the one that the Hub tells of.
pub(crate) fn matches(path: &Path, file: &RemoteFile, given_up: &GivenUp) -> Result<bool> {
    let bytes = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.len();
    if i64::try_from(bytes) != Ok(file.bytes) {
        return Ok(false);
    }
    let found = if file.lfs {
        let mut hash = Sha256::new();
        read(path, given_up, |piece| hash.update(piece))?;
        hex(&hash.finalize())
    } else {
        let mut hash = git_start(bytes);
        read(path, given_up, |piece| hash.update(piece))?;
        hex(&hash.finalize())
    };
    Ok(found.eq_ignore_ascii_case(&file.hash))
}

fn git_start(bytes: u64) -> Sha1 {
    Sha1::new_with_prefix(format!("blob {bytes}\0"))
}

fn read(path: &Path, given_up: &GivenUp, mut each: impl FnMut(&[u8])) -> Result<()> {
    let failed = |error| Error::read(path, error);
    let mut file = files::open_regular(path).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    loop {
        if given_up.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(()),
            count => each(&piece[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_hashes_are_those_of_git_and_of_lfs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hello\n").unwrap();
        let waited_for = GivenUp::new(false);
        let found = hashes(&path, &waited_for).unwrap();
        // `git hash-object` and `sha256sum` of the same file.
        assert_eq!(found.git, "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(found.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!(found.bytes, 6);
        let file =
            |hash: &str, bytes, lfs| RemoteFile { path: String::new(), bytes, hash: hash.to_owned(), lfs };
        assert!(matches(&path, &file(&found.git, 6, false), &waited_for).unwrap());
        assert!(matches(&path, &file(&found.sha256.to_uppercase(), 6, true), &waited_for).unwrap());
        assert!(!matches(&path, &file(&found.git, 7, false), &waited_for).unwrap());
        assert!(!matches(&path, &file(&found.git, 6, true), &waited_for).unwrap());
        assert!(matches!(hashes(&path, &GivenUp::new(true)), Err(Error::Stopped)));
    }
}
