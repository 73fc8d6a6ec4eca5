//! A folder that stays the one that was opened, whatever is put into its place meanwhile.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io::{Error, Result},
    path::{Path, PathBuf},
};
#[cfg(unix)]
use std::{os::fd::OwnedFd, path::Component, sync::Arc};

#[cfg(unix)]
use rustix::fs::{Dir, Mode, OFlags, fstat, openat};

use crate::open::refuse_irregular;

/// What tells a file or folder from every other that is there at the same time. Where a system tells nothing of the
/// kind, all are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    pub(crate) fn of(about: &Metadata) -> Identity {
        use std::os::unix::fs::MetadataExt;
        Identity(about.dev(), about.ino())
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> Identity {
        Identity(0, 0)
    }
}

/// A folder that is held open. What is in it is opened from there, part by part and through no link.
#[derive(Debug, Clone)]
pub(crate) struct HeldFolder {
    /// Where it was, without links.
    pub(crate) path: PathBuf,
    identity: Identity,
    #[cfg(unix)]
    opened: Arc<OwnedFd>,
}

/// A folder that is opened to open others from it, which those may do who may not list it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without NONBLOCK, opening a pipe waits; a device may do something.
#[cfg(unix)]
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl HeldFolder {
    /// Holds a folder whose path is without links; one that is a link itself is refused.
    pub(crate) fn of(path: PathBuf) -> Result<HeldFolder> {
        #[cfg(unix)]
        {
            let opened = rustix::fs::open(&path, FOLDER, Mode::empty())?;
            HeldFolder::opened(path, Arc::new(opened))
        }
        #[cfg(not(unix))]
        {
            let about = std::fs::symlink_metadata(&path)?;
            if !about.is_dir() {
                return Err(std::io::ErrorKind::NotADirectory.into());
            }
            Ok(HeldFolder { path, identity: Identity::of(&about) })
        }
    }

    /// Holds a folder in it. The path has no links, and nothing but names.
    pub(crate) fn inner(&self, relative: &Path) -> Result<HeldFolder> {
        let path = self.path.join(relative);
        #[cfg(unix)]
        return HeldFolder::opened(path, walk(&self.opened, relative)?);
        #[cfg(not(unix))]
        HeldFolder::of(path)
    }

    #[cfg(unix)]
    fn opened(path: PathBuf, opened: Arc<OwnedFd>) -> Result<HeldFolder> {
        let about = fstat(&opened)?;
        // The types of these differ by system.
        #[allow(clippy::unnecessary_cast)]
        let identity = Identity(about.st_dev as u64, about.st_ino as u64);
        Ok(HeldFolder { path, identity, opened })
    }

    /// Opens a regular file in it, and tells who owns the folder that it lies in, where the system knows owners. The
    /// path has no links, and nothing but names.
    pub(crate) fn open(&self, relative: &Path) -> Result<(File, Option<u32>)> {
        #[cfg(unix)]
        {
            let (parent, name) = (relative.parent().unwrap_or(Path::new("")), relative.file_name());
            let folder = walk(&self.opened, parent)?;
            let file = openat(&folder, name.unwrap_or_default(), FILE, Mode::empty()).map_err(of_walk)?;
            let file = File::from(file);
            refuse_irregular(&file)?;
            Ok((file, Some(fstat(&folder)?.st_uid)))
        }
        #[cfg(not(unix))]
        {
            let file = crate::open_regular(&self.path.join(relative))?;
            refuse_irregular(&file)?;
            Ok((file, None))
        }
    }

    /// The names of all that is in it.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let listed = openat(&*self.opened, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let mut names = Vec::new();
            for entry in Dir::new(listed)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.push(std::ffi::OsStr::from_bytes(name).to_owned());
                }
            }
            Ok(names)
        }
        #[cfg(not(unix))]
        std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Whether it is where it was.
    pub(crate) fn is_in_its_place(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|about| Identity::of(&about) == self.identity)
    }
}

/// Goes from one folder to another in it.
#[cfg(unix)]
fn walk(from: &Arc<OwnedFd>, relative: &Path) -> Result<Arc<OwnedFd>> {
    let mut folder = from.clone();
    for part in relative.components() {
        let Component::Normal(name) = part else { return Err(changed()) };
        folder = Arc::new(openat(&*folder, name, FOLDER, Mode::empty()).map_err(of_walk)?);
    }
    Ok(folder)
}

/// Where the path had no link when it was looked for, there is one now.
#[cfg(unix)]
fn of_walk(error: rustix::io::Errno) -> Error {
    use rustix::io::Errno;
    match error {
        // Some systems tell so of a link that is not followed.
        Errno::LOOP | Errno::NOTDIR | Errno::MLINK => changed(),
        error => error.into(),
    }
}

pub(crate) fn changed() -> Error {
    Error::other("its folder was changed while it was read; try again once nothing changes it")
}
