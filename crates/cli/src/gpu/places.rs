//! Where CUDA's libraries and the engine for GPUs may lie.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The folders that libraries are looked for in, of the tests' own choice in tests.
pub const GIVEN: &str = "MBTI_CUDA_LIBRARIES";

/// What of a process and its environment says where libraries may lie.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The root of the file system, which all other folders are told from.
    pub root: PathBuf,
    /// The folder of this program.
    pub own: PathBuf,
    /// The user's folder.
    pub home: Option<PathBuf>,
    /// Folders of CUDA's own installer, by its variables.
    pub toolkits: Vec<PathBuf>,
    /// Python's environments, by their variables.
    pub environments: Vec<PathBuf>,
    /// Folders to look in for CUDA and in no others, as they were written.
    pub given: Vec<PathBuf>,
}

impl Places {
    pub fn of_this_process() -> Places {
        let program = env::current_exe().unwrap_or_default();
        let folders = |names: &[&str]| names.iter().filter_map(|name| folder(env::var_os(name))).collect();
        let given = env::var_os(GIVEN).unwrap_or_default();
        Places {
            root: PathBuf::from("/"),
            own: program.parent().unwrap_or(Path::new("/")).to_owned(),
            home: folder(env::var_os("HOME")),
            toolkits: folders(&["CUDA_HOME", "CUDA_PATH"]),
            environments: folders(&["VIRTUAL_ENV", "CONDA_PREFIX"]),
            given: env::split_paths(&given).filter(|path| !path.as_os_str().is_empty()).collect(),
        }
    }

    /// A folder as it is reached from here.
    pub fn at(&self, folder: &Path) -> PathBuf {
        self.root.join(folder.strip_prefix("/").unwrap_or(folder))
    }

    /// The folder and the name of the engine for GPUs, which lies beside this program.
    pub fn engine(&self) -> (PathBuf, String) {
        (self.at(&self.own), format!("mbti-cuda{}", env::consts::EXE_SUFFIX))
    }
}

/// An absolute path. Another would be told from wherever the program was started.
fn folder(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}
