//! Starting the engine for GPUs, in a child process or in the place of this one.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use record::{Device, Unusable};

use super::safe;

/// Set for the engine for GPUs: the device that was chosen for it, or [`LISTING`], and after an `@` the number of the process
/// that says so. That is the engine's own where it takes the place of another, and its parent's where it lists. Somebody who
/// sets the variable by hand does not know it, and what he writes means nothing.
const STARTED_FOR: &str = "MBTI_STARTED_FOR";
/// In the place of a device, where the engine is only asked what there is.
#[cfg_attr(feature = "cuda", allow(dead_code, reason = "a build with CUDA asks no other"))]
pub const LISTING: &str = "devices";
/// Where Linux' loader looks before all other places.
const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// Addresses of the Hub and of the way to it, which may have a password in them.
const ADDRESSES: [&str; 7] =
    ["HF_ENDPOINT", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// A token that only other programs read.
const OTHERS_TOKEN: &str = "HUGGING_FACE_HUB_TOKEN";
/// What glibc's loader takes such a list apart at, and what begins a word that it puts something else for.
const LOADERS_OWN: [char; 3] = [':', ';', '$'];

/// The engine for GPUs and the folders of the libraries that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub program: PathBuf,
    pub libraries: Vec<PathBuf>,
}

impl Engine {
    /// The command that starts it.
    pub fn command(&self, started_for: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env(STARTED_FOR, format!("{started_for}@{}", std::process::id()));
        let known = env::var_os(LIBRARIES).unwrap_or_default();
        match env::join_paths(self.libraries.iter().cloned().chain(certain(&known))) {
            Ok(all) if !all.is_empty() => command.env(LIBRARIES, all),
            _ => command.env_remove(LIBRARIES),
        };
        command
    }
}

/// Whether the loader takes a folder for the one that it is.
#[cfg_attr(feature = "cuda", allow(dead_code, reason = "a build with CUDA has its libraries"))]
pub fn can_be_told(folder: &Path) -> bool {
    !folder.to_string_lossy().contains(LOADERS_OWN)
}

/// The folders of a list that are the same wherever a program is started, and whose libraries nobody else can change. Nobody
/// means the folder he is in to have libraries, which an empty entry names.
fn certain(list: &OsStr) -> Vec<PathBuf> {
    // The loader would take what is after a semicolon for a folder, too.
    let sure = |path: &PathBuf| path.is_absolute() && can_be_told(path);
    let real = |path: PathBuf| safe::closed_folder(&path).ok().filter(|real| can_be_told(real));
    let closed = |folder: &PathBuf| safe::unsafe_library(folder).is_none();
    env::split_paths(list).filter(sure).filter_map(real).filter(closed).collect()
}

/// What a process was started for, by what [`STARTED_FOR`] says to it and by the process that may say so. Nothing where that
/// does not.
fn read(text: &str, by: u32) -> Option<&str> {
    let (started_for, said_by) = text.split_once('@')?;
    (said_by == by.to_string()).then_some(started_for)
}

/// Whether this process was started as the engine for GPUs, which is to start no other.
#[cfg(not(feature = "cuda"))]
pub fn is_started() -> bool {
    #[cfg(unix)]
    let parent = std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    let parent = 0;
    let said = env::var(STARTED_FOR).unwrap_or_default();
    read(&said, parent) == Some(LISTING) || chosen_before().is_some()
}

/// The device that was chosen before this program took the place of the one that chose it.
pub fn chosen_before() -> Option<Device> {
    let said = env::var(STARTED_FOR).ok()?;
    let device = read(&said, std::process::id())?.parse().ok();
    device.filter(|device| matches!(device, Device::Cuda(_)))
}

/// Takes tokens, and addresses that may have a password in them, out of what a program inherits that does not ask the Hub.
pub fn tell_nothing_of_the_hub(command: &mut Command) {
    for name in app::SECRETS.iter().chain(&ADDRESSES) {
        command.env_remove(name);
    }
}

