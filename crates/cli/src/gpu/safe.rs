//! What other users of the machine cannot change: the engine runs what lies in a folder of libraries, and so does whoever
//! starts the engine.

use std::{
    fs::{Metadata, metadata, read_dir},
    path::{Path, PathBuf},
};

/// What a folder has of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    Has,
    Lacks,
    /// It is there, and others can change it or this folder.
    Unsafe(PathBuf),
}

/// Looks for a file in a folder.
pub fn look(folder: &Path, name: &str) -> Look {
    let path = folder.join(name);
    // A link, as most are, is as safe as the file and the folder that it leads to.
    let Some(real) = path.canonicalize().ok().filter(|real| real.is_file()) else { return Look::Lacks };
    let all = [Some(folder), real.parent(), Some(&real)];
    match all.into_iter().flatten().find(|path| !is_safe_at(path)) {
        Some(path) => Look::Unsafe(path.to_owned()),
        None => Look::Has,
    }
}

/// What others can change of the libraries in a folder: where the loader looks in it, it takes any of them, and those in
/// `glibc-hwcaps`, made for one kind of processor, before all others.
pub fn unsafe_library(folder: &Path) -> Option<PathBuf> {
    let variants = folder.join("glibc-hwcaps");
    let of_processors = names(&variants).map(|name| variants.join(name)).filter(|path| path.is_dir());
    let added = std::iter::once(variants.clone()).filter(|path| path.is_dir()).chain(of_processors);
    let added: Vec<PathBuf> = added.collect();
    if let Some(path) = added.iter().find(|path| !is_safe_at(path)) {
        return Some(path.clone());
    }
    std::iter::once(folder).chain(added.iter().map(PathBuf::as_path)).find_map(unsafe_file)
}

/// The first library that lies in a folder and that others can change.
fn unsafe_file(folder: &Path) -> Option<PathBuf> {
    let libraries = names(folder).filter(|name| name.contains(".so"));
    let mut found = libraries.map(|name| look(folder, &name));
    found.find_map(|found| if let Look::Unsafe(path) = found { Some(path) } else { None })
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn is_safe_at(path: &Path) -> bool {
    metadata(path).is_ok_and(|found| is_safe(&found))
}

/// Whether only root, we ourselves, a group, and whoever owns this program can write to it: the owner can change what runs
/// here anyway, as in a container whose root has another user's files.
#[cfg(unix)]
fn is_safe(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = || std::env::current_exe().and_then(metadata).map(|program| program.uid());
    let everybody_may_write = found.mode() & 0o002 != 0;
    let known = found.uid() == 0
        || found.uid() == rustix::process::geteuid().as_raw()
        || owner().is_ok_and(|owner| owner == found.uid());
    known && !everybody_may_write
}

#[cfg(not(unix))]
fn is_safe(_: &Metadata) -> bool {
    true
}
