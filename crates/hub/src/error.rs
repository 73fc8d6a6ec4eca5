use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode};

use crate::WeightFormat;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no folder {}. Check the path.", .path.display())]
    NotFound { path: PathBuf },
    #[error("{} cannot be read: {source}. Check that the folder is there and may be read.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written: {source}. Make room on the disk or choose another home folder.", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("The model folder {} has no {missing}. Fetch the whole model and add it again.", .path.display())]
    Incomplete { path: PathBuf, missing: String },
    #[error(
        "The model folder {} has no tokenizer.json, which a fast tokenizer is read from. Fetch it with the model; \
         where there is none, Transformers' AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one.",
        .path.display()
    )]
    NoTokenizer { path: PathBuf },
    #[error("The model folder {} has its weights only as {found}: {}", .path.display(), .format.advice())]
    OtherFormat { path: PathBuf, found: String, format: WeightFormat },
    #[error(
        "{} is an adapter, which only changes another model and cannot be trained without it. Add that base model \
         instead; adapter_config.json names it as base_model_name_or_path.",
        .path.display()
    )]
    Adapter { path: PathBuf },
    #[error("{} cannot be understood: {reason}. Fetch the model again.", .path.display())]
    Config { path: PathBuf, reason: String },
    #[error("{} is a model of the family \"{family}\"; families that can be trained are {known}.", .path.display())]
    Family { path: PathBuf, family: String, known: String },
    #[error("{} cannot be read as safetensors: {reason}. Fetch the model again.", .path.display())]
    Weights { path: PathBuf, reason: String },
    #[error(
        "{}: the weight {name} has the shape {found:?}, but config.json asks for {expected:?}. \
         Config and weights belong to different models; fetch both again.",
        .path.display()
    )]
    Shape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
            _ => Error::Read { path: path.to_owned(), source },
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code, path: &Path| Problem::new(code, self).with("path", path.display());
        match self {
            Error::NotFound { path } => new(Code::NotFound, path),
            Error::Read { path, source } => new(Code::CannotRead, path).with("reason", source),
            Error::Write { path, source } => new(Code::CannotWrite, path).with("reason", source),
            Error::Incomplete { path, missing } => new(Code::IncompleteModel, path).with("missing", missing),
            Error::NoTokenizer { path } => new(Code::IncompleteModel, path).with("missing", "tokenizer.json"),
            Error::OtherFormat { path, found, format } => {
                new(Code::BadWeights, &path.join(found)).with("reason", format.name())
            }
            Error::Adapter { path } => new(Code::AdapterOnly, path),
            Error::Config { path, reason } => new(Code::BadModelFile, path).with("reason", reason),
            Error::Family { path, family, .. } => new(Code::UnknownFamily, path).with("reason", family),
            Error::Weights { path, reason } => new(Code::BadWeights, path).with("reason", reason),
            Error::Shape { path, name, found, expected } => new(Code::WeightMismatch, path)
                .with("weight", name)
                .with("found", format!("{found:?}"))
                .with("expected", format!("{expected:?}")),
        }
    }
}
