//! Tokens in files: the program's own, which only its owner may read, and Hugging Face's.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use super::{Token, settings::Variables, settings::hf_home};
use crate::error::{Error, Result};

/// The folder is the file's own, so that both can be closed to everybody else.
pub(super) fn own(home: &Path) -> PathBuf {
    home.join("secret").join("token")
}

/// Where `huggingface_hub` keeps its token: `HF_TOKEN_PATH`, else `token` in its home.
pub(super) fn of_hugging_face(variables: &Variables) -> Option<PathBuf> {
    variables("HF_TOKEN_PATH")
        .map(PathBuf::from)
        .or_else(|| hf_home(variables).map(|home| home.join("token")))
}

/// The token in a file; none where the file is not there or holds nothing that could be one.
pub(super) fn read(path: &Path) -> Result<Option<Token>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Token::parse(&zeroize::Zeroizing::new(text)).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // One that others keep and that may not be read is as good as none.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Writes a file that only its owner may read, whole or not at all: beside its place, synced, renamed.
pub(super) fn write(path: &Path, token: &Token) -> Result<()> {
    let failed = |error| Error::write(path, error);
    let folder = path.parent().unwrap_or(path);
    closed_folder(folder).map_err(failed)?;
    let new = path.with_extension("new");
    std::fs::remove_file(&new).or_else(ignore_absent).map_err(failed)?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(token.reveal().as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| std::fs::rename(&new, path));
    if done.is_err() {
        std::fs::remove_file(&new).ok();
    }
    done.map_err(failed)?;
    // The name is in the folder only once that is synced, too; where folders cannot be, there is no need.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
    Ok(())
}

fn closed_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // One that was there before may be open to others.
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// Tells whether there was a file to remove.
pub(super) fn remove(path: &Path) -> Result<bool> {
    let was = path.exists();
    std::fs::remove_file(path).or_else(ignore_absent).map_err(|error| Error::write(path, error))?;
    Ok(was)
}

fn ignore_absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_may_read_the_file_and_its_folder_whatever_was_there_before() {
        let home = tempfile::tempdir().unwrap();
        let path = own(home.path());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::write(&path, "old").unwrap();
        std::fs::write(path.with_extension("new"), "left by a crash").unwrap();
        write(&path, &Token::parse("hf_new").unwrap()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read(&path).unwrap().unwrap().reveal(), "hf_new");
        assert!(!path.with_extension("new").exists());
    }
}
