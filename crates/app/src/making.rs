//! A data set or a model while it is being made: a folder beside its place, with a lock by which it is told from what
//! a process has left that ended in the middle.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::{Error, Home, error::Result};

const NEW: &str = ".new-";

/// A folder to fill. It goes when this is dropped, unless it was renamed to its place.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) folder: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// Begins what will have the name in the folder `parent`, which is there.
pub(crate) fn begin(parent: &Path, name: &str) -> Result<Making> {
    let folder = parent.join(format!("{NEW}{}-{name}", std::process::id()));
    let lock = lock_of(&folder);
    let held = File::create(&lock).map_err(|error| Error::write(&lock, error))?;
    match held.try_lock() {
        Ok(()) => {}
        // Two of one name by one process: the first that is done takes the name.
        Err(TryLockError::WouldBlock) => {
            return Err(store::Error::NameTaken { name: name.to_owned() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(Error::write(&lock, error)),
    }
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    Ok(Making { folder, lock, _held: held })
}

impl Drop for Making {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
        std::fs::remove_file(&self.lock).ok();
    }
}

/// Removes what nobody makes any more, and what somebody began to remove. What cannot be removed stays for the next
/// time.
pub(crate) fn sweep(home: &Home) {
    for parent in ["datasets", "models", "runs"] {
        sweep_in(&home.folder.join(parent));
    }
}

fn sweep_in(parent: &Path) {
    let entries = || std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries().filter(|entry| entry.file_name().to_string_lossy().starts_with(files::REMOVED)) {
        std::fs::remove_dir_all(entry.path()).ok();
    }
    let entries = entries();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(NEW)) {
        // A folder is made after its lock is held, and a lock without a folder takes no room.
        let (folder, lock) = (entry.path(), lock_of(&entry.path()));
        if folder.is_dir() && File::create(&lock).is_ok_and(|file| file.try_lock().is_ok()) {
            std::fs::remove_dir_all(&folder).ok();
            std::fs::remove_file(&lock).ok();
        }
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    let mut lock = folder.as_os_str().to_owned();
    lock.push(".lock");
    lock.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home;

    #[tokio::test]
    async fn what_a_process_left_that_ended_goes_and_what_is_being_made_stays() {
        let (_folder, home) = empty_home().await;
        let left = home.data_set_folder(".new-1-left");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("examples.parquet.new"), "half").unwrap();
        let making = begin(&home.data_set_folder(""), "posts").unwrap();
        std::fs::write(making.folder.join("examples.parquet.new"), "half").unwrap();
        let kept = home.data_set_folder("kept");
        std::fs::create_dir_all(&kept).unwrap();
        Home::open(&home.folder).await.unwrap();
        assert!(!left.exists() && making.folder.exists() && kept.exists());
        assert!(begin(&home.data_set_folder(""), "posts").is_err(), "one at a time makes a name");
        let folder = making.folder.clone();
        drop(making);
        let rest: Vec<_> = std::fs::read_dir(home.data_set_folder("")).unwrap().flatten().collect();
        assert!(!folder.exists() && rest.len() == 1, "{rest:?}");
    }
}
