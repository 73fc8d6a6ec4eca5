//! Finds CUDA's libraries by their absolute paths, wherever CUDA may have been installed from. Only what no other user
//! of the machine can change is taken, since the engine runs it.

use std::{
    fs::{read_dir, read_to_string},
    path::{Path, PathBuf},
};

use record::Unusable;

use super::{
    places::Places,
    safe::{Look, closed_folder, look, unsafe_library},
    start::can_be_told,
};

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

/// Where the libraries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libraries {
    /// The folder of cuBLAS and cuRAND, and that of the driver where the loader does not look there by itself.
    pub folders: Vec<PathBuf>,
}

/// The folder of the driver's library.
pub fn driver(places: &Places) -> Result<PathBuf, Unusable> {
    let usual = DRIVERS.iter().map(PathBuf::from).chain(loaders_folders(places));
    let usual = usual.map(|folder| places.at(&folder));
    let mut refused = None;
    for folder in absolute(places).cloned().chain(usual) {
        match look(&folder, DRIVER) {
            Look::Has(_) => return Ok(folder),
            Look::Lacks => {}
            Look::Unsafe(path) => refused = refused.or(Some(path)),
        }
    }
    // A folder for CUDA's libraries alone need not have the driver, which is the system's then.
    let has_cuda = |folder: &&PathBuf| lacks(folder, &CUDA).is_empty();
    let all = [DRIVER, CUDA[0], CUDA[1]];
    let meant =
        if absolute(places).any(|folder| has_cuda(&folder)) { None } else { wrong_folder(places, &all) };
    Err(mistakes(places).next().or(refused.map(unsafe_at)).or(meant).unwrap_or(Unusable::NoDriver))
}

/// Looks for all libraries that the engine for GPUs needs to start.
pub fn libraries(places: &Places) -> Result<Libraries, Unusable> {
    let driver = driver(places)?;
    let loaders: Vec<PathBuf> = loaders_folders(places).iter().map(|folder| places.at(folder)).collect();
    let (mut folders, mut refused) = (None, None);
    let candidates = match places.given.is_empty() {
        true => candidates(places).iter().map(|folder| places.at(folder)).collect(),
        false => absolute(places).cloned().collect::<Vec<_>>(),
    };
    for cuda in candidates {
        match whole(&cuda, &driver, &loaders) {
            Ok(found) => folders = found,
            Err(why) => refused = refused.or(Some(why)),
        }
        if folders.is_some() {
            break;
        }
    }
    let why = || mistakes(places).next().or(refused).or_else(|| wrong_folder(places, &CUDA));
    let folders = folders.ok_or_else(|| why().unwrap_or(Unusable::NoLibraries))?;
    Ok(Libraries { folders })
}

/// The folders that the loader has to be told of, by paths without links, if this one has CUDA's libraries. The loader's
/// own folders have much else, which must not go before what is found elsewhere.
///
/// Errors: others can change something of them, or the loader cannot be told of one.
fn whole(cuda: &Path, driver: &Path, loaders: &[PathBuf]) -> Result<Option<Vec<PathBuf>>, Unusable> {
    for name in CUDA {
        match look(cuda, name) {
            Look::Has(_) => {}
            Look::Lacks => return Ok(None),
            Look::Unsafe(path) => return Err(unsafe_at(path)),
        }
    }
    let told = [cuda, driver].into_iter().filter(|folder| !loaders.iter().any(|known| known == folder));
    let mut folders = told.map(closed_folder).collect::<Result<Vec<_>, _>>().map_err(unsafe_at)?;
    folders.dedup();
    if let Some(folder) = folders.iter().find(|folder| !can_be_told(folder)) {
        return Err(Unusable::FolderName { folder: folder.display().to_string() });
    }
    match folders.iter().find_map(|folder| unsafe_library(folder)) {
        Some(path) => Err(unsafe_at(path)),
        None => Ok(Some(folders)),
    }
}

/// What is wrong with the folders that were given, whatever they have in them.
pub fn mistakes(places: &Places) -> impl Iterator<Item = Unusable> {
    places.given.iter().filter_map(|given| {
        let folder = given.display().to_string();
        match (given.is_absolute(), given.is_dir()) {
            (false, _) => Some(Unusable::FolderNotAbsolute { folder }),
            (true, false) => Some(Unusable::FolderMissing { folder }),
            (true, true) => None,
        }
    })
}

/// Of the folders that were given the one that lacks the fewest of these libraries, the first of equals.
fn wrong_folder(places: &Places, names: &[&'static str]) -> Option<Unusable> {
    let all = absolute(places).map(|folder| (folder, lacks(folder, names)));
    let (folder, library) = all.min_by_key(|(_, lacks)| lacks.len())?;
    Some(Unusable::FolderLacks { folder: folder.display().to_string(), library: library.join(", ") })
}

fn lacks(folder: &Path, names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| look(folder, name) == Look::Lacks).collect()
}

