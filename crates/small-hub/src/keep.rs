//! The repositories on the disk, for a small Hub with a folder of its own.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::repos::{Repo, Repos};

const FILE: &str = "repositories.json";

pub(crate) fn load(folder: &Path) -> Result<Repos> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let list: Vec<Repo> =
                serde_json::from_slice(&bytes).map_err(|source| Error::Kept { path, source })?;
            Ok(Repos::from_list(list))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Repos::default()),
        Err(error) => Err(Error::disk(path, error)),
    }
}

pub(crate) fn save(folder: &Path, repos: &Repos) -> Result<()> {
    let path = folder.join(FILE);
    let list: Vec<&Repo> = repos.all().collect();
    let bytes = serde_json::to_vec(&list).map_err(|source| Error::Kept { path: path.clone(), source })?;
    let beside = folder.join("repositories.json.new");
    fs::write(&beside, bytes).map_err(|error| Error::disk(&beside, error))?;
    fs::rename(&beside, &path).map_err(|error| Error::disk(path, error))
}
