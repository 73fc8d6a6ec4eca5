//! Where links may lead.

use std::{
    io::{Error, ErrorKind, Result},
    path::{Path, PathBuf},
};

/// The file that a path leads to, all links followed, where it is a regular file inside one of the folders; every
/// other is refused, whatever it is, since a link in a folder of somebody else's can name any file of the user's.
pub fn resolve_within(path: &Path, folders: &[&Path]) -> Result<PathBuf> {
    let found = path.canonicalize()?;
    let is_inside = folders.iter().any(|folder| {
        folder.canonicalize().is_ok_and(|folder| found.starts_with(&folder) && found != folder)
    });
    if !is_inside {
        return Err(outside());
    }
    if !std::fs::symlink_metadata(&found)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(found)
}

pub(crate) fn outside() -> Error {
    Error::new(ErrorKind::InvalidInput, "it is a link to a file outside the folder, which is not followed")
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_within_the_folders_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in ["model", "blobs", "model-of-another"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("model/plain"), "").unwrap();
        std::fs::write(at("blobs/abc"), "").unwrap();
        std::fs::write(at("model-of-another/key"), "").unwrap();
        std::fs::write(at("key"), "").unwrap();
        symlink("plain", at("model/inner")).unwrap();
        symlink("../blobs/abc", at("model/blob")).unwrap();
        symlink("../key", at("model/outer")).unwrap();
        symlink("outer", at("model/outer-twice")).unwrap();
        symlink("../model-of-another/key", at("model/neighbour")).unwrap();
        symlink("/proc/self/environ", at("model/environ")).unwrap();
        symlink("..", at("model/up")).unwrap();
        let (model, blobs) = (at("model"), at("blobs"));
        let found = |name: &str, folders: &[&Path]| resolve_within(&model.join(name), folders);
        for name in ["plain", "inner"] {
            assert!(found(name, &[&model]).is_ok(), "{name}");
        }
        assert!(found("blob", &[&model]).is_err());
        assert!(found("blob", &[&model, &blobs]).is_ok());
        for name in ["outer", "outer-twice", "neighbour", "environ", "up", "up/key"] {
            assert!(found(name, &[&model, &blobs]).is_err(), "{name}");
        }
    }
}
