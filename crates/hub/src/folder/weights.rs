use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
};

use files::{Enclosure, JSON_LIMIT};
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::{Map, Value};

use super::{format, layout::is_plain_name};
use crate::error::{Error, Result};

pub(crate) const SINGLE: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// The longest header that a safetensors file may have, as its own library has it.
const HEADER_LIMIT: u64 = 100_000_000;

/// The most weights, by name, of a model; those of the families have some hundreds.
const MOST_WEIGHTS: usize = 100_000;

/// Files of weights, each with the weights that an index places in it.
pub(crate) type Shards = BTreeMap<String, Vec<String>>;

/// Whether there are weights in safetensors, whole or not.
pub(crate) fn exist(folder: &Path) -> bool {
    folder.join(SINGLE).exists() || folder.join(INDEX).exists()
}

/// The files that hold a folder's weights: model.safetensors, as Transformers too takes it first,
/// or the shards that the index names.
pub(crate) fn find(model: &Enclosure) -> Result<Shards> {
    let folder = model.folder();
    let missing = |missing: &str| Error::Incomplete { path: folder.to_owned(), missing: missing.to_owned() };
    if folder.join(SINGLE).exists() {
        return Ok(Shards::from([(SINGLE.to_owned(), Vec::new())]));
    }
    if folder.join(INDEX).exists() {
        let shards = read_index(model)?;
        if let Some(absent) = shards.keys().find(|shard| !folder.join(shard).exists()) {
            return Err(missing(absent));
        }
        return Ok(shards);
    }
    let is_shard = |name: &String| name.starts_with("model-") && name.ends_with(".safetensors");
    if format::names_in(folder).iter().any(is_shard) {
        return Err(missing(INDEX));
    }
    Err(other_format(folder).unwrap_or_else(|| missing(SINGLE)))
}

/// The error that tells of weights in another format, where there are only such.
pub(crate) fn other_format(folder: &Path) -> Option<Error> {
    if exist(folder) {
        return None;
    }
    let (found, format) = format::find(folder)?;
    Some(Error::OtherFormat { path: folder.to_owned(), found, format })
}

/// Which weights the shards of an index hold.
fn read_index(model: &Enclosure) -> Result<Shards> {
    let path = model.path(INDEX);
    let wrong = |reason: String| Error::Weights { path: path.clone(), reason };
    let text = model.read(INDEX, JSON_LIMIT).map_err(|error| Error::of_file(&path, error))?;
    let index: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let places = index.get("weight_map").and_then(Value::as_object);
    is_possible(places.map_or(0, Map::len)).map_err(wrong)?;
    let mut shards = Shards::new();
    for (name, shard) in places.into_iter().flatten() {
        let shard = shard.as_str().ok_or_else(|| wrong(format!("it names no file for the weight {name}")))?;
        if !is_plain_name(shard) || !shard.ends_with(".safetensors") {
            return Err(wrong(format!(
                "it names the file {shard:?}, which is no safetensors file that lies beside it"
            )));
        }
        shards.entry(shard.to_owned()).or_default().push(name.clone());
    }
    match shards.is_empty() {
        true => Err(wrong("its weight_map names no weight".to_owned())),
        false => Ok(shards),
    }
}

/// Looks through the headers of all shards and gives the number of weights in them.
pub(crate) fn check(model: &Enclosure, shards: &Shards, config: &Map<String, Value>) -> Result<usize> {
    let (mut count, mut names) = (0, 0);
    for (shard, promised) in shards {
        let path = model.path(shard);
        let header = read_header(model, shard)?;
        if let Some(name) = promised.iter().find(|name| header.info(name).is_none()) {
            let reason = format!("it lacks the weight {name}, which {INDEX} places in it");
            return Err(Error::Weights { path, reason });
        }
        let weights = header.tensors();
        names += weights.len();
        is_possible(names).map_err(|reason| Error::Weights { path: path.clone(), reason })?;
        check_embeddings(&path, &weights, config)?;
        count += weights.values().map(|info| info.shape.iter().product::<usize>()).sum::<usize>();
    }
    Ok(count)
}

fn is_possible(names: usize) -> std::result::Result<(), String> {
    let reason =
        || format!("it names more than {MOST_WEIGHTS} weights, which no model of these families has");
    (names <= MOST_WEIGHTS).then_some(()).ok_or_else(reason)
}

#[cfg(test)]
thread_local! {
    /// How many headers were read, each of which may have a hundred megabytes.
    pub(crate) static HEADERS_READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The header of a safetensors file whose data are as long as the header says.
fn read_header(model: &Enclosure, name: &str) -> Result<Metadata> {
    #[cfg(test)]
    HEADERS_READ.set(HEADERS_READ.get() + 1);
    let path = model.path(name);
    let wrong = |reason: String| Error::Weights { path: path.clone(), reason };
    let mut file = model.open(name).map_err(|error| Error::of_file(&path, error))?;
    let length = file.metadata().map_err(|error| Error::read(&path, error))?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| wrong("it is too short".to_owned()))?;
    let size = u64::from_le_bytes(size);
    if size > HEADER_LIMIT || size > length.saturating_sub(8) {
        return Err(wrong("its header is longer than the file".to_owned()));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(|error| Error::read(&path, error))?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(error.to_string()))?;
    let data = header.data_len() as u64;
    if data != length - 8 - size {
        return Err(wrong(format!(
            "it has {} bytes of weights where its header says {data}",
            length - 8 - size
        )));
    }
    Ok(header)
}

/// How the families call their word embeddings, whatever stands before.
const EMBEDDINGS: [&str; 3] =
    ["embeddings.word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight"];

/// The one shape that tells a config of another model at once.
fn check_embeddings(
    path: &Path,
    weights: &HashMap<String, &TensorInfo>,
    config: &Map<String, Value>,
) -> Result<()> {
    let number = |name: &str| config.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let is_distilbert = config.get("model_type").and_then(Value::as_str) == Some("distilbert");
    let width = if is_distilbert { "dim" } else { "hidden_size" };
    let (Some(vocab), Some(hidden)) = (number("vocab_size"), number(width)) else { return Ok(()) };
    for (name, info) in weights {
        let is_embedding = EMBEDDINGS.iter().any(|ending| name.ends_with(ending));
        if is_embedding && info.shape != [vocab, hidden] {
            let (found, expected) = (info.shape.clone(), vec![vocab, hidden]);
            return Err(Error::Shape { path: path.to_owned(), name: name.clone(), found, expected });
        }
    }
    Ok(())
}
