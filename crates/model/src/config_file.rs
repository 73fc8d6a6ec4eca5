//! The config.json of a model folder.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, error::Result};

pub(crate) const CONFIG: &str = "config.json";
/// The note of the bits that the base was held in while an adapter learned.
pub(crate) const QUANTIZATION: &str = "quantization";

/// Under this name config.json holds what only this program reads; Transformers passes over it.
pub(crate) const NOTES: &str = "mbti_tuner";

pub(crate) fn read_config(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(CONFIG);
    let read = files::Enclosure::of(folder).and_then(|folder| folder.read(CONFIG, files::JSON_LIMIT));
    let text = read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Incomplete { path: folder.to_owned(), missing: CONFIG.to_owned() }
        }
        _ => Error::read(&path, error),
    })?;
    serde_json::from_slice(&text).map_err(|error| Error::Config { path, reason: error.to_string() })
}
