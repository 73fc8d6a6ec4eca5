use std::path::{Path, PathBuf};

use candle_core::Tensor;
use data::{Batch, Tokenizer};
use mbti::Axis;
use serde_json::{Map, Value};

use crate::{
    Error, Head, Mode, Weights,
    bert::{self, Bert},
    error::Result,
    weights::Loader,
    words::Words,
};

/// A model of any family, with a head for certain axes.
pub struct Network {
    pub head: Head,
    pub weights: Weights,
    /// The config.json that it was built from.
    pub(crate) config: Map<String, Value>,
    /// The folder that it was built from.
    pub(crate) folder: PathBuf,
    family: Family,
}

/// What differs between families.
enum Family {
    Bert(Box<Bert>),
    Words(Words),
}

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// Builds a network to train from a model folder: the weights that are there and, unless the
/// folder already has one for these very axes, a new head drawn by the seed.
pub fn start(folder: &Path, axes: &[Axis], seed: u32) -> Result<Network> {
    let config = read_config(folder)?;
    let head = Head { axes: axes.to_vec() };
    let keep_head = Head::read(&config).as_ref() == Some(&head);
    build(folder, config, head, keep_head, seed)
}

/// Opens a network that was trained, to predict with.
pub fn open(folder: &Path) -> Result<Network> {
    let config = read_config(folder)?;
    let head = Head::read(&config).ok_or_else(|| Error::NotAClassifier { path: folder.join(CONFIG) })?;
    build(folder, config, head, true, 0)
}

/// Reads a model folder through once, as training would, and gives its number of weights.
pub fn inspect(folder: &Path) -> Result<usize> {
    Ok(start(folder, &Axis::ALL, 0)?.weights.count())
}

fn read_config(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(CONFIG);
    let text = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Incomplete { path: folder.to_owned(), missing: CONFIG.to_owned() }
        }
        _ => Error::read(&path, error),
    })?;
    serde_json::from_slice(&text).map_err(|error| Error::Config { path, reason: error.to_string() })
}

fn build(
    folder: &Path,
    config: Map<String, Value>,
    head: Head,
    keep_head: bool,
    seed: u32,
) -> Result<Network> {
    let path = folder.join(CONFIG);
    let wrong = |reason: String| Error::Config { path: path.clone(), reason };
    let name = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let weights = folder.join(WEIGHTS);
    let (family, weights) = match name {
        "bert" => {
            let config: bert::Config = serde_json::from_value(Value::Object(config.clone()))
                .map_err(|error| wrong(error.to_string()))?;
            let mut loader = Loader::new(Some(&weights), Bert::PREFIX, seed)?;
            let bert = Bert::load(&mut loader, config, &path, &head, keep_head)?;
            (Family::Bert(Box::new(bert)), loader.weights)
        }
        "words" => {
            let mut loader = Loader::new(keep_head.then_some(weights.as_path()), "", seed)?;
            (Family::Words(Words::load(&mut loader, &head, keep_head)?), loader.weights)
        }
        other => return Err(Error::Family { path: folder.to_owned(), family: other.to_owned() }),
    };
    Ok(Network { head, weights, config, folder: folder.to_owned(), family })
}

impl Network {
    /// Logits `[texts, outputs]` of a packed batch.
    pub fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        match &self.family {
            Family::Bert(bert) => bert.forward(batch, mode),
            Family::Words(words) => words.forward(batch, mode),
        }
    }

    /// The tokenizer that belongs to the network, and the most tokens that it reads: `wanted`,
    /// or fewer where the network has positions for fewer.
    pub fn tokenizer(&self, wanted: usize) -> std::result::Result<(Tokenizer, usize), data::Error> {
        match &self.family {
            Family::Bert(bert) => {
                let max_length = wanted.min(bert.config.max_position_embeddings);
                Ok((Tokenizer::from_file(&self.folder.join(TOKENIZER), max_length)?, max_length))
            }
            Family::Words(_) => Ok((Tokenizer::Ngrams, wanted)),
        }
    }

    /// A learning rate to begin with: the tutorial's order of magnitude where pretrained weights
    /// are refined, far more where a linear layer begins at zero.
    pub fn default_learning_rate(&self) -> f64 {
        match &self.family {
            Family::Bert(_) => 5e-5,
            Family::Words(_) => 1e-2,
        }
    }

    /// The class in Transformers that reads what [`crate::save`] writes, where there is one.
    pub(crate) fn architecture(&self) -> Option<&'static str> {
        match &self.family {
            Family::Bert(_) => Some(Bert::ARCHITECTURE),
            Family::Words(_) => None,
        }
    }

    /// A note of this program in the config.json, such as the longest text that was trained on.
    pub fn note(&self, name: &str) -> Option<&Value> {
        self.config.get(crate::save::NOTES)?.get(name)
    }
}
