use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write,
    path::Path,
};

use candle_core::Tensor;
use compute::Held;
use data::TOKENIZER_LIMIT;
use files::JSON_LIMIT;
use record::{Dtype, Quantization, Trainable};
use serde_json::{Map, Value, json};

use crate::{
    Error, Network, Weights, adapter,
    config_file::{CONFIG, NOTES, QUANTIZATION},
    error::Result,
    ops::add_into,
    place::{place, sync},
    source::{self, Source},
};

/// The size past which weights are cut into shards, as Transformers long did, so that no file is
/// larger than what most tools handle.
const SHARD_BYTES: usize = 5_000_000_000;

/// Files of the model folder that go along unchanged: the tokenizer's, and what has to be passed
/// on with a model.
const COMPANIONS: [&str; 14] = [
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
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
];

/// Writes the network as a folder: where LoRA learns, its matrices and the head as PEFT lays them
/// out, with a config.json that has the labels; else a whole model that Transformers loads as it is.
///
/// Everything is written to a folder beside, synced, and renamed, so that `folder` is either
/// whole or as it was.
pub fn save(network: &Network, folder: &Path, notes: Map<String, Value>) -> Result<()> {
    place(folder, |new| write(network, new, notes))
}

/// Writes the same files into a folder that is there and empty, each synced. Whoever made the
/// folder has to see to it that nobody takes it for whole before.
pub fn write(network: &Network, folder: &Path, notes: Map<String, Value>) -> Result<()> {
    match network.trainable {
        Trainable::Lora => write_adapter(network, folder, notes),
        Trainable::All | Trainable::Head => write_model(network, folder, notes, SHARD_BYTES, &|| true),
    }
}

/// Gives every weight that learns the value that [`save`] or [`write`] has put into this folder,
/// bit for bit. The folder must be of a network that was built with the same settings.
pub fn restore(network: &Network, folder: &Path) -> Result<()> {
    let (source, prefix) = match network.trainable {
        Trainable::Lora => {
            let file = folder.join(adapter::WEIGHTS);
            (Source::of_files(file.clone(), &[file])?, adapter::PREFIX)
        }
        Trainable::All | Trainable::Head => (Source::of_folder(folder)?, ""),
    };
    for parameter in &network.weights.parameters {
        let name = format!("{prefix}{}", parameter.name);
        if !source.has(&name) {
            return Err(Error::MissingWeight { path: source.path, name });
        }
        source.check_shape(&name, parameter.var.dims())?;
        let values = source.load(&name, parameter.var.dtype())?;
        parameter.var.set(&values.to_device(parameter.var.device())?)?;
    }
    Ok(())
}

/// Writes the network as a whole model, with what LoRA adds merged into the weights that it
/// stands beside: W + s B A. That is done in place, so that no second copy of the model is held,
/// and uses the network up. Where `goes_on` says no between two of its files, nothing is left of it.
pub fn save_merged(
    network: Network,
    folder: &Path,
    notes: Map<String, Value>,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    merge(&network)?;
    place(folder, |new| write_model(&network, new, notes, SHARD_BYTES, goes_on))
}

/// The same into a folder of the user's choice, where nothing is yet; what lies beside it is not touched, whatever it is
/// called.
pub fn save_merged_anew(
    network: Network,
    folder: &Path,
    notes: Map<String, Value>,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    merge(&network)?;
    let failed = |error| Error::write(folder, error);
    let new = files::NewFolder::begin(folder).map_err(failed)?;
    write_model(&network, new.path(), notes, SHARD_BYTES, goes_on)?;
    sync(new.path())?;
    new.put_new().map_err(failed)
}

fn merge(network: &Network) -> Result<()> {
    let tensors = whole_weights(&network.weights)?;
    for adapted in &network.weights.adapted {
        if let Some(weight) = tensors.get(&format!("{}.weight", adapted.layer)) {
            add_into(weight, &(adapted.b.matmul(&adapted.a)? * adapted.scale)?)?;
        }
    }
    Ok(())
}

fn write_model(
    network: &Network,
    new: &Path,
    notes: Map<String, Value>,
    shard_bytes: usize,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    let tensors = whole_weights(&network.weights)?;
    write_json(&new.join(CONFIG), &Value::Object(config(network, notes)))?;
    write_weights(&tensors, new, shard_bytes, goes_on)?;
    copy_companions(network, new)
}

