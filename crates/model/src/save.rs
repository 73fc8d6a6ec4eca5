use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use candle_core::{DType, Tensor};
use record::{Dtype, Trainable};
use serde_json::{Map, Value, json};

use crate::{Error, Network, adapter, error::Result, network::CONFIG, source};

/// Under this name config.json holds what only this program reads; Transformers passes over it.
pub(crate) const NOTES: &str = "mbti_tuner";

/// The size past which weights are cut into shards, as Transformers long did, so that no file is
/// larger than what most tools handle.
const SHARD_BYTES: usize = 5_000_000_000;

/// Files of the model folder that belong to the tokenizer and go along unchanged.
const TOKENIZER_FILES: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
];

/// Writes the network as a folder: where LoRA learns, its matrices and the head as PEFT lays them
/// out, with a config.json that has the labels; else a whole model that Transformers loads as it is.
///
/// Everything is written to a folder beside, synced, and renamed, so that `folder` is either
/// whole or as it was.
pub fn save(network: &Network, folder: &Path, notes: Map<String, Value>) -> Result<()> {
    place(folder, |new| match network.trainable {
        Trainable::Lora => write_adapter(network, new, notes),
        Trainable::All | Trainable::Head => write_model(network, new, notes, SHARD_BYTES),
    })
}

/// Writes the network as a whole model, with what LoRA adds merged into the weights that it
/// stands beside: W + s B A.
pub fn save_merged(network: &Network, folder: &Path, notes: Map<String, Value>) -> Result<()> {
    place(folder, |new| write_model(network, new, notes, SHARD_BYTES))
}

