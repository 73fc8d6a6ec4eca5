//! Writing a file that is whole or absent.

use std::{
    fs::File,
    io::{Error, ErrorKind, Result, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// Who may read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The owner alone, whatever the umask is.
    Owner,
    /// Whom the umask lets.
    Usual,
}

/// A file that is being written beside its place, under a random name that nobody can have put there before. It goes
/// when it is dropped, unless it was put in its place.
#[derive(Debug)]
pub struct Replacement {
    file: NamedTempFile,
    place: PathBuf,
}

impl Replacement {
    pub fn begin(place: &Path, access: Access) -> Result<Replacement> {
        let folder = parent_of(place);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".new-").suffix(".part");
        #[cfg(unix)]
        if access == Access::Usual {
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        #[cfg(not(unix))]
        let _ = access;
        let file = builder.tempfile_in(folder).map_err(without_path)?;
        Ok(Replacement { file, place: place.to_owned() })
    }

    /// The file as it is written.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where it is meanwhile.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs it and puts it in its place, over what may be there; a link there is replaced, not followed.
    pub fn put(self) -> Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.place).map_err(|error| error.error)?;
        sync_folder(&self.place);
        Ok(())
    }

    /// The same where nothing may be replaced: fails with `AlreadyExists` where something is there.
    pub fn put_new(self) -> Result<()> {
        self.file.as_file().sync_all()?;
        match self.file.persist_noclobber(&self.place) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Err(error.error),
            // Some file systems have neither such a renaming nor hard links: there the name is taken by an empty file,
            // which then is ours to be replaced.
            Err(error) => {
                File::options().write(true).create_new(true).open(&self.place)?;
                if let Err(error) = error.file.persist(&self.place) {
                    std::fs::remove_file(&self.place).ok();
                    return Err(error.error);
                }
            }
        }
        sync_folder(&self.place);
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// A folder that is being filled beside its place, under a random name. It goes when it is dropped, unless it was put in
/// its place.
#[derive(Debug)]
pub struct NewFolder {
    folder: tempfile::TempDir,
    place: PathBuf,
}

impl NewFolder {
    pub fn begin(place: &Path) -> Result<NewFolder> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".new-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder.tempdir_in(parent_of(place)).map_err(without_path)?;
        Ok(NewFolder { folder, place: place.to_owned() })
    }

    /// Where it is meanwhile.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts it in its place; fails with `AlreadyExists` where something is there.
    pub fn put_new(self) -> Result<()> {
        if self.place.symlink_metadata().is_ok() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(self.folder.path(), &self.place)?;
        // Under its old name there is nothing to remove any more.
        let _ = self.folder.keep();
        sync_folder(&self.place);
        Ok(())
    }
}

/// The same error without the random name that something was to have, which is nothing to the user.
pub fn without_path(error: Error) -> Error {
    if error.get_ref().is_some() && error.kind() != ErrorKind::Other { error.kind().into() } else { error }
}

/// What helps where something cannot be written: only a full disk is made good by room on it.
pub fn advice_to_write(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "Make room on the disk, or choose another place."
        }
        ErrorKind::NotFound => "A folder of that path is not there: make it, or choose another place.",
        ErrorKind::AlreadyExists => "What is there stays as it is: choose another name.",
        ErrorKind::PermissionDenied => "Choose a place where you may write, or get the right to write there.",
        ErrorKind::ReadOnlyFilesystem => "Choose a place on a disk that takes writing.",
        ErrorKind::NotADirectory => "A part of that path is no folder: choose another place.",
        ErrorKind::InvalidFilename => "Choose a shorter or plainer name.",
        _ => "Check the place, or choose another.",
    }
}

/// Writes a whole file at once.
pub fn replace(place: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let mut new = Replacement::begin(place, access)?;
    new.write_all(bytes)?;
    new.put()
}

/// A name is in a folder for certain only once the folder is synced, too; where folders cannot be, there is no need.
pub fn sync_folder(of: &Path) {
    File::open(parent_of(of)).and_then(|folder| folder.sync_all()).ok();
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_new_folder_takes_a_free_place_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("model");
        for name in ["model.new", "model.old"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let begin = || {
            let new = NewFolder::begin(&place).unwrap();
            std::fs::write(new.path().join("weights"), "new").unwrap();
            new
        };
        drop(begin());
        assert!(!place.exists());
        begin().put_new().unwrap();
        assert_eq!(begin().put_new().unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(place.join("weights")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.json");
        replace(&place, b"old", Access::Owner).unwrap();
        let mut half = Replacement::begin(&place, Access::Usual).unwrap();
        half.write_all(b"ha").unwrap();
        drop(half);
        assert_eq!(std::fs::read(&place).unwrap(), b"old");
        replace(&place, b"new", Access::Owner).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"new");
        let error = Replacement::begin(&place, Access::Usual).unwrap().put_new().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_full_disk_asks_for_room_and_no_message_shows_a_random_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not-there/x");
        let errors = [
            Replacement::begin(&missing, Access::Usual).unwrap_err(),
            NewFolder::begin(&missing).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(!error.to_string().contains(".new-"), "{error}");
            assert!(advice_to_write(&error).contains("not there"));
        }
        for kind in
            [ErrorKind::NotFound, ErrorKind::AlreadyExists, ErrorKind::PermissionDenied, ErrorKind::Other]
        {
            assert!(!advice_to_write(&kind.into()).contains("room"), "{kind}");
        }
        assert!(advice_to_write(&ErrorKind::StorageFull.into()).contains("room"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_is_replaced_and_what_it_leads_to_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (other, place) = (folder.path().join("other"), folder.path().join("place"));
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &place).unwrap();
        replace(&place, b"new", Access::Owner).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"precious");
        let about = std::fs::symlink_metadata(&place).unwrap();
        assert!(about.is_file() && about.permissions().mode() & 0o777 == 0o600);
    }
}
