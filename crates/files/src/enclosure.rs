//! A folder that somebody else has filled, and where links in it may lead.

use std::{
    ffi::OsString,
    fs::File,
    io::{Error, ErrorKind, Read, Result},
    path::{Path, PathBuf},
};

use crate::{
    held::{HeldFolder, Identity, changed},
    within::outside,
};

/// A folder of somebody else's. Its files are opened by their names; links are followed to files within it and,
/// where it is a snapshot in a cache of Hugging Face's (`models--NAME/snapshots/COMMIT`) or a folder in one, to that
/// cache's blobs. Every other link is refused, since it could lead to any file of the user's.
///
/// The folder is held open, so that all that is read is of this one, whatever is put into its place meanwhile.
#[derive(Debug, Clone)]
pub struct Enclosure {
    folder: PathBuf,
    /// The folder itself and, where there are any, the blobs.
    within: Vec<HeldFolder>,
}

/// A file as it was when it was looked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which of the folders it lies in, and where.
    within: usize,
    relative: PathBuf,
    identity: Identity,
    /// Without links.
    path: PathBuf,
}

impl Enclosure {
    /// The folder may be a link itself: the user has named it.
    pub fn of(folder: &Path) -> Result<Enclosure> {
        let whole = folder.canonicalize()?;
        let blobs = blobs_of(&whole);
        let mut within = vec![HeldFolder::of(whole)?];
        // Blobs that are a link could be any folder of the user's, and are not held.
        within.extend(blobs.and_then(|blobs| HeldFolder::of(blobs).ok()));
        Ok(Enclosure { folder: folder.to_owned(), within })
    }

    /// A folder in this one, which may not be a link that leads out of it.
    pub fn inner(&self, name: &str) -> Result<Enclosure> {
        let outer = &self.within[0];
        let found = outer.path.join(name).canonicalize()?;
        let relative = found.strip_prefix(&outer.path).map_err(|_| outside())?;
        let blobs = self.within[1..].iter().cloned();
        let within = std::iter::once(outer.inner(relative)?).chain(blobs).collect();
        Ok(Enclosure { folder: self.folder.join(name), within })
    }

    /// The folder as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether there is anything of this name, also a link that leads nowhere.
    pub fn has(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// The names of all that is in it.
    pub fn names(&self) -> Result<Vec<OsString>> {
        self.within[0].names()
    }

    /// The regular file that a name leads to.
    ///
    /// # Errors
    /// `NotFound`, and `InvalidInput` where it is none, or where a link leads outside.
    pub fn find(&self, name: impl AsRef<Path>) -> Result<Found> {
        let path = self.within[0].path.join(name).canonicalize()?;
        let inside = self.within.iter().enumerate().find_map(|(place, folder)| {
            let relative = path.strip_prefix(&folder.path).ok()?;
            (relative != Path::new("")).then(|| (place, relative.to_owned()))
        });
        let (within, relative) = inside.ok_or_else(outside)?;
        let about = std::fs::symlink_metadata(&path)?;
        if !about.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Found { within, relative, identity: Identity::of(&about), path })
    }

