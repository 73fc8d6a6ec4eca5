use std::path::{Path, PathBuf};

use files::{Enclosure, JSON_LIMIT};
use serde_json::{Map, Value};

use super::{
    layout::{CONFIG, TOKENIZER, locate},
    quantized, weights,
};
use crate::{Error, card_head, error::Result};

/// Bytes of a model's card.
const CARD_LIMIT: u64 = 1 << 20;

/// Families that the engine can train; it says itself what each of them needs.
pub(crate) const FAMILIES: [&str; 11] = [
    "phi3",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "modernbert",
    "words",
];

/// What a look at a model folder tells, without loading any weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    /// Where config.json lies, which is a subfolder of what was looked at in some layouts.
    pub folder: PathBuf,
    pub family: String,
    /// Number of weights in all files together.
    pub parameters: Option<i64>,
    /// Names of the files that hold the weights, with that of the index if there are shards.
    pub weights: Vec<String>,
    /// Rows of the table of word embeddings: the ids that a tokenizer may give are below it.
    pub vocabulary: Option<u32>,
}

/// Looks whether a folder holds a model that can be trained: its config.json, a tokenizer.json,
/// and whole weights in safetensors whose word embeddings have the shape that the config says.
pub fn check(folder: &Path) -> Result<ModelFolder> {
    let folder = locate(folder)?;
    if folder.join("adapter_config.json").exists() && !weights::exist(&folder) {
        return Err(Error::Adapter { path: folder });
    }
    let path = folder.join(CONFIG);
    let missing = || Error::Incomplete { path: folder.clone(), missing: CONFIG.to_owned() };
    let model = Enclosure::of(&folder).map_err(|error| match Error::read(&folder, error) {
        Error::NotFound { .. } => missing(),
        other => other,
    })?;
    let text = model.read(CONFIG, JSON_LIMIT).map_err(|error| match Error::of_file(&path, error) {
        // Folders of one GGUF file, say, have no config, and it would be of no use to fetch one.
        Error::NotFound { .. } => weights::other_format(&folder).unwrap_or_else(missing),
        other => other,
    })?;
    let config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| Error::Config { path: path.clone(), reason: error.to_string() })?;
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !FAMILIES.contains(&family.as_str()) {
        return Err(Error::Family { path: folder, family, known: FAMILIES.join(", ") });
    }
    if family == "words" {
        // The built-in one starts empty, but one that was trained has weights to go on from.
        let weights = folder.join(weights::SINGLE).exists().then(|| weights::SINGLE.to_owned());
        return Ok(ModelFolder {
            folder,
            family,
            parameters: None,
            weights: weights.into_iter().collect(),
            vocabulary: None,
        });
    }
    let shards = weights::find(&model)?;
    if let Some(error) = quantized::refused(folder.display().to_string(), &config, &card(&model)) {
        return Err(error);
    }
    match model.resolve(TOKENIZER) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoTokenizer { path: folder });
        }
        Err(error) => return Err(Error::of_file(&folder.join(TOKENIZER), error)),
    }
    let count = weights::check(&model, &shards, &config)?;
    let index = (!shards.contains_key(weights::SINGLE)).then(|| weights::INDEX.to_owned());
    let weights = shards.into_keys().chain(index).collect();
    let vocabulary = config.get("vocab_size").and_then(Value::as_u64).and_then(|size| size.try_into().ok());
    Ok(ModelFolder { folder, family, parameters: i64::try_from(count).ok(), weights, vocabulary })
}

