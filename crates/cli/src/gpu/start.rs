//! Starting the engine for GPUs, in a child process or in the place of this one.

use std::{env, ffi::OsString, path::PathBuf, process::Command};

use record::Device;

/// Set for the engine for GPUs: the device that was chosen for it, or something else where it is only asked what there
/// is. One that has it starts no other.
const STARTED_FOR: &str = "MBTI_STARTED_FOR";
/// Where Linux' loader looks before all other places.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

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
        command.env(STARTED_FOR, started_for);
        let known = env::var_os(LIBRARIES).filter(|known| !known.is_empty());
        let known = known.iter().flat_map(|known| env::split_paths(known));
        // A folder whose name has a colon in it cannot be named so; the engine then says which library is missing.
        if let Ok(all) = env::join_paths(self.libraries.iter().cloned().chain(known))
            && !all.is_empty()
        {
            command.env(LIBRARIES, all);
        }
        command
    }
}

/// What this process was started for, where it is the engine for GPUs or was taken for it.
pub fn started_for() -> Option<OsString> {
    env::var_os(STARTED_FOR)
}

/// The device that was chosen by the program that has started this one.
pub fn chosen_before() -> Option<Device> {
    started_for()?.to_str()?.parse().ok()
}

/// Lets the engine for GPUs take the place of this process, with the same arguments. Returns only where that fails.
#[cfg(unix)]
pub fn replace(engine: &Engine, device: &str) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    engine.command(device).args(env::args_os().skip(1)).exec()
}

#[cfg(not(unix))]
pub fn replace(_: &Engine, _: &str) -> std::io::Error {
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
        assert_eq!(set(STARTED_FOR).unwrap(), "cuda:1");
        let paths: Vec<_> = env::split_paths(set(LIBRARIES).unwrap()).take(2).collect();
        assert_eq!(paths, engine.libraries);
    }
}