fn check(goes_on: &dyn Fn() -> bool) -> Result<()> {
    if goes_on() { Ok(()) } else { Err(Error::Stopped) }
}

fn write_adapter(network: &Network, new: &Path, notes: Map<String, Value>) -> Result<()> {
    let described =
        adapter::describe(&network.weights, &network.lora, &network.base_folder, network.about.head_modules);
    write_json(&new.join(adapter::CONFIG), &described)?;
    write_json(&new.join(CONFIG), &Value::Object(config(network, notes)))?;
    let parameters = network.weights.parameters.iter();
    let named = parameters.map(|p| (format!("{}{}", adapter::PREFIX, p.name), p.var.as_tensor().clone()));
    write_safetensors(&named.collect(), &new.join(adapter::WEIGHTS))?;
    copy_companions(network, new)
}

/// The config.json of what is saved.
fn config(network: &Network, notes: Map<String, Value>) -> Map<String, Value> {
    let mut config = network.config.clone();
    network.head.write(&mut config);
    if let Some(architecture) = network.about.architecture {
        config.insert("architectures".into(), json!([architecture]));
        config.remove("torch_dtype");
        let dtype = match network.dtype {
            Dtype::F32 | Dtype::Bf16Mixed | Dtype::Tf32 => "float32",
            Dtype::Bf16 => "bfloat16",
        };
        config.insert("dtype".into(), json!(dtype));
    }
    // It names Python files of the folder it came from, which are not needed and not taken along.
    config.remove("auto_map");
    // Transformers refuses to classify several texts at once by a decoder without a padding token.
    if network.about.is_decoder
        && config.get("pad_token_id").is_none_or(Value::is_null)
        && let Some(id) = padding_id(network).or_else(|| end_id(&config))
    {
        config.insert("pad_token_id".into(), json!(id));
    }
    let mut notes = notes;
    notes.remove(QUANTIZATION);
    if network.quantization != Quantization::None {
        notes.insert(QUANTIZATION.into(), json!(network.quantization));
    }
    config.insert(NOTES.into(), Value::Object(notes));
    config
}

/// The id of the token that the folder's tokenizer pads with. Transformers looks for the last
/// token that is not this one, so that another would make it read the padding.
fn padding_id(network: &Network) -> Option<u64> {
    let read = |name: &str, limit: u64| -> Option<Value> {
        let folder = network.companion(name).ok()??;
        serde_json::from_slice(&folder.read(name, limit).ok()?).ok()
    };
    padding_id_of(&read("tokenizer_config.json", JSON_LIMIT)?, &read("tokenizer.json", TOKENIZER_LIMIT)?)
}

fn padding_id_of(config: &Value, tokenizer: &Value) -> Option<u64> {
    let token = config.get("pad_token")?;
    let token = token.as_str().or_else(|| token.get("content")?.as_str())?;
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    let added =
        added.into_iter().flatten().find(|added| added.get("content").and_then(Value::as_str) == Some(token));
    let id =
        added.and_then(|added| added.get("id")).or_else(|| tokenizer.get("model")?.get("vocab")?.get(token));
    id?.as_u64()
}

/// The id of the token that ends a text, the first where there are several.
fn end_id(config: &Map<String, Value>) -> Option<u64> {
    match config.get("eos_token_id")? {
        Value::Array(all) => all.first()?.as_u64(),
        one => one.as_u64(),
    }
}

/// All weights by their names in Transformers, without LoRA's matrices. Those in 4 or 8 bits are no longer what the base
/// model has, and are not written as if they were.
fn whole_weights(weights: &Weights) -> Result<BTreeMap<String, Tensor>> {
    let is_lora = |name: &str| name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight");
    let learned = weights.parameters.iter().filter(|parameter| !is_lora(&parameter.name));
    let mut all: BTreeMap<String, Tensor> =
        learned.map(|parameter| (parameter.name.clone(), parameter.var.as_detached_tensor())).collect();
    for (name, held) in &weights.frozen {
        let Held::Plain(tensor) = held else { return Err(Error::Quantised { name: name.clone() }) };
        all.insert(name.clone(), tensor.clone());
    }
    Ok(all)
}