/// The head of the folder's card, as far as it is read here; null where there is none.
fn card(model: &Enclosure) -> Value {
    let text = model.read("README.md", CARD_LIMIT).unwrap_or_default();
    card_head::head(&String::from_utf8_lossy(&text), &[quantized::ORIGINAL]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        WeightFormat,
        folder::{
            samples::{self, CONFIG, EMBEDDINGS, SHARDS, folder},
            weights::{self, INDEX, SINGLE},
        },
    };
    use proptest::prelude::*;

    #[test]
    fn a_whole_folder_tells_its_family_and_size() {
        let folder = folder(CONFIG, 3);
        let found = check(folder.path()).unwrap();
        assert_eq!((found.family.as_str(), found.parameters), ("bert", Some(6)));
        assert_eq!(
            (found.folder.as_path(), found.weights.as_slice()),
            (folder.path(), &[SINGLE.to_owned()][..])
        );
    }

    #[test]
    fn every_family_is_held_to_the_shape_of_its_embeddings() {
        for (family, name, width) in [
            ("bert", "bert.embeddings.word_embeddings.weight", "hidden_size"),
            ("roberta", "roberta.embeddings.word_embeddings.weight", "hidden_size"),
            ("xlm-roberta", "roberta.embeddings.word_embeddings.weight", "hidden_size"),
            ("distilbert", "distilbert.embeddings.word_embeddings.weight", "dim"),
            ("modernbert", "model.embeddings.tok_embeddings.weight", "hidden_size"),
            ("phi3", "model.embed_tokens.weight", "hidden_size"),
            ("llama", "model.embed_tokens.weight", "hidden_size"),
            ("mistral", "model.embed_tokens.weight", "hidden_size"),
            ("qwen2", "model.embed_tokens.weight", "hidden_size"),
            ("qwen3", "embed_tokens.weight", "hidden_size"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let config = format!(r#"{{"model_type": "{family}", "vocab_size": 3, "{width}": 2}}"#);
            samples::fill(folder.path(), &config, name, 3);
            assert_eq!(check(folder.path()).unwrap().family, family);
            samples::fill(folder.path(), &config, name, 4);
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Shape { found, .. } if found == &[4, 2]), "{family}: {error}");
        }
    }

    #[test]
    fn a_quantized_model_is_refused_by_name_with_its_original() {
        let config = r#"{"model_type": "bert", "vocab_size": 3, "hidden_size": 2, "quantization_config": {"bits": 4, "quant_method": "gptq"}}"#;
        let folder = folder(config, 3);
        let told = || check(folder.path()).unwrap_err();
        assert!(matches!(told(), Error::Quantized { original: None, .. }), "{}", told());
        std::fs::write(folder.path().join("README.md"), "---\nbase_model:\n- x/whole\n---\n").unwrap();
        assert!(matches!(told(), Error::Quantized { original: Some(name), .. } if name == "x/whole"));
        std::fs::write(folder.path().join("README.md"), "---\nbase_model: [\n---\n\u{0}").unwrap();
        assert!(matches!(told(), Error::Quantized { original: None, .. }), "{}", told());
    }

    #[test]
    fn what_is_missing_is_named() {
        for missing in ["config.json", SINGLE, "tokenizer.json"] {
            let folder = folder(CONFIG, 3);
            std::fs::remove_file(folder.path().join(missing)).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("has no {missing}")), "{error}");
            assert_eq!(error.problem().params["missing"], missing);
        }
        let folder = folder(CONFIG, 3);
        std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        let error = check(folder.path()).unwrap_err();
        assert!(error.to_string().contains("AutoTokenizer"), "{error}");
        assert!(matches!(check(Path::new("/nowhere")), Err(Error::NotFound { .. })));
    }

    #[test]
    fn weights_in_another_format_are_refused_with_what_to_do() {
        for (file, format, advice) in [
            ("pytorch_model.bin", WeightFormat::Pickle, "save_pretrained"),
            ("pytorch_model-00001-of-00002.bin", WeightFormat::Pickle, "run programs"),
            ("last.ckpt", WeightFormat::Pickle, "model.safetensors"),
            ("tf_model.h5", WeightFormat::TensorFlow, "TensorFlow"),
            ("flax_model.msgpack", WeightFormat::Flax, "Flax"),
            (
                "model.Q4_K_M.gguf",
                WeightFormat::Gguf,
                "quantised format for inference that cannot be trained",
            ),
            ("model.onnx", WeightFormat::Onnx, "cannot be trained"),
        ] {
            let folder = folder(CONFIG, 3);
            let path = folder.path();
            std::fs::rename(path.join(SINGLE), path.join(file)).unwrap();
            for _ in ["with a config", "without"] {
                let error = check(path).unwrap_err();
                assert!(
                    matches!(&error, Error::OtherFormat { format: found, .. } if *found == format),
                    "{error}"
                );
                let message = error.to_string();
                assert!(message.contains(file) && message.contains(advice), "{message}");
                let problem = error.problem();
                assert_eq!(problem.params["reason"], format.name());
                assert_eq!(problem.params["path"], path.join(file).display().to_string());
                std::fs::remove_file(path.join("config.json")).ok();
            }
        }
        let folder = folder(CONFIG, 3);
        std::fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
        assert!(check(folder.path()).is_ok(), "beside safetensors it does no harm");
    }

    #[test]
    fn an_adapter_is_refused_with_the_hint_at_its_base_model() {
        for config in [None, Some(CONFIG), Some(r#"{"model_type": "t5"}"#)] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("adapter_config.json"), "{}").unwrap();
            std::fs::write(folder.path().join("adapter_model.bin"), "").unwrap();
            if let Some(config) = config {
                std::fs::write(folder.path().join("config.json"), config).unwrap();
            }
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Adapter { .. }), "{error}");
            assert!(error.to_string().contains("base model"), "{error}");
            assert_eq!(error.problem().code, record::ProblemCode::AdapterOnly);
        }
        let whole = folder(CONFIG, 3);
        std::fs::write(whole.path().join("adapter_config.json"), "{}").unwrap();
        assert!(check(whole.path()).is_ok(), "the model itself is there");
    }

    #[test]
    fn other_families_other_shapes_and_torn_files_are_refused() {
        let error = check(folder(r#"{"model_type": "t5"}"#, 3).path()).unwrap_err();
        assert!(matches!(&error, Error::Family { family, .. } if family == "t5"), "{error}");
        assert!(FAMILIES.iter().all(|family| error.to_string().contains(family)), "{error}");
        assert!(matches!(check(folder(CONFIG, 4).path()), Err(Error::Shape { .. })));
        assert!(matches!(check(folder("{", 3).path()), Err(Error::Config { .. })));
        let torn = folder(CONFIG, 3);
        let path = torn.path().join(SINGLE);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 4, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(check(torn.path()), Err(Error::Weights { .. })), "{length}");
        }
    }

    #[test]
    fn shards_are_counted_together_and_the_single_file_comes_first() {
        let folder = folder(CONFIG, 3);
        samples::shard(folder.path());
        let found = check(folder.path()).unwrap();
        assert_eq!(found.parameters, Some(6 + 8));
        assert_eq!(found.weights, [SHARDS[0], SHARDS[1], INDEX]);
        samples::weights(&folder.path().join(SINGLE), EMBEDDINGS, 3);
        let found = check(folder.path()).unwrap();
        assert_eq!((found.parameters, found.weights), (Some(6), vec![SINGLE.to_owned()]));
    }

    #[test]
    fn a_shard_that_is_missing_torn_or_of_another_model_is_named() {
        for shard in SHARDS {
            let folder = folder(CONFIG, 3);
            samples::shard(folder.path());
            let path = folder.path().join(shard);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Weights { path: named, .. } if *named == path), "{error}");
            samples::weights(&path, "another.weight", 3);
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Weights { path: named, .. } if *named == path), "{error}");
            assert!(error.to_string().contains("it lacks the weight"), "{error}");
            std::fs::remove_file(&path).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Incomplete { missing, .. } if missing == shard), "{error}");
        }
        let folder = folder(CONFIG, 3);
        samples::shard(folder.path());
        samples::weights(&folder.path().join(SHARDS[0]), EMBEDDINGS, 4);
        assert!(matches!(check(folder.path()), Err(Error::Shape { .. })));
        std::fs::remove_file(folder.path().join(INDEX)).unwrap();
        let error = check(folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Incomplete { missing, .. } if missing == INDEX), "{error}");
    }

    #[test]
    fn as_many_names_as_are_taken_are_looked_through_once_and_more_are_refused() {
        let folder = folder(CONFIG, 3);
        write_names(folder.path(), 99_999);
        let before = weights::HEADERS_READ.get();
        assert_eq!(check(folder.path()).unwrap().parameters, Some(6));
        assert_eq!(weights::HEADERS_READ.get() - before, 1);
        write_names(folder.path(), 300_000);
        let error = check(folder.path()).unwrap_err();
        assert!(error.to_string().contains("more than 100000 weights"), "{error}");
    }

    fn write_names(folder: &Path, names: usize) {
        let mut header = format!(r#"{{"{EMBEDDINGS}":{{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#);
        for n in 0..names {
            header += &format!(r#","layer.{n}":{{"dtype":"F32","shape":[0],"data_offsets":[24,24]}}"#);
        }
        header.push('}');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend([0; 24]);
        std::fs::write(folder.join(SINGLE), bytes).unwrap();
    }

    #[test]
    fn an_index_that_names_no_file_beside_it_is_refused() {
        let folder = folder(CONFIG, 3);
        samples::shard(folder.path());
        let index = folder.path().join(INDEX);
        let outside = folder.path().join("outside.safetensors").display().to_string();
        for shard in
            ["../x.safetensors", "a/x.safetensors", "a\\x.safetensors", "..", "", "config.json", &outside]
        {
            std::fs::write(&index, samples::index([(EMBEDDINGS, shard)])).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Weights { path, .. } if *path == index), "{shard}: {error}");
        }
        for text in
            ["", "[]", "{}", r#"{"weight_map": {}}"#, r#"{"weight_map": []}"#, r#"{"weight_map": {"a": 1}}"#]
        {
            std::fs::write(&index, text).unwrap();
            let error = check(folder.path()).unwrap_err();
            assert!(matches!(&error, Error::Weights { path, .. } if *path == index), "{text}: {error}");
        }
    }

    #[test]
    fn the_folder_of_sentence_transformers_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.json"), samples::MODULES).unwrap();
        let inner = folder.path().join("0_Transformer");
        let error = check(folder.path()).unwrap_err();
        assert!(
            matches!(&error, Error::Incomplete { path, missing } if *path == inner && missing == "config.json")
        );
        std::fs::create_dir(&inner).unwrap();
        samples::fill(&inner, CONFIG, EMBEDDINGS, 3);
        assert_eq!(check(folder.path()).unwrap().folder, inner);
    }

    proptest! {
        #[test]
        fn a_garbled_index_gives_an_error_or_whole_weights(
            bytes in samples::garbled(&samples::index([(EMBEDDINGS, SHARDS[0]), ("pooler.weight", SHARDS[1])]))
        ) {
            let folder = folder(CONFIG, 3);
            samples::shard(folder.path());
            std::fs::write(folder.path().join(INDEX), bytes).unwrap();
            if let Ok(found) = check(folder.path()) {
                prop_assert!(found.weights.iter().all(|name| folder.path().join(name).is_file()));
            }
        }

        #[test]
        fn a_garbled_header_of_weights_gives_an_error_and_no_panic(
            header in samples::garbled(r#"{"w":{"dtype":"F32","shape":[9,99],"data_offsets":[0,3564]}}"#)
        ) {
            let folder = folder(CONFIG, 3);
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header);
            std::fs::write(folder.path().join(SINGLE), bytes).unwrap();
            let _ = check(folder.path());
        }
    }
}
