//! Models to start from.

use std::path::Path;

use hub::{ModelFolder, Transfer};
use record::{Model, Origin};
use store::Part;

use crate::{Error, Home, error::Result, home::bytes_of, making, names, removing, runs};

/// Texts are read up to so many tokens while a model's tokenizer is tried.
const TRIED_TOKENS: usize = 512;

/// Takes a model folder in; without a name, under the folder's.
pub async fn add(home: &Home, source: &Path, name: Option<&str>) -> Result<Model> {
    add_watched(home, source, name, &Transfer::default(), |_| Ok(())).await
}

/// The same, stopped where `transfer` is told to, with nothing left. `look` sees the folder of the config.json before
/// anything is copied, and may refuse it.
pub async fn add_watched(
    home: &Home,
    source: &Path,
    name: Option<&str>,
    transfer: &Transfer,
    look: impl FnOnce(&Path) -> Result<()>,
) -> Result<Model> {
    let own = || {
        let whole = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let name = name.map_or_else(own, str::to_owned);
    let found = checked(source)?;
    is_free(home, &name).await?;
    look(&found.folder)?;
    take_in(home, (source, &found), &name, None, transfer).await
}

/// Whether a model may have this name.
pub(crate) async fn is_free(home: &Home, name: &str) -> Result<()> {
    names::check(name)?;
    match home.store.model(name).await {
        Ok(_) => Err(store::Error::NameTaken { name: name.to_owned() }.into()),
        Err(store::Error::UnknownModel { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Copies a model folder that was [checked](checked), and writes it down. Nothing is left of it where it fails or is
/// stopped: it is made beside its place, and comes there together with its record.
pub(crate) async fn take_in(
    home: &Home,
    (source, found): (&Path, &ModelFolder),
    name: &str,
    origin: Option<Origin>,
    transfer: &Transfer,
) -> Result<Model> {
    let making = making::begin(&home.models_folder(), name)?;
    let mut told = origin.is_some();
    let goes_on = |copied, all| {
        // What was fetched was told of as it came.
        if !std::mem::replace(&mut told, true) {
            transfer.expect(signed(all));
        }
        if origin.is_none() {
            transfer.advance(signed(copied));
        }
        !transfer.is_stopped()
    };
    let copy = match hub::install(source, found, &making.folder, goes_on).await {
        // Nothing was fetched that could be kept.
        Err(hub::Error::Stopped) if origin.is_none() => return Err(data::Error::Stopped.into()),
        copied => copied?,
    };
    // The copy is what will be used. The source may have been changed since it was looked at.
    try_tokenizer(&copy)?;
    let model = Model {
        name: name.to_owned(),
        family: copy.family,
        parameters: copy.parameters,
        bytes: bytes_of(&making.folder),
        folder: home.models_folder().join(name).display().to_string(),
        built_in: false,
        created_at: String::new(),
        origin,
    };
    let placing = making.placing(home)?;
    match home.store.place_model(&model, || placing.put()).await {
        Ok(model) => {
            placing.done();
            Ok(model)
        }
        Err(error) => {
            placing.take_back();
            Err(error)
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Looks whether a folder holds a model that can be trained, without taking it in.
pub(crate) fn checked(source: &Path) -> Result<ModelFolder> {
    let found = hub::check(source)?;
    try_tokenizer(&found)?;
    Ok(found)
}

/// Reads the tokenizer, which refuses one that could fill the memory or that no text can be given to, and one of another
/// model: an id that is in no row of the embeddings would end a run at the first text that has it.
fn try_tokenizer(found: &ModelFolder) -> Result<()> {
    if found.family == hub::WORDS {
        return Ok(());
    }
    let path = found.folder.join("tokenizer.json");
    let largest = data::Tokenizer::from_file(&path, TRIED_TOKENS)?.largest_id();
    match (largest, found.vocabulary) {
        (Some(largest), Some(rows)) if largest >= rows => Err(Error::TokenOutside { path, largest, rows }),
        _ => Ok(()),
    }
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
    removing::remove(home, Part::Models, &model.name).await
}
