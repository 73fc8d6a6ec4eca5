use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use safetensors::tensor::Metadata;
use serde_json::{Map, Value};

use crate::{Error, error::Result};

/// Families that the engine can train; it says itself what each of them needs.
const FAMILIES: [&str; 2] = ["bert", "words"];
/// The longest header that a safetensors file may have, as its own library has it.
const HEADER_LIMIT: u64 = 100_000_000;

/// What a look at a model folder tells, without loading any weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    pub folder: PathBuf,
    pub family: String,
    /// Number of weights in the file.
    pub parameters: Option<i64>,
}

/// Looks whether a folder holds a model that can be trained: its config.json, a tokenizer.json,
/// and a whole model.safetensors whose word embeddings have the shape that the config says.
pub fn check(folder: &Path) -> Result<ModelFolder> {
    if !std::fs::metadata(folder).map_err(|error| Error::read(folder, error))?.is_dir() {
        return Err(Error::NotFound { path: folder.to_owned() });
    }
    let path = folder.join("config.json");
    let missing = |missing| Error::Incomplete { path: folder.to_owned(), missing };
    let text = std::fs::read(&path).map_err(|error| match Error::read(&path, error) {
        Error::NotFound { .. } => missing("config.json"),
        other => other,
    })?;
    let config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| Error::Config { path: path.clone(), reason: error.to_string() })?;
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !FAMILIES.contains(&family.as_str()) {
        return Err(Error::Family { path: folder.to_owned(), family, known: FAMILIES.join(" and ") });
    }
    if family == "words" {
        return Ok(ModelFolder { folder: folder.to_owned(), family, parameters: None });
    }
    let weights = folder.join("model.safetensors");
    if !weights.exists() {
        let pickle = folder.join("pytorch_model.bin");
        return Err(match pickle.exists() {
            true => Error::Pickle { path: folder.to_owned(), found: "pytorch_model.bin".to_owned() },
            false => missing("model.safetensors"),
        });
    }
    if !folder.join("tokenizer.json").exists() {
        return Err(missing("tokenizer.json"));
    }
    let header = read_header(&weights)?;
    check_embeddings(&weights, &header, &config)?;
    let count = header.tensors().values().map(|info| info.shape.iter().product::<usize>()).sum::<usize>();
    Ok(ModelFolder { folder: folder.to_owned(), family, parameters: i64::try_from(count).ok() })
}

/// The header of a safetensors file whose data are as long as the header says.
fn read_header(path: &Path) -> Result<Metadata> {
    let wrong = |reason: String| Error::Weights { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(|error| Error::read(path, error))?;
    let length = file.metadata().map_err(|error| Error::read(path, error))?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| wrong("it is too short".to_owned()))?;
    let size = u64::from_le_bytes(size);
    if size > HEADER_LIMIT || size > length.saturating_sub(8) {
        return Err(wrong("its header is longer than the file".to_owned()));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(|error| Error::read(path, error))?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(error.to_string()))?;
    let data = header.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0) as u64;
    if data != length - 8 - size {
        return Err(wrong(format!(
            "it has {} bytes of weights where its header says {data}",
            length - 8 - size
        )));
    }
    Ok(header)
}

/// The one shape that tells a config of another model at once.
fn check_embeddings(path: &Path, header: &Metadata, config: &Map<String, Value>) -> Result<()> {
    let number = |name: &str| config.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let (Some(vocab), Some(hidden)) = (number("vocab_size"), number("hidden_size")) else { return Ok(()) };
    for (name, info) in header.tensors() {
        if name.ends_with("embeddings.word_embeddings.weight") && info.shape != [vocab, hidden] {
            let (found, expected) = (info.shape.clone(), vec![vocab, hidden]);
            return Err(Error::Shape { path: path.to_owned(), name, found, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use safetensors::{Dtype, tensor::TensorView};

    fn folder(config: &str, rows: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let data = vec![0u8; rows * 2 * 4];
        let view = TensorView::new(Dtype::F32, vec![rows, 2], &data).unwrap();
        let bytes = safetensors::serialize([("embeddings.word_embeddings.weight", view)], None).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        folder
    }

    const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 3, "hidden_size": 2}"#;

    #[test]
    fn a_whole_folder_tells_its_family_and_size() {
        let folder = folder(CONFIG, 3);
        let found = check(folder.path()).unwrap();
        assert_eq!((found.family.as_str(), found.parameters), ("bert", Some(6)));
    }

    #[test]
    fn what_is_missing_is_named() {
        for missing in ["config.json", "model.safetensors", "tokenizer.json"] {
            let folder = folder(CONFIG, 3);
            std::fs::remove_file(folder.path().join(missing)).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(
                matches!(&error, Error::Incomplete { missing: named, .. } if *named == missing),
                "{error}"
            );
        }
        assert!(matches!(check(Path::new("/nowhere")), Err(Error::NotFound { .. })));
    }

    #[test]
    fn weights_that_are_only_a_pickle_are_refused_with_what_to_do() {
        let folder = folder(CONFIG, 3);
        let path = folder.path();
        std::fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).unwrap();
        let error = check(path).unwrap_err();
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }

    #[test]
    fn other_families_other_shapes_and_torn_files_are_refused() {
        let error = check(folder(r#"{"model_type": "t5"}"#, 3).path()).unwrap_err();
        assert!(matches!(&error, Error::Family { family, .. } if family == "t5"), "{error}");
        assert!(matches!(check(folder(CONFIG, 4).path()), Err(Error::Shape { .. })));
        assert!(matches!(check(folder("{", 3).path()), Err(Error::Config { .. })));
        let torn = folder(CONFIG, 3);
        let path = torn.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 4, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(check(torn.path()), Err(Error::Weights { .. })), "{length}");
        }
    }
}
