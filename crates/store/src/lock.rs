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
        let mut waiting = Waiting::begin(home)?;
        loop {
            if let Some(lock) = waiting.look(File::try_lock_shared)? {
                return Ok(lock);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until nobody else does anything to the home. What holds the lock may be another task on this thread.
    pub async fn exclusive(home: &Path) -> Result<HomeLock> {
        let mut waiting = Waiting::begin(home)?;
        loop {
            if let Some(lock) = waiting.look(File::try_lock)? {
                return Ok(lock);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The exclusive lock, unless somebody does something to the home just now.
    pub fn try_exclusive(home: &Path) -> Result<Option<HomeLock>> {
        Waiting::begin(home)?.look(File::try_lock)
    }
}

/// Somebody who wants the lock.
struct Waiting {
    path: PathBuf,
    file: Option<File>,
    begin: Instant,
}

impl Waiting {
    fn begin(home: &Path) -> Result<Waiting> {
        let (path, file) = open(home)?;
        Ok(Waiting { path, file: Some(file), begin: Instant::now() })
    }

    /// The lock, where it is to be had now.
    fn look(
        &mut self,
        take: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> Result<Option<HomeLock>> {
        let Some(file) = self.file.take() else { return Ok(None) };
        match take(&file) {
            Ok(()) => Ok(Some(HomeLock { _file: file })),
            Err(TryLockError::WouldBlock) if self.begin.elapsed() < PATIENCE => {
                self.file = Some(file);
                Ok(None)
            }
            Err(TryLockError::WouldBlock) => Err(Error::HomeBusy { path: self.path.clone() }),
            Err(TryLockError::Error(source)) => Err(Error::Lock { path: self.path.clone(), source }),
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

    #[tokio::test]
    async fn whoever_clears_a_home_is_alone_and_those_who_place_are_not() {
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
        drop(HomeLock::exclusive(home.path()).await.unwrap());
    }
}
