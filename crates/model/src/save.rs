use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use serde_json::{Map, Value, json};

use crate::{Error, Network, error::Result};

/// Under this name config.json holds what only this program reads; Transformers passes over it.
pub(crate) const NOTES: &str = "mbti_tuner";

/// Files of the model folder that belong to the tokenizer and go along unchanged.
const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "tokenizer.model",
];

/// Writes the network as a folder that Transformers loads as it is: config.json with the labels,
/// model.safetensors, and the tokenizer's files.
///
/// Everything is written to a folder beside, synced, and renamed, so that `folder` is either
/// whole or as it was.
pub fn save(network: &Network, folder: &Path, notes: Map<String, Value>) -> Result<()> {
    let beside = |ending: &str| -> PathBuf {
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        folder.with_file_name(name)
    };
    let (new, old) = (beside(".new"), beside(".old"));
    for leftover in [&new, &old] {
        remove(leftover)?;
    }
    std::fs::create_dir_all(&new).map_err(|error| Error::write(&new, error))?;
    let written = write_files(network, &new, notes).and_then(|()| {
        if folder.exists() {
            std::fs::rename(folder, &old).map_err(|error| Error::write(folder, error))?;
        }
        std::fs::rename(&new, folder).map_err(|error| Error::write(folder, error))?;
        sync(folder.parent().unwrap_or(folder))
    });
    if written.is_err() {
        // The half-written folder only takes the room that was lacking.
        remove(&new).ok();
    }
    written?;
    remove(&old)
}

fn write_files(network: &Network, new: &Path, notes: Map<String, Value>) -> Result<()> {
    let mut config = network.config.clone();
    network.head.write(&mut config);
    if let Some(architecture) = network.architecture() {
        config.insert("architectures".into(), json!([architecture]));
        config.remove("torch_dtype");
        config.insert("dtype".into(), json!("float32"));
    }
    config.insert(NOTES.into(), Value::Object(notes));
    let path = new.join("config.json");
    let text = serde_json::to_vec_pretty(&config).map_err(|error| Error::write(&path, error.into()))?;
    let mut file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| Error::write(&path, error))?;

    let path = new.join("model.safetensors");
    let tensors: Vec<(&str, &Tensor)> =
        network.weights.parameters.iter().map(|p| (p.name.as_str(), p.var.as_tensor())).collect();
    // Transformers asks for this note before it takes a file for PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), &path)
        .map_err(|error| Error::write(&path, std::io::Error::other(error.to_string())))?;
    sync(&path)?;

    for name in TOKENIZER_FILES {
        let (from, to) = (network.folder.join(name), new.join(name));
        if from.exists() {
            std::fs::copy(&from, &to).map_err(|error| Error::write(&to, error))?;
            sync(&to)?;
        }
    }
    sync(new)
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::write(path, error))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(folder, error)),
        _ => Ok(()),
    }
}
