use std::path::{Path, PathBuf};

use record::Model;
use store::{HomeLock, Part, Store};

use crate::{Error, clearing, error::Result, privacy};

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
    /// Opens a home, and makes what is missing: its folders, its history, the built-in model.
    /// Runs whose engine is gone are found here and marked as interrupted; what processes have left that ended in the
    /// middle of making or removing something goes. Where the home takes no writing it is opened to be read.
    pub async fn open(folder: &Path) -> Result<Home> {
        let history = folder.join("history.sqlite");
        if !may_be_written(folder, &history)? {
            let store = Store::open_to_read(&history).await?;
            return Ok(Home { folder: folder.to_owned(), store, read_only: true });
        }
        let store = Store::open(&history).await?;
        let home = Home { folder: folder.to_owned(), store, read_only: false };
        home.ensure_words().await?;
        crate::runs::reconcile(&home).await?;
        match clearing::clear(&home).await {
            // On a full disk, or while another program holds the history, it is cleared another time.
            Err(Error::Store(error)) if error.may_pass() => {}
            done => done?,
        }
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
        if self.has_words().await? {
            return Ok(());
        }
        // One makes it, and whoever starts at the same time waits.
        let _alone = HomeLock::exclusive(&self.folder)?;
        if self.has_words().await? {
            return Ok(());
        }
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
            // Its record is there already, and only its folder was not.
            Ok(_) | Err(store::Error::NameTaken { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the built-in model is there, with its record.
    async fn has_words(&self) -> Result<bool> {
        let folder = self.models_folder().join(hub::WORDS);
        Ok(folder.join("config.json").is_file()
            && self.store.names(Part::Models).await?.iter().any(|name| name == hub::WORDS))
    }
}

/// Makes the home's folders, and tells whether it takes writing. One that does not, and is no home yet, is an error.
fn may_be_written(folder: &Path, history: &Path) -> Result<bool> {
    let refused = |error: &Error| {
        let source = match error {
            Error::Write { source, .. } | Error::Store(store::Error::Lock { source, .. }) => source,
            _ => return false,
        };
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
    };
    let made = privacy::make(folder, Part::ALL.map(Part::folder))
        .and_then(|()| Ok(HomeLock::try_exclusive(folder).map(drop)?));
    match made {
        Ok(()) => Ok(true),
        Err(error) if refused(&error) && history.is_file() => Ok(false),
        Err(error) => Err(error),
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