/// The folders that were given so that it is clear where they are.
fn absolute(places: &Places) -> impl Iterator<Item = &PathBuf> {
    places.given.iter().filter(|folder| folder.is_absolute())
}

fn unsafe_at(path: PathBuf) -> Unusable {
    Unusable::Unsafe { path: path.display().to_string() }
}

/// The engine for GPUs beside this program, by a path without links.
pub fn engine(places: &Places) -> Result<PathBuf, Unusable> {
    let (folder, name) = places.engine();
    match look(&folder, &name) {
        Look::Has(program) => Ok(program),
        Look::Lacks => Err(Unusable::NoEngine),
        Look::Unsafe(path) => Err(unsafe_at(path)),
    }
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

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file system with a driver where the loader finds it.
    fn system() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir_in(std::env::temp_dir().canonicalize().unwrap()).unwrap();
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
            assert_eq!(libraries(&places), Err(Unusable::NoLibraries), "{folder}");
            put(&places, folder, &CUDA[..1]);
            assert_eq!(libraries(&places), Err(Unusable::NoLibraries), "cuBLAS alone in {folder}");
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
        assert_eq!(libraries(&places), Err(Unusable::NoDriver));
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
        put(&places, "/given", &CUDA);
        assert_eq!(libraries(&places).unwrap().folders, std::slice::from_ref(&given));
        put(&places, "/given", &[DRIVER]);
        assert_eq!(driver(&places), Ok(given));
    }

    #[test]
    fn of_the_folders_that_were_given_it_is_told_which_cannot_be_used_and_why() {
        let (root, mut places) = system();
        put(&places, "/usr/local/cuda/lib64", &CUDA);
        let text = |path: &Path| path.display().to_string();
        let lacks = |folder: &Path, library: &str| {
            Err(Unusable::FolderLacks { folder: text(folder), library: library.into() })
        };
        let given = root.path().join("given");
        places.given = vec![given.clone()];
        assert_eq!(libraries(&places), Err(Unusable::FolderMissing { folder: text(&given) }));
        put(&places, "/given", &[]);
        assert_eq!(libraries(&places), lacks(&given, "libcublas.so.13, libcurand.so.10"));
        let cublas = put(&places, "/given", &CUDA[..1]).join(CUDA[0]);
        put(&places, "/empty", &[]);
        places.given = vec![root.path().join("empty"), given.clone()];
        assert_eq!(libraries(&places), lacks(&given, "libcurand.so.10"));
        places.given.push("given".into());
        assert_eq!(libraries(&places), Err(Unusable::FolderNotAbsolute { folder: "given".into() }));
        places.given.pop();
        put(&places, "/given", &CUDA);
        std::fs::set_permissions(&cublas, std::fs::Permissions::from_mode(0o666)).unwrap();
        let refused = Err(Unusable::Unsafe { path: text(&cublas.canonicalize().unwrap()) });
        assert_eq!(libraries(&places), refused);
        // Others work all the same where one of several is wrong.
        std::fs::set_permissions(&cublas, std::fs::Permissions::from_mode(0o644)).unwrap();
        places.given.push("given".into());
        assert!(libraries(&places).is_ok());
        assert_eq!(mistakes(&places).count(), 1);
    }

    #[test]
    fn a_missing_driver_is_the_systems_unless_folders_were_given_that_have_nothing() {
        let (root, mut places) = system();
        let drivers = root.path().join("usr/lib/x86_64-linux-gnu").join(DRIVER);
        std::fs::set_permissions(&drivers, std::fs::Permissions::from_mode(0o666)).unwrap();
        let path = drivers.canonicalize().unwrap().display().to_string();
        assert_eq!(driver(&places), Err(Unusable::Unsafe { path }));
        std::fs::remove_file(drivers).unwrap();
        assert_eq!(driver(&places), Err(Unusable::NoDriver));
        let given = put(&places, "/given", &[]);
        places.given = vec![given.clone()];
        let library = format!("{DRIVER}, {}, {}", CUDA[0], CUDA[1]);
        let folder = given.display().to_string();
        assert_eq!(driver(&places), Err(Unusable::FolderLacks { folder, library }));
        put(&places, "/given", &CUDA);
        assert_eq!(driver(&places), Err(Unusable::NoDriver));
    }

    #[test]
    fn a_library_that_everybody_may_write_to_is_not_taken() {
        let (_root, places) = system();
        let folder = put(&places, "/usr/local/cuda/lib64", &CUDA);
        let with = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            libraries(&places)
        };
        let refused = |path: &Path| Err(Unusable::Unsafe { path: path.display().to_string() });
        assert_eq!(with(&folder, 0o777), refused(&folder));
        // In a folder like /tmp others cannot take a file away, but they can put one there.
        assert_eq!(with(&folder, 0o1777), refused(&folder));
        assert!(with(&folder, 0o775).is_ok());
        let cublas = folder.join(CUDA[0]).canonicalize().unwrap();
        assert_eq!(with(&cublas, 0o666), refused(&cublas));
        assert!(with(&cublas, 0o664).is_ok());
        // A link is as safe as what it leads to.
        let elsewhere = put(&places, "/tmp", &["real.so"]).canonicalize().unwrap();
        std::fs::remove_file(folder.join(CUDA[1])).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("real.so"), folder.join(CUDA[1])).unwrap();
        assert!(libraries(&places).is_ok());
        assert_eq!(with(&elsewhere, 0o1777), refused(&elsewhere));
        // What is refused is passed over where there is another.
        put(&places, "/opt/cuda/lib64", &CUDA);
        assert!(libraries(&places).is_ok());
    }

    #[test]
    fn a_folder_is_not_taken_where_another_library_in_it_is_everybodys() {
        let (_root, places) = system();
        let folder = put(&places, "/usr/local/cuda/lib64", &CUDA);
        // The loader takes what cuBLAS needs from there, too.
        let other = put(&places, "/usr/local/cuda/lib64", &["libcublasLt.so.13"]).join("libcublasLt.so.13");
        let other = other.canonicalize().unwrap();
        put(&places, "/usr/local/cuda/lib64", &["notes.txt"]);
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&folder.join("notes.txt"), 0o666);
        assert!(libraries(&places).is_ok());
        set(&other, 0o666);
        assert_eq!(libraries(&places), Err(Unusable::Unsafe { path: other.display().to_string() }));
        set(&other, 0o644);
        // A link that leads nowhere is no library.
        std::os::unix::fs::symlink("nowhere", folder.join("libold.so")).unwrap();
        assert!(libraries(&places).is_ok());
    }

    #[test]
    fn an_engine_that_everybody_may_write_to_is_not_started() {
        let (_root, places) = system();
        assert_eq!(engine(&places), Err(Unusable::NoEngine));
        let folder = put(&places, "/opt/program", &["mbti-cuda"]);
        let program = folder.join("mbti-cuda").canonicalize().unwrap();
        assert_eq!(engine(&places), Ok(folder.join("mbti-cuda")));
        for path in [&program, &folder] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
            assert_eq!(engine(&places), Err(Unusable::Unsafe { path: path.display().to_string() }));
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn a_library_for_one_kind_of_processor_that_everybody_may_write_to_is_not_taken() {
        let (_root, places) = system();
        put(&places, "/usr/local/cuda/lib64", &CUDA);
        let variant = put(&places, "/usr/local/cuda/lib64/glibc-hwcaps/x86-64-v3", &["libcudart.so.13"]);
        assert!(libraries(&places).is_ok());
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let refused =
            |path: &Path| Err(Unusable::Unsafe { path: path.canonicalize().unwrap().display().to_string() });
        for path in [variant.join("libcudart.so.13"), variant.clone(), variant.parent().unwrap().to_owned()] {
            let before = path.metadata().unwrap().permissions().mode();
            set(&path, before | 0o002);
            assert_eq!(libraries(&places), refused(&path));
            set(&path, before);
        }
    }

    #[test]
    fn a_folder_that_the_loader_would_take_for_another_is_refused_by_its_name() {
        for name in ["semi;colon", "co:lon", "$ORIGIN"] {
            let (_root, mut places) = system();
            let folder = put(&places, &format!("/opt/{name}/lib"), &CUDA).canonicalize().unwrap();
            let refused = Err(Unusable::FolderName { folder: folder.display().to_string() });
            places.environments = vec![format!("/opt/{name}").into()];
            assert_eq!(libraries(&places), refused);
            places.given = vec![folder];
            assert_eq!(libraries(&places), refused);
            // What is refused is passed over where there is another.
            places.given.clear();
            places.toolkits = vec!["/opt/cuda-by-variable".into()];
            put(&places, "/opt/cuda-by-variable/lib", &CUDA);
            assert!(libraries(&places).is_ok());
        }
    }

    #[test]
    fn the_loader_is_told_of_folders_by_paths_without_links() {
        let (root, mut places) = system();
        let newest = put(&places, "/usr/local/cuda-13.1/lib64", &CUDA).canonicalize().unwrap();
        std::os::unix::fs::symlink("cuda-13.1", root.path().join("usr/local/cuda")).unwrap();
        places.toolkits = vec!["/usr/local/cuda".into()];
        assert_eq!(libraries(&places).unwrap().folders, [newest]);
        // So is the engine started.
        let program = put(&places, "/opt/program", &["real"]).join("real").canonicalize().unwrap();
        std::os::unix::fs::symlink("real", root.path().join("opt/program/mbti-cuda")).unwrap();
        assert_eq!(engine(&places), Ok(program));
    }

    #[test]
    fn a_library_of_another_user_is_not_taken() {
        let (_root, places) = system();
        let folder = put(&places, "/usr/local/cuda/lib64", &CUDA);
        // Only root can give a file away; whoever runs the tests as another user has nothing to check here.
        if std::os::unix::fs::chown(folder.join(CUDA[0]), Some(12345), None).is_ok() {
            assert!(matches!(libraries(&places), Err(Unusable::Unsafe { .. })));
        }
    }
}
