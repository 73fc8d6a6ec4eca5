//! What other users of the machine cannot change: the engine runs what lies in a folder of libraries, and so does whoever
//! starts the engine. A path is looked at from the root down, each folder and each link of it, so that what was looked at
//! is still there when it is loaded.

use std::{
    fs::{metadata, read_dir},
    path::{Path, PathBuf},
};

use system::{is_closed, resolve};

/// What a folder has of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// It is there, by a path without links.
    Has(PathBuf),
    Lacks,
    /// It is there, and others can change it, its folder, or the way to them.
    Unsafe(PathBuf),
}

/// Folders that some version of glibc looks in below one of libraries, before it looks in that itself. Those of
/// `glibc-hwcaps` have all names.
const VARIANTS: [&str; 8] =
    ["glibc-hwcaps", "tls", "x86_64", "haswell", "xeon_phi", "avx512_1", "aarch64", "atomics"];
const CAPABILITIES: &str = "glibc-hwcaps";
/// As deep as glibc looks: tls/haswell/avx512_1/x86_64.
const LEVELS: usize = 4;

/// Looks for a file in a folder.
pub fn look(folder: &Path, name: &str) -> Look {
    let path = folder.join(name);
    if !path.is_file() {
        return Look::Lacks;
    }
    // A link, as most are, is as safe as the file and the folder that it leads to, and the way there.
    let found = closed_folder(folder).and_then(|_| resolve(&path)).and_then(|real| {
        real.parent().map(closed_folder).transpose()?;
        Ok(real)
    });
    found.map_or_else(Look::Unsafe, Look::Has)
}

/// A folder that others can neither change nor put anything into, by a path without links.
///
/// Errors: what of it, or of the way to it, others can change.
pub fn closed_folder(folder: &Path) -> Result<PathBuf, PathBuf> {
    let real = resolve(folder)?;
    if metadata(&real).is_ok_and(|found| is_closed(&real, &found)) { Ok(real) } else { Err(real) }
}

/// What others can change of the libraries in a folder: where the loader looks in it, it takes any of them, and those in
/// folders for one kind of processor before all others.
pub fn unsafe_library(folder: &Path) -> Option<PathBuf> {
    unsafe_within(folder, LEVELS)
}

fn unsafe_within(folder: &Path, levels: usize) -> Option<PathBuf> {
    names(folder).find_map(|name| {
        let path = folder.join(&name);
        if !path.is_dir() {
            // Nothing else is taken for a library.
            let looked = name.contains(".so").then(|| look(folder, &name))?;
            return if let Look::Unsafe(path) = looked { Some(path) } else { None };
        }
        let is_searched = VARIANTS.contains(&&name[..]) || folder.ends_with(CAPABILITIES);
        match closed_folder(&path) {
            Ok(_) if is_searched && levels > 0 => unsafe_within(&path, levels - 1),
            Ok(_) => None,
            Err(path) => Some(path),
        }
    })
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(unix)]
mod system {
    use std::{
        collections::BTreeSet,
        ffi::OsString,
        fs::{Metadata, read_link, symlink_metadata},
        os::unix::fs::MetadataExt,
        path::{Component, Path, PathBuf},
        sync::OnceLock,
    };

    use super::super::access_list;

    const STICKY: u32 = 0o1000;
    const GROUP_MAY_WRITE: u32 = 0o020;
    const EVERYBODY_MAY_WRITE: u32 = 0o002;
    /// As many links as Linux follows in one path.
    const MOST_LINKS: usize = 40;

