//! Small model folders for the tests of this crate.
#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, path::Path};

use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

use crate::folder::weights::{INDEX, SINGLE};

pub const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 3, "hidden_size": 2}"#;
pub const EMBEDDINGS: &str = "embeddings.word_embeddings.weight";
pub const MODULES: &str = r#"[
  {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
]"#;
/// The two shards that [`shard`] makes.
pub const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// A whole folder whose one weight is an embedding of this many rows and two columns.
pub fn folder(config: &str, rows: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), config, EMBEDDINGS, rows);
    folder
}

pub fn fill(folder: &Path, config: &str, name: &str, rows: usize) {
    weights(&folder.join(SINGLE), name, rows);
    std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    std::fs::write(folder.join("config.json"), config).unwrap();
}

pub fn weights(path: &Path, name: &str, rows: usize) {
    let data = vec![0u8; rows * 2 * 4];
    let view = TensorView::new(Dtype::F32, vec![rows, 2], &data).unwrap();
    std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}

/// Puts two shards in the place of the one file: the embedding, and another weight of four rows.
pub fn shard(folder: &Path) {
    std::fs::remove_file(folder.join(SINGLE)).unwrap();
    weights(&folder.join(SHARDS[0]), EMBEDDINGS, 3);
    weights(&folder.join(SHARDS[1]), "pooler.weight", 4);
    std::fs::write(folder.join(INDEX), index([(EMBEDDINGS, SHARDS[0]), ("pooler.weight", SHARDS[1])]))
        .unwrap();
}

pub fn index<'a>(places: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let map: HashMap<&str, &str> = places.into_iter().collect();
    json!({"metadata": {"total_size": 56}, "weight_map": map}).to_string()
}

/// Broken forms of a file: cut off, with a byte changed, or something else altogether.
pub fn garbled(text: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let whole = text.as_bytes().to_vec();
    let changed = (0..whole.len(), any::<u8>(), 0..=whole.len()).prop_map(move |(place, byte, length)| {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        bytes.truncate(length);
        bytes
    });
    let cut = text.as_bytes().to_vec();
    prop_oneof![
        changed,
        (0..cut.len()).prop_map(move |length| cut[..length].to_vec()),
        proptest::collection::vec(any::<u8>(), 0..64),
    ]
}
