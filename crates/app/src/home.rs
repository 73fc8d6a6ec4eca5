use std::path::{Path, PathBuf};

use store::{Part, Store};

use crate::{Error, error::Result};

/// The folder in which everything lies, with its history open.
#[derive(Debug, Clone)]
pub struct Home {
    pub folder: PathBuf,
    pub store: Store,
    /// Whether it lies where nothing can be written; what only reads works there all the same.
    pub read_only: bool,
    /// What lies in it that its history does not know, where that was made anew just now.
    pub unrecorded: Unrecorded,
}

/// How many folders there are that no record names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unrecorded {
    pub data_sets: usize,
    pub models: usize,
    pub runs: usize,
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

impl Unrecorded {
    pub fn is_none(&self) -> bool {
        *self == Unrecorded::default()
    }

    /// Counts the folders, those left out that are being made or removed.
    pub(crate) async fn of(folder: &Path, store: &Store) -> Result<Unrecorded> {
        let mut found = Unrecorded::default();
        for part in Part::ALL {
            let known = store.names(part).await?;
            let entries = std::fs::read_dir(folder.join(part.folder())).into_iter().flatten().flatten();
            let is_unknown = |entry: &std::fs::DirEntry| {
                let name = entry.file_name();
                entry.path().is_dir()
                    && !name.to_string_lossy().starts_with('.')
                    && !known.iter().any(|known| *name == **known)
            };
            let count = match part {
                Part::DataSets => &mut found.data_sets,
                Part::Models => &mut found.models,
                Part::Runs => &mut found.runs,
            };
            *count = entries.filter(is_unknown).count();
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_history_that_was_lost_is_told_of_with_what_it_does_not_know_and_nothing_goes() {
        let (folder, home) = empty_home().await;
        assert!(home.unrecorded.is_none(), "a new home");
        crate::data_sets::import_sample(&home).await.unwrap();
        std::fs::create_dir_all(folder.path().join("runs/7")).unwrap();
        assert!(Home::open(folder.path()).await.unwrap().unrecorded.is_none(), "a history that is there");
        home.store.close().await;
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(folder.path().join(format!("history.sqlite{ending}"))).ok();
        }
        let home = Home::open(folder.path()).await.unwrap();
        // The built-in model is written down anew.
        assert_eq!(home.unrecorded, Unrecorded { data_sets: 1, models: 0, runs: 1 });
        assert!(home.data_set_folder(crate::data_sets::SAMPLE_NAME).join("examples.parquet").is_file());
        assert!(Home::open(folder.path()).await.unwrap().unrecorded.is_none(), "told once");
    }
}