    /// Where an absolute path leads, without links.
    ///
    /// Errors: the first thing on the way that others can change, or that cannot be looked at.
    pub fn resolve(path: &Path) -> Result<PathBuf, PathBuf> {
        let mut at = PathBuf::from("/");
        let mut left = parts(path);
        let mut links = 0;
        pass(&at)?;
        // Each is looked at when others can no longer change the folder that it lies in.
        while let Some(part) = left.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(part);
            let Some(to) = pass(&next)? else {
                at = next;
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return Err(next);
            }
            if to.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(parts(&to));
        }
        Ok(at)
    }

    /// The parts of a path, the last first.
    fn parts(path: &Path) -> Vec<OsString> {
        let named = path
            .components()
            .rev()
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        named.map(|part| part.as_os_str().to_owned()).collect()
    }

    /// Where this leads if it is a link.
    ///
    /// Errors: others can put something else into its place.
    fn pass(path: &Path) -> Result<Option<PathBuf>, PathBuf> {
        let refused = || path.to_owned();
        let found = symlink_metadata(path).map_err(|_| refused())?;
        if found.is_symlink() && is_known(found.uid()) {
            return read_link(path).map(Some).map_err(|_| refused());
        }
        // In a folder like /tmp nobody can take away what is another's.
        let keeps_whats_in_it = found.is_dir() && found.mode() & STICKY != 0 && is_known(found.uid());
        if keeps_whats_in_it || is_closed(path, &found) { Ok(None) } else { Err(refused()) }
    }

    /// Whether only those whose it may be, and its group, can write to it.
    pub fn is_closed(path: &Path, found: &Metadata) -> bool {
        // The bits of the group are also the most that an access list grants.
        let others_by_list =
            || found.mode() & GROUP_MAY_WRITE != 0 && access_list::lets_write(path, is_known);
        is_known(found.uid()) && found.mode() & EVERYBODY_MAY_WRITE == 0 && !others_by_list()
    }

    /// Whether it is root, ourselves, or somebody who could change this very program, and with it what runs here anyway: its
    /// owner, or that of a folder it lies in, as in a container whose root has another user's files.
    fn is_known(user: u32) -> bool {
        static KNOWN: OnceLock<BTreeSet<u32>> = OnceLock::new();
        let known = KNOWN.get_or_init(|| {
            let program = std::env::current_exe().unwrap_or_default();
            let own = [0, rustix::process::geteuid().as_raw()];
            own.into_iter().chain(owners(&program)).collect()
        });
        known.contains(&user)
    }

    /// The owners of a file and of all folders that it lies in.
    pub fn owners(path: &Path) -> impl Iterator<Item = u32> {
        path.ancestors().filter_map(|path| symlink_metadata(path).ok()).map(|found| found.uid())
    }
}

#[cfg(not(unix))]
mod system {
    use std::{
        fs::Metadata,
        path::{Path, PathBuf},
    };

    pub fn resolve(path: &Path) -> Result<PathBuf, PathBuf> {
        Ok(path.to_owned())
    }

    pub fn is_closed(_: &Path, _: &Metadata) -> bool {
        true
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{
        fs::{Permissions, create_dir_all, set_permissions, write},
        os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    };

    /// A folder with no links on its way.
    fn root() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        (root, path)
    }

    /// A library, and the folder that it lies in.
    fn library(root: &Path, folder: &str) -> (PathBuf, PathBuf) {
        let folder = root.join(folder);
        create_dir_all(&folder).unwrap();
        let library = folder.join("lib.so");
        write(&library, "").unwrap();
        (folder, library)
    }

