//! Models to start from.

use std::path::{Path, PathBuf};

use record::{Model, Origin};

use crate::{Error, Home, error::Result, home::bytes_of, names, runs};

/// Takes a model folder in; without a name, under the folder's.
pub async fn add(home: &Home, source: &Path, name: Option<&str>) -> Result<Model> {
    let own = || {
        let whole = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let name = name.map_or_else(own, str::to_owned);
    hub::check(source)?;
    is_free(home, &name).await?;
    take_in(home, source, name, None).await
}

/// Whether a model may have this name.
pub(crate) async fn is_free(home: &Home, name: &str) -> Result<()> {
    names::check(name)?;
    match home.store.model(name).await {
        Ok(_) => Err(store::Error::NameTaken { name: name.to_owned() }.into()),
        Err(_) => Ok(()),
    }
}

/// Copies a model folder that was looked at, and writes it down.
pub(crate) async fn take_in(
    home: &Home,
    source: &Path,
    name: String,
    origin: Option<Origin>,
) -> Result<Model> {
    let found = hub::install(source, &home.models_folder(), &name)?;
    let model = Model {
        name,
        family: found.family,
        parameters: found.parameters,
        bytes: bytes_of(&found.folder),
        folder: found.folder.display().to_string(),
        built_in: false,
        created_at: String::new(),
        origin,
    };
    Ok(home.store.add_model(&model).await?)
}

/// Looks whether a folder holds a model that can be trained, takes nothing in, and gives the
/// folder of its config.json, which may be a subfolder.
pub fn check(source: &Path) -> Result<PathBuf> {
    Ok(hub::check(source)?.folder)
}

pub async fn list(home: &Home) -> Result<Vec<Model>> {
    Ok(home.store.models().await?)
}

/// Forgets a model and removes the program's copy of it.
pub async fn remove(home: &Home, name: &str) -> Result<()> {
    let model = home.store.model(name).await?;
    if model.built_in {
        return Err(Error::BuiltIn { name: model.name });
    }
    // A run that learned by LoRA has an adapter only, which is nothing without its base.
    let stands_on_it =
        |run: &record::Run| run.config.model.eq_ignore_ascii_case(&model.name) && runs::has_adapter(run);
    if let Some(run) = home.store.runs().await?.into_iter().find(stands_on_it) {
        return Err(Error::BaseOfAdapter { name: model.name, run: run.id });
    }
    let model = home.store.remove_model(name).await?;
    let folder = home.models_folder().join(&model.name);
    std::fs::remove_dir_all(&folder).map_err(|error| Error::write(&folder, error))
}
