//! Removing what has a folder and a record. The folder first gets a name that says what is going on, so that whoever
//! opens the home next can end what a killed process has begun; then the record goes; then, which may take long, what
//! was in the folder.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use store::{HomeLock, Part};

use crate::{Error, Home, error::Result};

/// Removes one, unless an active run uses it.
pub(crate) async fn remove(home: &Home, part: Part, name: &str) -> Result<()> {
    let apart = HomeLock::shared(&home.folder)?;
    home.store.check_unused(part, name).await?;
    let place = home.folder.join(part.folder()).join(name);
    let Some(removed) = set_aside(&place, name).map_err(|error| Error::write(&place, error))? else {
        return Ok(home.store.forget(part, name).await?);
    };
    match home.store.forget(part, name).await {
        Ok(()) => {}
        Err(error) if error.lacks_room() => {
            // What was in the folder makes room for the history to be written. From here on the folder's name alone
            // says what is to be done, and it stays until the record is gone: if need be, until the next opening.
            empty(&removed);
            home.store.forget(part, name).await.map_err(|error| match error.lacks_room() {
                true => no_room(home, name),
                false => error.into(),
            })?;
        }
        Err(error) => {
            // Nothing is destroyed yet, and all is as it was.
            std::fs::rename(&removed, &place).ok();
            return Err(error.into());
        }
    }
    drop(apart);
    destroy(&removed)
}

/// Says what has become of a removal whose record did not go, although its content is gone.
fn no_room(home: &Home, name: &str) -> Error {
    let said = format!(
        "there is no room on the disk; what \"{name}\" had in its folder is removed all the same, and its line in the \
         history goes at the next start with room"
    );
    Error::write(&home.folder.join("history.sqlite"), std::io::Error::other(said))
}

/// Renames a folder to what says that it is being removed; `None` where there is none.
fn set_aside(place: &Path, name: &str) -> std::io::Result<Option<PathBuf>> {
    let parent = place.parent().unwrap_or(Path::new("."));
    loop {
        let folder = free_name(parent, name);
        match std::fs::rename(place, &folder) {
            Ok(()) => return Ok(Some(folder)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // Somebody has set an older one of this name aside meanwhile.
            Err(_) if folder.symlink_metadata().is_ok() && place.symlink_metadata().is_ok() => {}
            // Even a name takes room.
            Err(error) if error.kind() == ErrorKind::StorageFull && place.read_dir()?.next().is_some() => {
                empty(place);
                if place.read_dir()?.next().is_some() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// A name beside the others that says of which folder it is and that it goes.
pub(crate) fn free_name(parent: &Path, name: &str) -> PathBuf {
    let name = |number: u64| parent.join(format!("{}{number}-{name}", files::REMOVED));
    (0..).map(name).find(|folder| folder.symlink_metadata().is_err()).unwrap_or_else(|| name(u64::MAX))
}

/// Of which folder a name says that it goes.
pub(crate) fn removed_name(name: &str) -> Option<&str> {
    let (number, name) = name.strip_prefix(files::REMOVED)?.split_once('-')?;
    number.parse::<u64>().is_ok_and(|parsed| parsed.to_string() == number).then_some(name)
}

/// Removes what has no record any more. Whoever opens the home may be doing the same.
pub(crate) fn destroy(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::write(folder, error)),
        _ => Ok(()),
    }
}

/// Removes what is in a folder, as far as that can be.
fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            std::fs::remove_dir_all(path).ok();
        } else {
            std::fs::remove_file(path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{data_sets, home::empty_home};

    #[tokio::test]
    async fn what_cannot_be_forgotten_stays_as_it_was() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let config = crate::runs::default_config(&home).await.unwrap();
        let run = crate::runs::create(&home, &config).await.unwrap();
        let error = data_sets::remove(&home, data_sets::SAMPLE_NAME).await.unwrap_err();
        assert_eq!(error.problem().code, record::ProblemCode::InUse);
        assert!(data_sets::open(&home, data_sets::SAMPLE_NAME).await.is_ok());
        home.store.interrupt_run(run).await.unwrap();
        // A history that takes no writing.
        let reading = Home {
            store: store::Store::open_to_read(&home.folder.join("history.sqlite")).await.unwrap(),
            ..home.clone()
        };
        assert!(data_sets::remove(&reading, data_sets::SAMPLE_NAME).await.is_err());
        assert!(data_sets::open(&home, data_sets::SAMPLE_NAME).await.is_ok());
        data_sets::remove(&home, data_sets::SAMPLE_NAME).await.unwrap();
        assert_eq!(std::fs::read_dir(home.data_set_folder("")).unwrap().count(), 0);
    }

    #[test]
    fn the_name_of_what_goes_tells_of_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let first = free_name(folder.path(), "a-1-b");
        std::fs::create_dir(&first).unwrap();
        assert_ne!(free_name(folder.path(), "a-1-b"), first);
        assert_eq!(removed_name(first.file_name().unwrap().to_str().unwrap()), Some("a-1-b"));
        for other in [".removed-AbC123", ".removed-02-a", ".removed-+2-a", ".removed-x-y", "a", ".new-0-a"] {
            assert_eq!(removed_name(other), None, "{other}");
        }
    }
}