    fn set(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_lies_below_a_folder_that_everybody_may_write_to_is_refused_at_any_depth_unless_that_keeps_whats_in_it()
     {
        let (_root, root) = root();
        let (folder, library) = library(&root, "a/b/c");
        assert_eq!(look(&folder, "lib.so"), Look::Has(library.clone()));
        for (above, mode) in [("a", 0o775), ("a/b", 0o775), ("a", 0o1777), ("a/b", 0o1777)] {
            set(&root.join(above), mode);
            assert_eq!(look(&folder, "lib.so"), Look::Has(library.clone()), "{above} {mode:o}");
            set(&root.join(above), 0o755);
        }
        for above in ["a", "a/b"] {
            set(&root.join(above), 0o777);
            assert_eq!(look(&folder, "lib.so"), Look::Unsafe(root.join(above)));
            set(&root.join(above), 0o755);
        }
        // What is not there is not refused.
        set(&root.join("a"), 0o777);
        assert_eq!(look(&folder, "other.so"), Look::Lacks);
    }

    #[test]
    fn links_on_the_way_are_seen_through_and_are_as_safe_as_the_folders_that_they_lie_in() {
        let (_root, root) = root();
        let (_, library) = library(&root, "cuda-13.1/lib");
        symlink("cuda-13.1", root.join("cuda")).unwrap();
        create_dir_all(root.join("open")).unwrap();
        symlink("../cuda/lib", root.join("open/link")).unwrap();
        symlink(root.join("open/link"), root.join("lib")).unwrap();
        for way in ["cuda/lib", "open/link", "lib"] {
            assert_eq!(look(&root.join(way), "lib.so"), Look::Has(library.clone()), "{way}");
        }
        set(&root.join("open"), 0o777);
        for way in ["open/link", "lib"] {
            assert_eq!(look(&root.join(way), "lib.so"), Look::Unsafe(root.join("open")), "{way}");
        }
        // Only the owner can take his link away from here.
        set(&root.join("open"), 0o1777);
        assert_eq!(look(&root.join("lib"), "lib.so"), Look::Has(library));
        symlink("round", root.join("round")).unwrap();
        assert_eq!(resolve(&root.join("round")), Err(root.join("round")));
    }

    #[test]
    fn a_way_through_a_folder_or_a_link_of_another_user_is_refused() {
        let (_root, root) = root();
        let (folder, _) = library(&root, "theirs/lib");
        symlink("theirs/lib", root.join("link")).unwrap();
        // Only root can give something away; whoever runs the tests as another user has nothing to check here.
        if lchown(root.join("link"), Some(12345), None).is_err() {
            return;
        }
        assert_eq!(look(&root.join("link"), "lib.so"), Look::Unsafe(root.join("link")));
        chown(root.join("theirs"), Some(12345), None).unwrap();
        assert_eq!(look(&folder, "lib.so"), Look::Unsafe(root.join("theirs")));
        set(&root.join("theirs"), 0o1755);
        assert_eq!(look(&folder, "lib.so"), Look::Unsafe(root.join("theirs")));
        // Who owns a folder above a program can change the program.
        let owners: Vec<u32> = system::owners(&folder.join("lib.so")).collect();
        assert!(owners.contains(&12345) && owners.contains(&root.metadata().unwrap().uid()), "{owners:?}");
    }

    #[test]
    fn folders_that_an_older_loader_looks_in_first_are_looked_at_as_deep_as_it_looks() {
        for below in ["tls", "x86_64", "tls/haswell/avx512_1/x86_64", "glibc-hwcaps/x86-64-v9"] {
            let (_root, root) = root();
            let (folder, _) = library(&root, "lib");
            let (variant, other) = library(&folder, below);
            assert_eq!(unsafe_library(&folder), None, "{below}");
            for path in [&other, &variant] {
                let before = path.metadata().unwrap().mode();
                set(path, before | 0o002);
                assert_eq!(unsafe_library(&folder).as_ref(), Some(path));
                set(path, before);
            }
        }
        // A folder that no loader is known to look in must be no place where others can put something.
        let (_root, root) = root();
        let (folder, _) = library(&root, "lib");
        let (unknown, other) = library(&folder, "unknown");
        set(&other, 0o666);
        assert_eq!(unsafe_library(&folder), None);
        set(&unknown, 0o777);
        assert_eq!(unsafe_library(&folder), Some(unknown));
        // A folder that leads to itself has an end.
        symlink(".", folder.join("tls")).unwrap();
        set(&folder.join("unknown"), 0o755);
        assert_eq!(unsafe_library(&folder), None);
    }
}
