//! Tokens in files: the program's own, which only its owner may read, and Hugging Face's.

use std::{
    io::{Error as IoError, ErrorKind},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{Token, settings::Variables, settings::hf_home};
use crate::error::{Error, Result};

/// The most that a file with a token in it may hold.
const LONGEST: u64 = 64 << 10;

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

/// The token in the program's own file. A link in its place or in that of its folder is refused: this program makes
/// none, and what somebody else's leads to is none of its business.
pub(super) fn read_own(path: &Path) -> Result<Option<Token>> {
    refuse_links(path).map_err(|error| Error::read(path, error))?;
    Ok(text(path)?.and_then(|text| Token::from_kept(&text).ok()))
}

/// The token in a file of Hugging Face's, or none where it is not there or holds nothing that could be one. Links
/// are followed, since people do link theirs.
pub(super) fn read_theirs(path: &Path) -> Result<Option<Token>> {
    Ok(text(path)?.and_then(|text| Token::parse(&text).ok()))
}

fn text(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match files::read_text_limited(path, LONGEST) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        // One that others keep and that may not be read is as good as none.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(super) fn write(path: &Path, token: &Token) -> Result<()> {
    files::make_private_folder(path.parent().unwrap_or(path))
        .and_then(|()| files::replace(path, token.to_line().as_bytes(), files::Access::Owner))
        .map_err(|error| Error::write(path, error))
}

/// Tells whether there was a file to remove.
pub(super) fn remove(path: &Path) -> Result<bool> {
    // A link in the file's own place goes by itself; through one in its folder's, somebody else's file would.
    let folder = path.parent().unwrap_or(path);
    let was = refuse_link(folder).map(|()| std::fs::symlink_metadata(path).is_ok());
    was.and_then(|was| files::remove_file_if_there(path).map(|()| was))
        .map_err(|error| Error::write(path, error))
}

fn refuse_links(path: &Path) -> std::io::Result<()> {
    refuse_link(path.parent().unwrap_or(path))?;
    refuse_link(path)
}

fn refuse_link(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => {
            let reason = format!("{} is a link, which this program does not make", path.display());
            Err(IoError::new(ErrorKind::InvalidInput, reason))
        }
        // Whatever else is there, or not, is for whoever opens it.
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn token() -> Token {
        Token::parse("hf_new").unwrap().given_for("https://hub.example")
    }

    #[test]
    fn only_the_owner_may_read_the_file_and_its_folder_whatever_was_there_before() {
        let home = tempfile::tempdir().unwrap();
        let path = own(home.path());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::write(&path, "old").unwrap();
        // Where the program once wrote beside, somebody may have put a link to a file of the user's.
        let precious = home.path().join("precious");
        std::fs::write(&precious, "mine").unwrap();
        symlink(&precious, path.with_extension("new")).unwrap();
        write(&path, &token()).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read_own(&path).unwrap(), Some(token()));
        assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_or_the_file_is_neither_followed_nor_changed() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (own(home.path()), home.path().join("other"));
        std::fs::create_dir(&other).unwrap();
        std::fs::set_permissions(&other, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(other.join("token"), "hf_planted https://hub.example").unwrap();
        symlink(&other, path.parent().unwrap()).unwrap();
        assert!(read_own(&path).unwrap_err().to_string().contains("is a link"));
        assert!(write(&path, &token()).is_err());
        assert!(remove(&path).is_err());
        assert_eq!(mode(&other), 0o755);
        assert!(std::fs::read_to_string(other.join("token")).unwrap().starts_with("hf_planted"));

        std::fs::remove_file(path.parent().unwrap()).unwrap();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        symlink(other.join("token"), &path).unwrap();
        assert!(read_own(&path).is_err());
        write(&path, &token()).unwrap();
        assert_eq!(read_own(&path).unwrap(), Some(token()), "a new file took the link's place");
        assert!(std::fs::read_to_string(other.join("token")).unwrap().starts_with("hf_planted"));
    }

    #[test]
    fn pipes_and_endless_files_in_a_tokens_place_are_told_of_at_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        let make_pipe = || {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        };
        make_pipe();
        assert!(read_own(&path).is_err());
        assert!(read_theirs(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert!(read_theirs(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x".repeat(LONGEST as usize + 1)).unwrap();
        assert!(read_own(&path).is_err());
    }
}
