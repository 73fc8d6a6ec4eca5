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

/// The first library in a folder that others can change: where the loader looks in it, it takes any of them.
pub fn unsafe_library(folder: &Path) -> Option<PathBuf> {
    let names = read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let libraries = names.filter_map(|name| name.into_string().ok()).filter(|name| name.contains(".so"));
    let mut found = libraries.map(|name| look(folder, &name));
    found.find_map(|found| if let Look::Unsafe(path) = found { Some(path) } else { None })
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