/// Whether the engine is a program that can be started, as far as its file says.
///
/// Errors: why not.
pub fn can_start(engine: &Engine) -> Result<(), Unusable> {
    #[cfg(unix)]
    rustix::fs::access(&engine.program, rustix::fs::Access::EXEC_OK)
        .map_err(|error| not_started(&engine.program, &error.into()))?;
    #[cfg(not(unix))]
    let _ = engine;
    Ok(())
}

/// Why an engine was not started.
pub fn not_started(program: &Path, error: &std::io::Error) -> Unusable {
    let path = program.display().to_string();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Unusable::NotExecutable { path },
        _ => Unusable::Failed { reason: format!("{path} cannot be started: {error}") },
    }
}

/// Lets the engine for GPUs take the place of this process, with the same arguments. It inherits the tokens and addresses
/// that its own client of the Hub reads where it is to push, and none otherwise. Returns only where that fails.
#[cfg(unix)]
pub fn replace(engine: &Engine, device: &str, pushes: bool) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    let mut command = engine.command(device);
    if pushes {
        command.env_remove(OTHERS_TOKEN);
    } else {
        tell_nothing_of_the_hub(&mut command);
    }
    command.args(env::args_os().skip(1)).exec()
}

#[cfg(not(unix))]
pub fn replace(_: &Engine, _: &str, _: bool) -> std::io::Error {
    std::io::ErrorKind::Unsupported.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_libraries_that_were_found_go_before_those_of_the_environment() {
        let engine = Engine { program: "mbti-cuda".into(), libraries: vec!["/a".into(), "/b".into()] };
        let command = engine.command("cuda:1");
        let set = |name: &str| command.get_envs().find(|(set, _)| *set == name).and_then(|(_, value)| value);
        let paths: Vec<_> = env::split_paths(set(LIBRARIES).unwrap()).take(2).collect();
        assert_eq!(paths, engine.libraries);
        let said = set(STARTED_FOR).unwrap().to_str().unwrap();
        assert_eq!(read(said, std::process::id()), Some("cuda:1"));
    }

    #[test]
    fn of_the_environments_folders_only_those_stay_that_are_the_same_wherever_a_program_is_started() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let folder = |name: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let [a, b, c, d] = ["a", "b;lib", "c/$LIB", "d e"].map(folder);
        let list = [&a, Path::new("."), Path::new("lib"), &b, &c, Path::new(""), &d, Path::new("$ORIGIN/..")]
            .map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(certain(OsStr::new(&format!(":{}:", list.join(":")))), [a, d]);
        assert!(certain(OsStr::new("")).is_empty() && certain(OsStr::new(":")).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn folders_whose_libraries_others_can_change_are_not_handed_on() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [closed, open, holds] = ["closed", "open", "holds"].map(|name| {
            std::fs::create_dir(root.join(name)).unwrap();
            root.join(name)
        });
        let library = holds.join("libcublasLt.so.13");
        std::fs::write(&library, "").unwrap();
        for (path, mode) in [(&closed, 0o755), (&open, 0o777), (&holds, 0o755), (&library, 0o666)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        // A link is handed on as what it leads to: its owner could let it lead elsewhere.
        let link = root.join("link");
        symlink(&closed, &link).unwrap();
        let list = env::join_paths([&open, &holds, &link, &root.join("missing")]).unwrap();
        assert_eq!(certain(&list), [closed]);
    }

    #[test]
    fn what_somebody_writes_by_hand_is_no_word_of_another_engine() {
        assert_eq!(read("cuda:1@7", 7), Some("cuda:1"));
        for by_hand in [
            "",
            "1",
            "cuda:0",
            "devices",
            "@",
            "cuda:0@",
            "cuda:0@me",
            "cuda:0@8",
            "cuda:0@1",
            "cuda:0@07",
            "devices@1",
        ] {
            assert_eq!(read(by_hand, 7), None, "{by_hand}");
        }
    }
}
