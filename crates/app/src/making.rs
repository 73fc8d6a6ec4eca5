//! A data set or a model while it is being made: a folder beside its place, with a lock by which it is told from what
//! a process has left that ended in the middle. It is put into its place together with its record.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use store::HomeLock;

use crate::{Error, Home, error::Result};

/// How the names of folders begin that are being made.
pub(crate) const NEW: &str = ".new-";
/// A file in a folder that was put into its place before its record was certain.
pub(crate) const PLACING: &str = ".placing";

/// A folder to fill. It goes when this is dropped, unless it was renamed to its place.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) folder: PathBuf,
    name: String,
    lock: PathBuf,
    _held: File,
}

/// Begins what will have the name in the folder `parent`, which is there. Of two that make the same name at once, the
/// first that is done takes it; their folders are apart.
pub(crate) fn begin(parent: &Path, name: &str) -> Result<Making> {
    // Whoever clears the home does not see a folder whose lock is not held yet.
    let _apart = HomeLock::shared(parent.parent().unwrap_or(parent))?;
    let folder = tempfile::Builder::new().prefix(NEW).tempdir_in(parent);
    let folder = folder.map_err(|error| Error::write(parent, files::without_path(error)))?.keep();
    let lock = lock_of(&folder);
    let held = File::create_new(&lock).and_then(|file| {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => std::io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        Ok(file)
    });
    match held {
        Ok(held) => Ok(Making { folder, name: name.to_owned(), lock, _held: held }),
        Err(error) => {
            std::fs::remove_dir(&folder).ok();
            Err(Error::write(&lock, error))
        }
    }
}

impl Making {
    /// Makes ready for being put into its place. Until [`Placing::done`] is told that the record is certain, what is in
    /// the place is marked as what nobody need miss.
    pub(crate) fn placing(&self, home: &Home) -> Result<Placing<'_>> {
        let apart = HomeLock::shared(&home.folder)?;
        let mark = self.folder.join(PLACING);
        File::create(&mark).map_err(|error| Error::write(&mark, error))?;
        files::sync_folder(&mark);
        let parent = self.folder.parent().unwrap_or(Path::new("."));
        Ok(Placing { making: self, place: parent.join(&self.name), _apart: apart })
    }
}

/// What is about to be put into its place. While this is there nobody clears the home.
#[derive(Debug)]
pub(crate) struct Placing<'a> {
    making: &'a Making,
    place: PathBuf,
    _apart: HomeLock,
}

impl Placing<'_> {
    /// Puts the folder into its place, to be called within the transaction that writes its record down. A folder there
    /// that no record names is somebody's own and is not touched.
    pub(crate) fn put(&self) -> Result<()> {
        if self.place.join(PLACING).is_file() {
            // Somebody was killed between this and the record.
            files::remove_folder(&self.place).map_err(|error| Error::write(&self.place, error))?;
        }
        if self.place.symlink_metadata().is_ok() {
            return Err(Error::PlaceTaken { path: self.place.clone() });
        }
        std::fs::rename(&self.making.folder, &self.place)
            .map_err(|error| Error::write(&self.place, error))?;
        files::sync_folder(&self.place);
        Ok(())
    }

    /// The record is certain.
    pub(crate) fn done(self) {
        // What cannot be removed is removed when the home is next opened.
        std::fs::remove_file(self.place.join(PLACING)).ok();
    }

    /// The record was not written: takes the folder back out of its place, to go with the rest.
    pub(crate) fn take_back(self) {
        if !self.making.folder.exists() && self.place.join(PLACING).is_file() {
            std::fs::rename(&self.place, &self.making.folder).ok();
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
        std::fs::remove_file(&self.lock).ok();
    }
}

/// Whether a folder that is being made, or its lock, is in nobody's hands. To be asked with the home's lock held.
pub(crate) fn is_left(folder: &Path) -> bool {
    match files::open_regular(&lock_of(folder)) {
        Ok(lock) => lock.try_lock().is_ok(),
        // Whoever was killed before the lock was there had put nothing into the folder. One that holds something is
        // somebody's own, whatever its name.
        Err(error) => {
            error.kind() == std::io::ErrorKind::NotFound
                && folder.read_dir().is_ok_and(|mut entries| entries.next().is_none())
        }
    }
}

/// Whether a name is one under which something is being made.
pub(crate) fn is_made_name(name: &str) -> bool {
    name.strip_prefix(NEW).is_some_and(is_random)
}

/// Whether this is the random part of a name, as the crate `tempfile` makes them.
pub(crate) fn is_random(part: &str) -> bool {
    part.len() == 6 && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether there is the mark of what was put into its place before its record was certain.
pub(crate) fn has_mark(folder: &Path) -> bool {
    folder.join(PLACING).symlink_metadata().is_ok_and(|about| about.is_file() && about.len() == 0)
}

pub(crate) fn lock_of(folder: &Path) -> PathBuf {
    let mut lock = folder.as_os_str().to_owned();
    lock.push(LOCK);
    lock.into()
}

/// The ending of the name of a lock beside a folder.
pub(crate) const LOCK: &str = ".lock";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home;

    #[tokio::test]
    async fn two_that_make_one_name_at_once_have_folders_of_their_own_and_leave_none() {
        let (_folder, home) = empty_home().await;
        let parent = home.data_set_folder("");
        let (first, second) = (begin(&parent, "posts").unwrap(), begin(&parent, "posts").unwrap());
        assert_ne!(first.folder, second.folder);
        for (making, text) in [(&first, "first"), (&second, "second")] {
            std::fs::write(making.folder.join("text"), text).unwrap();
        }
        let placing = first.placing(&home).unwrap();
        placing.put().unwrap();
        placing.done();
        assert!(matches!(second.placing(&home).unwrap().put(), Err(Error::PlaceTaken { .. })));
        drop((first, second));
        assert_eq!(std::fs::read_to_string(parent.join("posts/text")).unwrap(), "first");
        let names: Vec<_> =
            std::fs::read_dir(&parent).unwrap().flatten().map(|one| one.file_name()).collect();
        assert_eq!(names, ["posts"]);
        assert!(!parent.join("posts").join(PLACING).exists());
    }

    #[tokio::test]
    async fn a_folder_of_the_users_own_is_not_overwritten() {
        let (_folder, home) = empty_home().await;
        let own = home.data_set_folder("mine");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("notes"), "precious").unwrap();
        let making = begin(&home.data_set_folder(""), "mine").unwrap();
        let placing = making.placing(&home).unwrap();
        assert!(placing.put().is_err());
        placing.take_back();
        drop(making);
        assert_eq!(std::fs::read_to_string(own.join("notes")).unwrap(), "precious");
    }
}
