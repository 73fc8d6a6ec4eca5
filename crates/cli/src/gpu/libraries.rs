//! Finds CUDA's libraries by their absolute paths, wherever CUDA may have been installed from. Only what no other user
//! of the machine can change is taken, since the engine runs it.

use std::{
    fs::{Metadata, metadata, read_dir, read_to_string},
    path::{Path, PathBuf},
};

use super::places::Places;

const DRIVER: &str = "libcuda.so.1";
/// What candle calls of CUDA 13. Both come from one place, as their versions go together.
const CUDA: [&str; 2] = ["libcublas.so.13", "libcurand.so.10"];

/// Where the loader looks by itself; /etc/ld.so.conf names more.
const LOADERS: [&str; 10] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
];
/// Where some systems keep the driver apart from all other libraries.
const DRIVERS: [&str; 5] = [
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/lib64/nvidia",
    "/usr/lib/nvidia",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
];
/// Lines of the loader's settings that are looked at, against a file that never ends.
const MOST_LINES: usize = 10_000;

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Driver,
    Cuda,
}

/// Where the libraries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libraries {
    /// The folder of cuBLAS and cuRAND, and that of the driver where the loader does not look there by itself.
    pub folders: Vec<PathBuf>,
}

/// The folder of the driver's library.
pub fn driver(places: &Places) -> Option<PathBuf> {
    let usual = DRIVERS.iter().map(PathBuf::from).chain(loaders_folders(places));
    let usual = usual.map(|folder| places.at(&folder));
    places.given.iter().cloned().chain(usual).find(|folder| has(folder, DRIVER))
}

/// Looks for all libraries that the engine for GPUs needs to start.
pub fn libraries(places: &Places) -> Result<Libraries, Missing> {
    let driver = driver(places).ok_or(Missing::Driver)?;
    let all = |folder: &PathBuf| CUDA.iter().all(|name| has(folder, name));
    let cuda = if places.given.is_empty() {
        candidates(places).iter().map(|folder| places.at(folder)).find(all)
    } else {
        places.given.iter().find(|folder| all(folder)).cloned()
    };
    let cuda = cuda.ok_or(Missing::Cuda)?;
    let loaders = loaders_folders(places);
    let is_loaders = |folder: &PathBuf| loaders.iter().any(|known| places.at(known) == *folder);
    // The loader's own folders have much else, which must not go before what is found elsewhere.
    let mut folders: Vec<PathBuf> = [cuda, driver].into_iter().filter(|folder| !is_loaders(folder)).collect();
    folders.dedup();
    Ok(Libraries { folders })
}

/// Where CUDA's libraries may be, the likeliest first: those that came with the program, those that the environment
/// names, those of the system, those of Python's packages.
fn candidates(places: &Places) -> Vec<PathBuf> {
    let mut all = vec![places.own.join("cuda"), places.own.join("../lib/mbti-tuner")];
    let mut toolkits = places.toolkits.clone();
    toolkits.extend(entries(places, "/usr/local", |name| name.starts_with("cuda")));
    toolkits.push(PathBuf::from("/opt/cuda"));
    for toolkit in toolkits {
        all.extend(
            ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"]
                .map(|lib| toolkit.join(lib)),
        );
    }
    all.extend(loaders_folders(places));
    all.extend(pythons(places).iter().map(|packages| packages.join("nvidia/cu13/lib")));
    // A package of conda has them beside all other libraries of the environment.
    all.extend(places.environments.iter().map(|environment| environment.join("lib")));
    all
}

/// The folders of Python's packages: of the environments in use, the user's own, pyenv's, the system's.
fn pythons(places: &Places) -> Vec<PathBuf> {
    let mut prefixes = places.environments.clone();
    if let Some(home) = &places.home {
        prefixes.push(home.join(".local"));
        prefixes.extend(entries(places, home.join(".pyenv/versions"), |_| true));
    }
    prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    let mut all = Vec::new();
    for prefix in prefixes {
        for lib in ["lib", "lib64"] {
            for version in entries(places, prefix.join(lib), |name| name.starts_with("python3")) {
                all.extend(["site-packages", "dist-packages"].map(|packages| version.join(packages)));
            }
        }
    }
    all
}

/// What lies in a folder, by names that are wanted: the newest version, which sorts last, first.
fn entries(places: &Places, folder: impl AsRef<Path>, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let found = read_dir(places.at(folder)).into_iter().flatten().flatten();
    let mut names: Vec<_> = found.map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_str().is_some_and(&wanted));
    names.sort();
    names.iter().rev().map(|name| folder.join(name)).collect()
}

/// Where the loader looks: its own folders, and those that its settings name.
fn loaders_folders(places: &Places) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = LOADERS.iter().map(PathBuf::from).collect();
    let parts = entries(places, "/etc/ld.so.conf.d", |name| name.ends_with(".conf"));
    for settings in std::iter::once(PathBuf::from("/etc/ld.so.conf")).chain(parts) {
        let text = read_to_string(places.at(&settings)).unwrap_or_default();
        let lines = text.lines().take(MOST_LINES).map(|line| line.split('#').next().unwrap_or(line).trim());
        all.extend(lines.filter(|line| line.starts_with('/')).map(PathBuf::from));
    }
    all
}

/// Whether a folder has a library that no stranger can have put there.
fn has(folder: &Path, name: &str) -> bool {
    // A link, as most are, is as safe as the file and the folder that it leads to.
    let Ok(real) = folder.join(name).canonicalize() else { return false };
    let Ok(file) = metadata(&real) else { return false };
    let folders = [Some(folder), real.parent()];
    file.is_file()
        && is_safe(&file)
        && folders.iter().flatten().all(|folder| metadata(folder).is_ok_and(|found| is_safe(&found)))
}

