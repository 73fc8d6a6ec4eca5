use std::path::{Path, PathBuf};

use record::Model;
use store::Store;

use crate::{Error, error::Result, making};

/// The folder in which everything lies, with its history open.
#[derive(Debug, Clone)]
pub struct Home {
    pub folder: PathBuf,
    pub store: Store,
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
    /// Opens a home, and makes what is missing: its folders, its history, the built-in model.
    /// Runs whose engine is gone are found here and marked as interrupted; what is left of a data set that
    /// a process was making when it ended is removed.
    pub async fn open(folder: &Path) -> Result<Home> {
        for part in ["datasets", "models", "runs"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).map_err(|error| Error::write(&part, error))?;
        }
        let store = Store::open(&folder.join("history.sqlite")).await?;
        let home = Home { folder: folder.to_owned(), store };
        home.ensure_words().await?;
        crate::runs::reconcile(&home).await?;
        making::sweep(&home);
        Ok(home)
    }

    pub fn data_set_folder(&self, name: &str) -> PathBuf {
        self.folder.join("datasets").join(name)
    }

    pub fn models_folder(&self) -> PathBuf {
        self.folder.join("models")
    }

    pub fn run_folder(&self, run: i64) -> PathBuf {
        self.folder.join("runs").join(run.to_string())
    }

    async fn ensure_words(&self) -> Result<()> {
        let found = hub::install_words(&self.models_folder())?;
        let model = Model {
            name: hub::WORDS.to_owned(),
            family: found.family,
            parameters: None,
            bytes: 0,
            folder: found.folder.display().to_string(),
            built_in: true,
            created_at: String::new(),
            origin: None,
        };
        match self.store.add_model(&model).await {
            // It is there already, from an earlier start or from an engine that started with us.
            Ok(_) | Err(store::Error::NameTaken { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
