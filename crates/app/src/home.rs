use std::path::{Path, PathBuf};

use store::Store;

use crate::{Error, error::Result};

/// The folder in which everything lies, with its history open.
#[derive(Debug, Clone)]
pub struct Home {
    pub folder: PathBuf,
    pub store: Store,
    /// Whether it lies where nothing can be written; what only reads works there all the same.
    pub read_only: bool,
}

/// Where the home is: the folder given, else `MBTI_HOME`, else the platform's data folder.
pub fn locate(given: Option<PathBuf>) -> Result<PathBuf> {
    let from_environment =
        || std::env::var_os("MBTI_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_the_platform =
        || directories::ProjectDirs::from("", "", "mbti-tuner").map(|folders| folders.data_dir().to_owned());
    let home = given.or_else(from_environment).or_else(of_the_platform).ok_or(Error::NoHome)?;
    std::path::absolute(&home).map_err(|error| Error::write(&home, error))
}

impl Home {
    pub fn data_set_folder(&self, name: &str) -> PathBuf {
        self.folder.join("datasets").join(name)
    }

    pub fn models_folder(&self) -> PathBuf {
        self.folder.join("models")
    }

    pub fn run_folder(&self, run: i64) -> PathBuf {
        self.folder.join("runs").join(run.to_string())
    }
}

/// The bytes of all files in a folder.
pub(crate) fn bytes_of(folder: &Path) -> i64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len() as i64).sum()
}

/// An empty home in a folder of its own, which goes when the first of the two is dropped.
#[cfg(test)]
pub(crate) async fn empty_home() -> (tempfile::TempDir, Home) {
    #![allow(clippy::unwrap_used)]
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).await.unwrap();
    (folder, home)
}