/// Whether only root, we ourselves and a group can write to it.
#[cfg(unix)]
fn is_safe(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let everybody_may_write = found.mode() & 0o002 != 0;
    let known = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    known && !everybody_may_write
}

#[cfg(not(unix))]
fn is_safe(_: &Metadata) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file system with a driver where the loader finds it.
    fn system() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        let places = Places {
            root: root.path().to_owned(),
            own: "/opt/program".into(),
            home: Some("/home/somebody".into()),
            ..Places::default()
        };
        put(&places, "/usr/lib/x86_64-linux-gnu", &[DRIVER]);
        (root, places)
    }

    fn put(places: &Places, folder: &str, names: &[&str]) -> PathBuf {
        let folder = places.at(Path::new(folder));
        std::fs::create_dir_all(&folder).unwrap();
        for name in names {
            std::fs::write(folder.join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn cuda_is_found_wherever_it_may_be_installed() {
        for folder in [
            "/opt/program/cuda",
            "/opt/lib/mbti-tuner",
            "/opt/cuda-by-variable/lib64",
            "/usr/local/cuda-13.1/lib64",
            "/usr/local/cuda/targets/x86_64-linux/lib",
            "/opt/cuda/lib64",
            "/opt/named-by-the-loader",
            "/env/lib/python3.12/site-packages/nvidia/cu13/lib",
            "/env/lib",
            "/home/somebody/.local/lib/python3.11/site-packages/nvidia/cu13/lib",
            "/home/somebody/.pyenv/versions/3.13.1/lib/python3.13/site-packages/nvidia/cu13/lib",
            "/usr/lib/python3.12/dist-packages/nvidia/cu13/lib",
            "/usr/local/lib/python3.12/dist-packages/nvidia/cu13/lib",
        ] {
            let (_root, mut places) = system();
            places.toolkits = vec!["/opt/cuda-by-variable".into()];
            places.environments = vec!["/env".into()];
            put(&places, "/etc/ld.so.conf.d", &[]);
            put(&places, "/opt/program", &[]);
            std::fs::write(
                places.at(Path::new("/etc/ld.so.conf.d/cuda.conf")),
                "# CUDA\n/opt/named-by-the-loader # here\n",
            )
            .unwrap();
            assert_eq!(libraries(&places), Err(Missing::Cuda), "{folder}");
            put(&places, folder, &CUDA[..1]);
            assert_eq!(libraries(&places), Err(Missing::Cuda), "cuBLAS alone in {folder}");
            let lies_at = put(&places, folder, &CUDA);
            let found = libraries(&places).unwrap().folders;
            if folder == "/opt/named-by-the-loader" {
                assert!(found.is_empty(), "the loader looks there by itself");
            } else {
                let found: Vec<_> = found.iter().map(|found| found.canonicalize().unwrap()).collect();
                assert_eq!(found, [lies_at.canonicalize().unwrap()]);
            }
        }
    }

    #[test]
    fn the_newest_toolkit_goes_first_and_the_drivers_own_folder_comes_along() {
        let (root, places) = system();
        std::fs::remove_file(root.path().join("usr/lib/x86_64-linux-gnu").join(DRIVER)).unwrap();
        assert_eq!(libraries(&places), Err(Missing::Driver));
        let driver = put(&places, "/usr/lib/wsl/lib", &[DRIVER]);
        put(&places, "/usr/local/cuda-13.0/lib64", &CUDA);
        let newest = put(&places, "/usr/local/cuda-13.1/lib64", &CUDA);
        assert_eq!(libraries(&places).unwrap().folders, [newest, driver]);
    }

    #[test]
    fn only_folders_that_were_given_are_looked_in_for_cuda() {
        let (root, mut places) = system();
        put(&places, "/usr/local/cuda/lib64", &CUDA);
        let given = root.path().join("given");
        places.given = vec![given.clone()];
        assert_eq!(libraries(&places), Err(Missing::Cuda));
        put(&places, "/given", &CUDA);
        assert_eq!(libraries(&places).unwrap().folders, std::slice::from_ref(&given));
        put(&places, "/given", &[DRIVER]);
        assert_eq!(driver(&places), Some(given));
    }

    #[test]
    fn a_library_that_everybody_may_write_to_is_not_taken() {
        let (_root, places) = system();
        let folder = put(&places, "/usr/local/cuda/lib64", &CUDA);
        let with = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            libraries(&places)
        };
        assert_eq!(with(&folder, 0o777), Err(Missing::Cuda));
        // In a folder like /tmp others cannot take a file away, but they can put one there.
        assert_eq!(with(&folder, 0o1777), Err(Missing::Cuda));
        assert!(with(&folder, 0o775).is_ok());
        assert_eq!(with(&folder.join(CUDA[0]), 0o666), Err(Missing::Cuda));
        assert!(with(&folder.join(CUDA[0]), 0o664).is_ok());
        // A link is as safe as what it leads to.
        let elsewhere = put(&places, "/tmp", &["real.so"]);
        std::fs::remove_file(folder.join(CUDA[1])).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("real.so"), folder.join(CUDA[1])).unwrap();
        assert!(libraries(&places).is_ok());
        assert_eq!(with(&elsewhere, 0o1777), Err(Missing::Cuda));
    }

    #[test]
    fn a_library_of_another_user_is_not_taken() {
        let (_root, places) = system();
        let folder = put(&places, "/usr/local/cuda/lib64", &CUDA);
        // Only root can give a file away; whoever runs the tests as another user has nothing to check here.
        if std::os::unix::fs::chown(folder.join(CUDA[0]), Some(12345), None).is_ok() {
            assert_eq!(libraries(&places), Err(Missing::Cuda));
        }
    }
}