    /// Opens what was found, and nothing else that has come into its place or into that of a folder above it.
    ///
    /// # Errors
    /// Where it was changed meanwhile, and `InvalidInput` where it is another name of a file of somebody else's.
    pub fn open_found(&self, found: &Found) -> Result<File> {
        let (file, _folder_owner) = self.within[found.within].open(&found.relative)?;
        let about = file.metadata()?;
        if Identity::of(&about) != found.identity {
            return Err(changed());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if _folder_owner.is_some_and(|owner| is_planted(about.nlink(), about.uid(), owner)) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "it is a hard link to a file of another user than its folder's",
                ));
            }
        }
        Ok(file)
    }

    /// The path of the regular file that a name leads to, without links.
    pub fn resolve(&self, name: &str) -> Result<PathBuf> {
        Ok(self.find(name)?.path)
    }

    /// Finds the regular file that a name leads to, and opens it.
    pub fn open(&self, name: &str) -> Result<File> {
        self.open_found(&self.find(name)?)
    }

    /// An error where another folder was put into the place of this one meanwhile.
    pub fn check_in_its_place(&self) -> Result<()> {
        if self.within[0].is_in_its_place() { Ok(()) } else { Err(changed()) }
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
    let snapshots = folder.ancestors().skip(1).find(|above| above.ends_with("snapshots"))?;
    let repository = snapshots.parent()?;
    let name = repository.file_name()?.to_string_lossy();
    (name.starts_with("models--") || name.starts_with("datasets--")).then(|| repository.join("blobs"))
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

    #[test]
    fn what_has_come_into_the_place_of_what_was_found_is_not_opened() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["folder/inner", "outside"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["folder/a", "folder/inner/b", "outside/a", "outside/b", "other"] {
            std::fs::write(at(name), name).unwrap();
        }
        let exchange = |place: &str, with: &str| {
            std::fs::rename(at(place), at("aside")).unwrap();
            std::fs::rename(at(with), at(place)).unwrap();
            std::fs::rename(at("aside"), at(with)).unwrap();
        };
        symlink("../outside/a", at("file-link")).unwrap();
        symlink("../outside", at("folder-link")).unwrap();
        let enclosure = Enclosure::of(&at("folder")).unwrap();
        for (name, place, with) in [
            ("a", "folder/a", "file-link"),
            ("a", "folder/a", "other"),
            ("inner/b", "folder/inner", "folder-link"),
            ("inner/b", "folder/inner", "outside"),
        ] {
            let found = enclosure.find(name).unwrap();
            exchange(place, with);
            let error = enclosure.open_found(&found).unwrap_err();
            assert!(error.to_string().contains("was changed"), "{with}: {error}");
            exchange(place, with);
            assert!(enclosure.open_found(&found).is_ok(), "{with}");
        }
    }

    #[test]
    fn all_that_is_read_is_of_the_folder_that_was_named_also_where_another_comes_into_its_place() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["one", "two"] {
            std::fs::create_dir(at(name)).unwrap();
            for file in ["config.json", "weights"] {
                std::fs::write(at(name).join(file), name).unwrap();
            }
        }
        std::fs::write(at("two/LICENSE"), "two").unwrap();
        let enclosure = Enclosure::of(&at("one")).unwrap();
        assert_eq!(enclosure.read("config.json", 9).unwrap(), b"one");
        let found = enclosure.find("weights").unwrap();
        std::fs::rename(at("one"), at("aside")).unwrap();
        std::fs::rename(at("two"), at("one")).unwrap();
        let mut text = String::new();
        enclosure.open_found(&found).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        let mut names = enclosure.names().unwrap();
        names.sort();
        assert_eq!(names, ["config.json", "weights"]);
        for name in ["weights", "LICENSE"] {
            assert!(enclosure.open(name).is_err(), "{name} is of the other folder");
        }
        assert!(enclosure.check_in_its_place().is_err());
        std::fs::rename(at("one"), at("two")).unwrap();
        std::fs::rename(at("aside"), at("one")).unwrap();
        assert!(enclosure.check_in_its_place().is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn while_a_file_is_exchanged_with_a_link_nothing_outside_is_ever_read() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use std::sync::atomic::{AtomicBool, Ordering};
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("folder/a"), "inside").unwrap();
        std::fs::write(at("secret"), "secret").unwrap();
        symlink("secret", at("link")).unwrap();
        let exchange = || renameat_with(CWD, at("folder/a"), CWD, at("link"), RenameFlags::EXCHANGE);
        if exchange().is_err() {
            println!("NOT TESTED: this file system exchanges no names");
            return;
        }
        exchange().unwrap();
        let enclosure = Enclosure::of(&at("folder")).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    exchange().unwrap();
                }
            });
            let read: Vec<_> = (0..5000).filter_map(|_| enclosure.read("a", 9).ok()).collect();
            done.store(true, Ordering::Relaxed);
            assert!(read.iter().all(|bytes| bytes == b"inside"));
        });
    }
}
