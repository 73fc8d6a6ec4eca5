//! One lock for a whole home, by which those who change which folders and records there are keep out of each other's
//! way. It is held for moments only, and the system releases it however a process ends.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{Error, error::Result};

/// The file in the home that is locked. It holds nothing.
const NAME: &str = "home.lock";
/// How long somebody else may hold the lock before it is an error: far beyond any moment.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);

/// The lock of a home, held until this is dropped.
///
/// Shared by those who put a folder into its place or take one away together with its record; exclusive for those who
/// make a home, bring its history up to date, or clear it of what no record names.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Waits until nobody makes or clears the home.
    pub fn shared(home: &Path) -> Result<HomeLock> {
        wait(home, File::try_lock_shared)
    }

    /// Waits until nobody else does anything to the home.
    pub fn exclusive(home: &Path) -> Result<HomeLock> {
        wait(home, File::try_lock)
    }

    /// The exclusive lock, unless somebody does something to the home just now.
    pub fn try_exclusive(home: &Path) -> Result<Option<HomeLock>> {
        let (path, file) = open(home)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(HomeLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::Lock { path, source }),
        }
    }
}

fn wait(home: &Path, take: impl Fn(&File) -> std::result::Result<(), TryLockError>) -> Result<HomeLock> {
    let (path, file) = open(home)?;
    let begin = Instant::now();
    loop {
        match take(&file) {
            Ok(()) => return Ok(HomeLock { _file: file }),
            Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Err(Error::HomeBusy { path }),
            Err(TryLockError::Error(source)) => return Err(Error::Lock { path, source }),
        }
    }
}

fn open(home: &Path) -> Result<(PathBuf, File)> {
    let path = home.join(NAME);
    let wrong = |source| Error::Lock { path: path.clone(), source };
    if std::fs::symlink_metadata(&path).is_ok_and(|about| !about.is_file()) {
        let reason = "it is no regular file";
        return Err(wrong(std::io::Error::new(std::io::ErrorKind::InvalidInput, reason)));
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(wrong)?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whoever_clears_a_home_is_alone_and_those_who_place_are_not() {
        let home = tempfile::tempdir().unwrap();
        let placing = [HomeLock::shared(home.path()).unwrap(), HomeLock::shared(home.path()).unwrap()];
        assert!(HomeLock::try_exclusive(home.path()).unwrap().is_none());
        drop(placing);
        let clearing = HomeLock::try_exclusive(home.path()).unwrap().unwrap();
        assert!(HomeLock::try_exclusive(home.path()).unwrap().is_none());
        let waiter = std::thread::spawn({
            let home = home.path().to_owned();
            move || HomeLock::shared(&home).map(drop)
        });
        std::thread::sleep(LOOK * 5);
        assert!(!waiter.is_finished());
        drop(clearing);
        waiter.join().unwrap().unwrap();
        drop(HomeLock::exclusive(home.path()).unwrap());
    }
}