/// Writes weights as one file, or as shards of at most so many bytes with an index.
fn write_weights(
    tensors: &BTreeMap<String, Tensor>,
    new: &Path,
    shard_bytes: usize,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    check(goes_on)?;
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
        write_safetensors(single, &new.join(source::WEIGHTS))?;
        return check(goes_on);
    }
    let mut weight_map = Map::new();
    let count = shards.len();
    for (place, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", place + 1);
        write_safetensors(shard, &new.join(&file))?;
        check(goes_on)?;
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
    // The crate makes it for its owner alone, whatever the others in the folder are.
    if let Some(beside) = path.parent().map(|folder| folder.join(CONFIG)).filter(|file| file.exists()) {
        let usual = std::fs::metadata(beside).map_err(|error| Error::read(path, error))?.permissions();
        std::fs::set_permissions(path, usual).map_err(|error| Error::write(path, error))?;
    }
    sync(path)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| Error::write(path, error.into()))?;
    let mut file = File::create(path).map_err(|error| Error::write(path, error))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| Error::write(path, error))
}

fn copy_companions(network: &Network, new: &Path) -> Result<()> {
    for name in COMPANIONS {
        let to = new.join(name);
        let unreadable = |error| Error::read(&network.folder.join(name), error);
        if let Some(folder) = network.companion(name).map_err(unreadable)? {
            let mut from = folder.open(name).map_err(unreadable)?;
            let mut file = File::create(&to).map_err(|error| Error::write(&to, error))?;
            std::io::copy(&mut from, &mut file)
                .and_then(|_| file.sync_all())
                .map_err(|error| Error::write(&to, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn weights_past_the_limit_are_cut_into_shards_that_read_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let tensor = |value: f32| Tensor::full(value, 10, &candle_core::Device::Cpu).unwrap();
        let tensors: BTreeMap<String, Tensor> =
            (0..5).map(|n| (format!("weight.{n}"), tensor(n as f32))).collect();
        write_weights(&tensors, folder.path(), 100, &|| true).unwrap();
        let index = std::fs::read_to_string(folder.path().join(source::INDEX)).unwrap();
        assert!(index.contains("model-00003-of-00003.safetensors") && index.contains("\"total_size\": 200"));
        let source = Source::of_folder(folder.path()).unwrap();
        for (name, expected) in tensors {
            let found = source.load(&name, candle_core::DType::F32).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(found, expected.to_vec1::<f32>().unwrap());
        }
    }

    #[test]
    fn writing_is_stopped_between_two_shards_and_after_the_last() {
        let tensor = Tensor::full(1f32, 10, &candle_core::Device::Cpu).unwrap();
        let tensors: BTreeMap<String, Tensor> = (0..3).map(|n| (format!("{n}"), tensor.clone())).collect();
        for (limit, all) in [(50, 3), (1000, 1)] {
            for looks in 0..=all {
                let folder = tempfile::tempdir().unwrap();
                let left = std::cell::Cell::new(looks);
                let goes_on = || left.replace(left.get() - 1) > 0;
                let stopped = write_weights(&tensors, folder.path(), limit, &goes_on);
                assert!(matches!(stopped, Err(Error::Stopped)), "{limit}, {looks}");
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), looks as usize);
            }
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
            write_weights(&tensors, folder.path(), limit, &|| true).unwrap();
            assert!(
                folder.path().join(source::WEIGHTS).exists() && !folder.path().join(source::INDEX).exists()
            );
        }
    }

    #[test]
    fn a_decoder_without_a_padding_token_gets_the_one_that_its_tokenizer_pads_with() {
        let config = json!({"pad_token": "<|pad|>", "eos_token": "<|end|>"});
        let added = json!([{"id": 7, "content": "<|end|>"}, {"id": 9, "content": "<|pad|>"}]);
        assert_eq!(padding_id_of(&config, &json!({"added_tokens": added})), Some(9));
        let config = json!({"pad_token": {"content": "x"}});
        assert_eq!(padding_id_of(&config, &json!({"model": {"vocab": {"x": 3}}})), Some(3));
        assert_eq!(padding_id_of(&json!({"pad_token": null}), &json!({})), None);
        let config = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        assert_eq!(end_id(&config(r#"{"eos_token_id": [5, 6]}"#)), Some(5));
        assert_eq!(end_id(&config(r#"{"eos_token_id": 4}"#)), Some(4));
    }
}