/// Fills a folder beside its place and renames it there.
fn place(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
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
    let written = fill(&new).and_then(|()| {
        sync(&new)?;
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

fn write_model(network: &Network, new: &Path, notes: Map<String, Value>, shard_bytes: usize) -> Result<()> {
    let tensors = whole_weights(network)?;
    write_json(&new.join(CONFIG), &Value::Object(config(network, notes)))?;
    write_weights(&tensors, new, shard_bytes)?;
    copy_tokenizer(network, new)
}

fn write_adapter(network: &Network, new: &Path, notes: Map<String, Value>) -> Result<()> {
    let described =
        adapter::describe(&network.weights, &network.lora, &network.base_folder, network.about.head_modules);
    write_json(&new.join(adapter::CONFIG), &described)?;
    write_json(&new.join(CONFIG), &Value::Object(config(network, notes)))?;
    let parameters = network.weights.parameters.iter();
    let named = parameters.map(|p| (format!("{}{}", adapter::PREFIX, p.name), p.var.as_tensor().clone()));
    write_safetensors(&named.collect(), &new.join(adapter::WEIGHTS))?;
    copy_tokenizer(network, new)
}

/// The config.json of what is saved.
fn config(network: &Network, notes: Map<String, Value>) -> Map<String, Value> {
    let mut config = network.config.clone();
    network.head.write(&mut config);
    if let Some(architecture) = network.about.architecture {
        config.insert("architectures".into(), json!([architecture]));
        config.remove("torch_dtype");
        let dtype = match network.dtype {
            Dtype::F32 => "float32",
            Dtype::Bf16 => "bfloat16",
        };
        config.insert("dtype".into(), json!(dtype));
    }
    // Transformers refuses to classify several texts at once by a decoder without a padding token.
    if network.is_decoder() && config.get("pad_token_id").is_none_or(Value::is_null) {
        let end = match config.get("eos_token_id") {
            Some(Value::Array(all)) => all.first().cloned(),
            other => other.cloned(),
        };
        if let Some(end) = end.filter(Value::is_u64) {
            config.insert("pad_token_id".into(), end);
        }
    }
    config.insert(NOTES.into(), Value::Object(notes));
    config
}

/// All weights by their names in Transformers, with LoRA merged.
fn whole_weights(network: &Network) -> Result<BTreeMap<String, Tensor>> {
    let weights = &network.weights;
    let learned = weights.parameters.iter().map(|p| (p.name.clone(), p.var.as_detached_tensor()));
    let mut tensors: BTreeMap<String, Tensor> = learned
        .filter(|(name, _)| !name.ends_with(".lora_A.weight") && !name.ends_with(".lora_B.weight"))
        .collect();
    tensors.extend(weights.frozen.iter().cloned());
    for adapted in &weights.adapted {
        let name = format!("{}.weight", adapted.layer);
        let Some(weight) = tensors.get_mut(&name) else { continue };
        let added = (adapted.b.matmul(&adapted.a)? * adapted.scale)?;
        *weight = (weight.to_dtype(DType::F32)? + added)?.to_dtype(weight.dtype())?;
    }
    Ok(tensors)
}

/// Writes weights as one file, or as shards of at most so many bytes with an index.
fn write_weights(tensors: &BTreeMap<String, Tensor>, new: &Path, shard_bytes: usize) -> Result<()> {
    let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
    let mut shards: Vec<BTreeMap<String, Tensor>> = vec![BTreeMap::new()];
    let mut room = shard_bytes;
    for (name, tensor) in tensors {
        let size = bytes(tensor);
        if size > room && shards.last().is_some_and(|shard| !shard.is_empty()) {
            shards.push(BTreeMap::new());
            room = shard_bytes;
        }
        room = room.saturating_sub(size);
        if let Some(shard) = shards.last_mut() {
            shard.insert(name.clone(), tensor.clone());
        }
    }
    if let [single] = &shards[..] {
        return write_safetensors(single, &new.join(source::WEIGHTS));
    }
    let mut weight_map = Map::new();
    let count = shards.len();
    for (place, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", place + 1);
        write_safetensors(shard, &new.join(&file))?;
        weight_map.extend(shard.keys().map(|name| (name.clone(), json!(file))));
    }
    let total: usize = tensors.values().map(bytes).sum();
    write_json(
        &new.join(source::INDEX),
        &json!({"metadata": {"total_size": total}, "weight_map": weight_map}),
    )
}

fn write_safetensors(tensors: &BTreeMap<String, Tensor>, path: &Path) -> Result<()> {
    // Transformers asks for this note before it takes a file for PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|error| Error::write(path, std::io::Error::other(error.to_string())))?;
    sync(path)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| Error::write(path, error.into()))?;
    let mut file = File::create(path).map_err(|error| Error::write(path, error))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| Error::write(path, error))
}

fn copy_tokenizer(network: &Network, new: &Path) -> Result<()> {
    for name in TOKENIZER_FILES {
        let (from, to) = (network.folder.join(name), new.join(name));
        if from.exists() {
            std::fs::copy(&from, &to).map_err(|error| Error::write(&to, error))?;
            sync(&to)?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::Source;

    #[test]
    fn weights_past_the_limit_are_cut_into_shards_that_read_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let tensor = |value: f32| Tensor::full(value, 10, &candle_core::Device::Cpu).unwrap();
        let tensors: BTreeMap<String, Tensor> =
            (0..5).map(|n| (format!("weight.{n}"), tensor(n as f32))).collect();
        write_weights(&tensors, folder.path(), 100).unwrap();
        let index = std::fs::read_to_string(folder.path().join(source::INDEX)).unwrap();
        assert!(index.contains("model-00003-of-00003.safetensors") && index.contains("\"total_size\": 200"));
        let source = Source::of_folder(folder.path()).unwrap();
        for (name, expected) in tensors {
            let found = source.load(&name, DType::F32).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(found, expected.to_vec1::<f32>().unwrap());
        }
    }

    #[test]
    fn weights_below_the_limit_are_one_file_also_when_a_single_one_is_larger() {
        let tensors = BTreeMap::from([(
            "weight".to_owned(),
            Tensor::full(1f32, 10, &candle_core::Device::Cpu).unwrap(),
        )]);
        for limit in [10, 1000] {
            let folder = tempfile::tempdir().unwrap();
            write_weights(&tensors, folder.path(), limit).unwrap();
            assert!(
                folder.path().join(source::WEIGHTS).exists() && !folder.path().join(source::INDEX).exists()
            );
        }
    }
}
