//! Putting a folder into its place as a whole.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::{Error, error::Result};

/// Fills a folder beside its place and renames it there. When it fails, what was in the place is
/// put back; when the process dies between two renames, the next saving finds it beside.
pub(crate) fn place(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = std::path::absolute(folder).map_err(|error| Error::write(folder, error))?;
    let (Some(name), Some(parent)) = (folder.file_name(), folder.parent()) else {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(Error::Write { path: folder, source });
    };
    let beside = |ending: &str| -> PathBuf {
        let mut name = name.to_owned();
        name.push(ending);
        parent.join(name)
    };
    let (new, old) = (beside(".new"), beside(".old"));
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|error| Error::write(to, error));
    if !folder.exists() && old.exists() {
        rename(&old, &folder)?;
    }
    for leftover in [&new, &old] {
        remove(leftover)?;
    }
    std::fs::create_dir_all(&new).map_err(|error| Error::write(&new, error))?;
    let written = fill(&new).and_then(|()| {
        sync(&new)?;
        if folder.exists() {
            rename(&folder, &old)?;
        }
        rename(&new, &folder)?;
        sync(parent)
    });
    if written.is_err() {
        if !folder.exists() && old.exists() {
            rename(&old, &folder)?;
        }
        // The half-written folder only takes the room that was lacking.
        remove(&new).ok();
    }
    written?;
    remove(&old)
}

pub(crate) fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::write(path, error))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_that_was_moved_aside_when_the_process_died_is_put_back_and_not_lost() {
        let home = tempfile::tempdir().unwrap();
        let (folder, old) = (home.path().join("model"), home.path().join("model.old"));
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("weights"), "precious").unwrap();
        let failed = place(&folder, |new| Err(Error::write(new, std::io::ErrorKind::StorageFull.into())));
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(folder.join("weights")).unwrap(), "precious");
        place(&folder, |new| std::fs::write(new.join("weights"), "new").map_err(|e| Error::write(new, e)))
            .unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("weights")).unwrap(), "new");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
