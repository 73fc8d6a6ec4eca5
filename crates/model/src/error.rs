use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read: {source}. Add the model again.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written: {source}. Make room on the disk or choose another home folder.", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("The model folder {} has no {missing}. Fetch the whole model and add it again.", .path.display())]
    Incomplete { path: PathBuf, missing: String },
    #[error("{} cannot be used: {reason}. Fetch the model again, or choose another one.", .path.display())]
    Config { path: PathBuf, reason: String },
    #[error("{} is a model of the family \"{family}\"; families that can be trained are {families}.", .path.display(), families = crate::family_names::FAMILIES)]
    Family { path: PathBuf, family: String },
    #[error("{} cannot be read as safetensors: {reason}. Fetch the model again.", .path.display())]
    Weights { path: PathBuf, reason: String },
    #[error("{} has no weight {name}, which its config.json asks for. Fetch the model again.", .path.display())]
    MissingWeight { path: PathBuf, name: String },
    #[error(
        "{}: the weight {name} has the shape {found:?}, but its config.json asks for {expected:?}. \
         Config and weights belong to different models; fetch both again.",
        .path.display()
    )]
    Shape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error(
        "No linear layer of this model has a name that ends in \"{target}\". \
         LoRA can stand beside {known}; name some of these, or none for all."
    )]
    UnknownTarget { target: String, known: String },
    #[error(
        "The adapter {} needs its base model, which is no more in {}. Add the base model again there, \
         or train again.",
        .path.display(), .base.display()
    )]
    NoBaseModel { path: PathBuf, base: PathBuf },
    #[error("{} was not trained by this program: it does not say which axes its outputs are.", .path.display())]
    NotAClassifier { path: PathBuf },
    #[error("The model's tokenizer makes no token of a text. Leave out texts without words.")]
    NoTokens,
    #[error(
        "The weight {name} is held in 4 or 8 bits, of which no whole model is written; its adapter is. Merge that instead."
    )]
    Quantised { name: String },
    #[error("Stopped. Nothing was written.")]
    Stopped,
    #[error("Arithmetic failed: {}", compute::message(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code, path: &Path| Problem::new(code, self).with("path", path.display());
        match self {
            Error::Read { path, source } => new(Code::CannotRead, path).with("reason", source),
            Error::Write { path, source } => new(Code::CannotWrite, path).with("reason", source),
            Error::Incomplete { path, missing } => new(Code::IncompleteModel, path).with("missing", missing),
            Error::Config { path, reason } => new(Code::BadModelFile, path).with("reason", reason),
            Error::Family { path, family } => new(Code::UnknownFamily, path).with("reason", family),
            Error::Weights { path, reason } => new(Code::BadWeights, path).with("reason", reason),
            Error::MissingWeight { path, name } => {
                new(Code::WeightMismatch, path).with("weight", name).with("found", "–").with("expected", name)
            }
            Error::Shape { path, name, found, expected } => new(Code::WeightMismatch, path)
                .with("weight", name)
                .with("found", format!("{found:?}"))
                .with("expected", format!("{expected:?}")),
            Error::UnknownTarget { target, known } => Problem::new(Code::BadSetting, self)
                .with("name", "lora_target_modules")
                .with("value", target)
                .with("allowed", known),
            Error::NoBaseModel { path, base } => {
                new(Code::IncompleteModel, path).with("missing", base.display())
            }
            Error::NotAClassifier { path } => new(Code::BadModelFile, path).with("reason", "id2label"),
            Error::NoTokens => Problem::new(Code::EmptyText, self),
            Error::Quantised { .. } => Problem::new(Code::Internal, self),
            Error::Stopped => Problem::new(Code::Stopped, self),
            Error::Candle(_) => Problem::new(Code::Internal, self),
        }
    }
}
