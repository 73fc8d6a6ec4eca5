//! Starting the engine for GPUs, in a child process or in the place of this one.

use std::{env, path::PathBuf, process::Command};

use record::Device;

/// Set for the engine for GPUs: the device that was chosen for it, or [`LISTING`], and after an `@` the number of the process
/// that says so. That is the engine's own where it takes the place of another, and its parent's where it lists. Somebody who
/// sets the variable by hand does not write it so, and what he writes means nothing.
const STARTED_FOR: &str = "MBTI_STARTED_FOR";
/// In the place of a device, where the engine is only asked what there is.
pub const LISTING: &str = "devices";
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
        command.env(STARTED_FOR, format!("{started_for}@{}", std::process::id()));
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

/// What the engine for GPUs is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Started {
    /// None where it is to list.
    device: Option<Device>,
    /// The number of the process that says so.
    by: u32,
}

/// Nothing where the text is not what [`Engine::command`] writes.
fn read(text: &str) -> Option<Started> {
    let (what, by) = text.split_once('@')?;
    let by = by.parse().ok()?;
    let device = match what {
        LISTING => None,
        _ => Some(what.parse().ok().filter(|device| matches!(device, Device::Cuda(_)))?),
    };
    Some(Started { device, by })
}

fn started() -> Option<Started> {
    read(env::var_os(STARTED_FOR)?.to_str()?)
}

/// Whether this process was started as the engine for GPUs, which is to start no other, whoever passed it on.
#[cfg(not(feature = "cuda"))]
pub fn is_started() -> bool {
    started().is_some()
}

/// The device that was chosen before this program took the place of the one that chose it.
pub fn chosen_before() -> Option<Device> {
    started().filter(|started| started.by == std::process::id())?.device
}

/// Where this process only lists for another: ends it when the other ends, in whatever way.
pub fn end_with_whom_it_lists_for() {
    #[cfg(target_os = "linux")]
    if started().is_some_and(|started| started.device.is_none()) {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Where it cannot be set, the list ends by itself.
        set_parent_process_death_signal(Some(Signal::KILL)).ok();
    }
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
        let started = read(set(STARTED_FOR).unwrap().to_str().unwrap()).unwrap();
        assert_eq!(started, Started { device: Some(Device::Cuda(1)), by: std::process::id() });
        let paths: Vec<_> = env::split_paths(set(LIBRARIES).unwrap()).take(2).collect();
        assert_eq!(paths, engine.libraries);
    }

    #[test]
    fn what_somebody_writes_by_hand_is_no_word_of_another_engine() {
        assert_eq!(read("devices@7"), Some(Started { device: None, by: 7 }));
        for by_hand in
            ["", "1", "cuda:0", "devices", "auto@7", "cpu@7", "cuda:0@", "cuda:0@me", "@7", "cuda:x@7"]
        {
            assert_eq!(read(by_hand), None, "{by_hand}");
        }
    }
}
