//! A folder that somebody else has filled, and where links in it may lead.

use std::{
    fs::File,
    io::{Error, ErrorKind, Read, Result},
    path::{Path, PathBuf},
};

use crate::{open_regular, resolve_within, within::outside};

/// A folder of somebody else's. Its files are opened by their names; links are followed to files within it and,
/// where it is a snapshot in a cache of Hugging Face's (`models--NAME/snapshots/COMMIT`), to that cache's blobs.
/// Every other link is refused, since it could lead to any file of the user's.
#[derive(Debug, Clone)]
pub struct Enclosure {
    folder: PathBuf,
    /// The folder itself and, where there are any, the blobs; all without links.
    within: Vec<PathBuf>,
}

impl Enclosure {
    /// The folder may be a link itself: the user has named it.
    pub fn of(folder: &Path) -> Result<Enclosure> {
        let whole = folder.canonicalize()?;
        let mut within = vec![whole.clone()];
        // Blobs that are a link could be any folder of the user's.
        let is_folder = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
        within.extend(blobs_of(&whole).filter(is_folder));
        Ok(Enclosure { folder: folder.to_owned(), within })
    }

    /// A folder in this one, which may not be a link that leads out of it.
    pub fn inner(&self, name: &str) -> Result<Enclosure> {
        let inner = Enclosure::of(&self.folder.join(name))?;
        let [outer, found] = [self, &inner].map(|enclosure| &enclosure.within[0]);
        if found.starts_with(outer) { Ok(inner) } else { Err(outside()) }
    }

    /// The folder as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether there is anything of this name, also a link that leads nowhere.
    pub fn has(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// The regular file that a name leads to, without links.
    pub fn resolve(&self, name: &str) -> Result<PathBuf> {
        let folders: Vec<&Path> = self.within.iter().map(PathBuf::as_path).collect();
        resolve_within(&self.path(name), &folders)
    }

    /// Opens the regular file that a name leads to.
    ///
    /// # Errors
    /// `NotFound`, and `InvalidInput` where it is none, where a link leads outside, or where it is another name of a
    /// file of somebody else's.
    pub fn open(&self, name: &str) -> Result<File> {
        let found = self.resolve(name)?;
        let file = open_regular(&found)?;
        // Between looking and opening a part of the path may have become a link. What was opened has to be what is
        // inside still.
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let opened = file.metadata()?;
            let seen = std::fs::symlink_metadata(self.resolve(name)?)?;
            if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
                return Err(Error::new(ErrorKind::InvalidInput, "it is being changed; try again"));
            }
            let folder = found.parent().unwrap_or(&self.within[0]);
            let owner = std::fs::symlink_metadata(folder)?.uid();
            if is_planted(opened.nlink(), opened.uid(), owner) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "it is a hard link to a file of another user than its folder's",
                ));
            }
        }
        Ok(file)
    }

    /// The bytes of a file that has at most `limit` of them.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let file = self.open(name)?;
        let length = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(limit)).unwrap_or(0));
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(crate::open::too_large(limit)) } else { Ok(bytes) }
    }
}

/// Whether a neighbour may have given a file of somebody else's a further name in a folder of their own, which some
/// systems let them do with a file that they may not even read.
#[cfg(unix)]
fn is_planted(names: u64, owner: u32, folder_owner: u32) -> bool {
    names > 1 && owner != folder_owner
}

/// The blobs of the cache that a folder without links is a snapshot in, or a folder of such a snapshot.
fn blobs_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().take(3).find_map(|snapshot| {
        let snapshots = snapshot.parent().filter(|parent| parent.ends_with("snapshots"))?;
        let repository = snapshots.parent()?;
        let is_model = repository.file_name()?.to_string_lossy().starts_with("models--");
        is_model.then(|| repository.join("blobs"))
    })
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_snapshot_of_a_cache_leads_to_its_own_blobs_and_to_no_other_cache() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in
            ["models--a--b/blobs", "models--a--b/snapshots/c0ffee/0_Transformer", "models--a--c/blobs"]
        {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("models--a--b/blobs/1"), "blob").unwrap();
        std::fs::write(at("models--a--c/blobs/2"), "another").unwrap();
        let snapshot = at("models--a--b/snapshots/c0ffee");
        symlink("../../blobs/1", snapshot.join("config.json")).unwrap();
        symlink("../../../blobs/1", snapshot.join("0_Transformer/config.json")).unwrap();
        symlink("../../../models--a--c/blobs/2", snapshot.join("LICENSE")).unwrap();
        let outer = Enclosure::of(&snapshot).unwrap();
        let inner = outer.inner("0_Transformer").unwrap();
        for enclosure in [&outer, &inner, &Enclosure::of(inner.folder()).unwrap()] {
            assert_eq!(enclosure.read("config.json", 4).unwrap(), b"blob");
            assert_eq!(enclosure.read("config.json", 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
        assert!(outer.open("LICENSE").unwrap_err().to_string().contains("outside the folder"));
        // Blobs that are a link themselves.
        std::fs::create_dir_all(at("models--a--d/snapshots/c0ffee")).unwrap();
        symlink("../models--a--c/blobs", at("models--a--d/blobs")).unwrap();
        let snapshot = at("models--a--d/snapshots/c0ffee");
        symlink("../../blobs/2", snapshot.join("LICENSE")).unwrap();
        assert!(Enclosure::of(&snapshot).unwrap().open("LICENSE").is_err());
        // The same links where no cache is.
        let plain = at("plain");
        std::fs::create_dir(&plain).unwrap();
        symlink("../models--a--b/blobs/1", plain.join("config.json")).unwrap();
        assert!(Enclosure::of(&plain).unwrap().open("config.json").is_err());
    }

    #[test]
    fn a_folder_that_is_a_link_is_taken_where_the_user_names_it_and_refused_inside() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["secret", "model/inner"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("secret/key"), "key").unwrap();
        std::fs::write(at("model/inner/key"), "own").unwrap();
        symlink("../secret", at("model/outer")).unwrap();
        symlink("inner", at("model/same")).unwrap();
        symlink("model", at("named")).unwrap();
        let named = Enclosure::of(&at("named")).unwrap();
        assert!(named.inner("outer").is_err());
        assert_eq!(named.inner("same").unwrap().read("key", 9).unwrap(), b"own");
        assert!(named.has("outer") && !named.has("none"));
        assert_eq!(named.open("none").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn only_a_further_name_of_somebody_elses_file_is_taken_for_a_planted_one() {
        assert!(is_planted(2, 1000, 1001));
        assert!(!is_planted(2, 1000, 1000), "files that a tool keeps once for several folders");
        assert!(!is_planted(1, 0, 1000), "a file that the system's own cache holds");
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "x").unwrap();
        std::fs::hard_link(root.path().join("a"), root.path().join("b")).unwrap();
        assert_eq!(Enclosure::of(root.path()).unwrap().read("b", 9).unwrap(), b"x");
    }
}
