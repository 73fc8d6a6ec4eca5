//! Opening a home: what is missing is made, what was left behind is settled.

use std::path::Path;

use record::Model;
use store::{HomeLock, Part, Store};

use crate::{Error, Home, clearing, error::Result, home::Unrecorded, privacy, runs};

impl Home {
    /// Opens a home, and makes what is missing: its folders, its history, the built-in model.
    /// Runs whose engine is gone are found here and marked as interrupted; what processes have left that ended in the
    /// middle of making or removing something goes. Where the home takes no writing it is opened to be read.
    pub async fn open(folder: &Path) -> Result<Home> {
        let history = folder.join("history.sqlite");
        if !may_be_written(folder, &history)? {
            let store = Store::open_to_read(&history).await?;
            let (folder, unrecorded) = (folder.to_owned(), Unrecorded::default());
            return Ok(Home { folder, store, read_only: true, unrecorded });
        }
        let is_new = std::fs::metadata(&history).map_or(true, |about| about.len() == 0);
        let store = Store::open(&history).await?;
        let unrecorded = Unrecorded::default();
        let mut home = Home { folder: folder.to_owned(), store, read_only: false, unrecorded };
        home.ensure_words().await?;
        runs::reconcile(&home).await?;
        match clearing::clear(&home).await {
            // On a full disk, or while another program holds the history, it is cleared another time.
            Err(Error::Store(error)) if error.may_pass() => {}
            done => done?,
        }
        if is_new {
            home.unrecorded = Unrecorded::of(folder, &home.store).await?;
        }
        Ok(home)
    }

    async fn ensure_words(&self) -> Result<()> {
        if self.has_words().await? {
            return Ok(());
        }
        // One makes it, and whoever starts at the same time waits.
        let _alone = HomeLock::exclusive(&self.folder).await?;
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
