//! Removing what takes long to remove.

use std::{
    io::{ErrorKind, Result},
    path::Path,
};

/// How the names of folders begin that are being removed. What is left of them after a crash can go.
pub const REMOVED: &str = ".removed-";

/// Removes a folder: first it gets another name beside its place, so that its own is free at once and no half of it
/// is ever taken for the whole; then it goes. One that is not there is no error.
pub fn remove_folder(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    // A folder of a random name is made to be replaced by the one that goes.
    let place = tempfile::Builder::new().prefix(REMOVED).tempdir_in(parent);
    let place = match place {
        Ok(place) => place.keep(),
        // On a full disk there may be no room for one more name; then it goes from its own.
        Err(_) => return if_there(std::fs::remove_dir_all(path)),
    };
    let inner = place.join("it");
    let renamed = std::fs::rename(path, &inner);
    let removed = std::fs::remove_dir_all(&place);
    if_there(renamed)?;
    removed
}

/// Removes a file; one that is not there is no error.
pub fn remove_file_if_there(path: &Path) -> Result<()> {
    if_there(std::fs::remove_file(path))
}

fn if_there(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_goes_with_all_in_it_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "x").unwrap();
        remove_folder(&path).unwrap();
        remove_folder(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        remove_file_if_there(&path).unwrap();
    }
}
