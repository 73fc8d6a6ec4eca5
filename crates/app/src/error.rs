use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be written: {source}. {advice}", .path.display(), advice = files::advice_to_write(.source))]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "{} is in the place of what was to be made, and the history knows nothing of it. Move it away, or give another name.",
        .path.display()
    )]
    PlaceTaken { path: PathBuf },
    #[error(
        "{} lies in the home {}, where the program keeps its own things and clears what no record names. Choose a place \
         outside it.",
        .path.display(),
        .home.display()
    )]
    InHome { path: PathBuf, home: PathBuf },
    #[error("{} belongs to another user of this machine, and is not used. Choose another home folder with --home.", .path.display())]
    Strange { path: PathBuf },
    #[error("{} cannot be read: {source}. Remove it, and set again what it held.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "Run {run} is of the bag of words, which is this program's own and no model for the Hub. Push the run of another model."
    )]
    NotForTheHub { run: i64 },
    #[error(
        "{} gives tokens up to number {largest}, but the model has word embeddings for {rows}, numbered from 0. The tokenizer \
         is another model's, or has tokens that were added without the model learning them. Use the tokenizer that the \
         model was saved with, or save the model again after resize_token_embeddings.",
        .path.display()
    )]
    TokenOutside { path: PathBuf, largest: u32, rows: u32 },
    #[error("The settings cannot be written as TOML: {0}")]
    Settings(String),
    #[error("The system names no folder for a program's data. Choose one with --home or MBTI_HOME.")]
    NoHome,
    #[error(
        "\"{name}\" cannot be a name: use 1 to 80 letters, digits, spaces and - _ . (not first), in 200 bytes at most, \
         and no name of a device on Windows, such as con."
    )]
    BadName { name: String },
    #[error("The model \"{name}\" is built in and cannot be removed.")]
    BuiltIn { name: String },
    #[error(
        "\"{name}\" is the base model of run {run}, which learned by LoRA and cannot predict without it. \
         Merge that run (mbti runs merge {run}) or remove it first."
    )]
    BaseOfAdapter { name: String, run: i64 },
    #[error("The engine {} cannot be started: {reason}. Install the program again.", .path.display())]
    EngineNotStarted { path: PathBuf, reason: String },
    #[error("The engine ended without an answer: {reason}")]
    EngineGone { reason: String },
    #[error("Run {run} has no model to predict with: it is {status}. Choose a finished run.")]
    RunHasNoModel { run: i64, status: &'static str },
    #[error(
        "Run {run} is a cross-validation and has no model of its own: each of its folds learned from a part of the texts \
         alone. Train one with the same settings and without folds; the cross-validation tells what to expect of it."
    )]
    ModelOfFolds { run: i64 },
    #[error(
        "\"{name}\", which the cross-validation {run} was begun with, has since been replaced by another of this name. Start a \
         new cross-validation."
    )]
    OtherFolds { run: i64, name: String },
    #[error("No run has a model to predict with yet. Train one first.")]
    NoFinishedRun,
    #[error(
        "Run {run} cannot go on: it did not end early, or has no whole checkpoint. \
         Start a new run with the same settings."
    )]
    NothingToResume { run: i64 },
    #[error("Run {run} was not evaluated on \"{data}\" yet. `mbti evaluate {run} --data {data}` does so.")]
    NotEvaluated { run: i64, data: String },
    #[error(
        "Runs {first} and {second} were evaluated on different texts, although both are called \"{data}\". \
         Evaluate both again."
    )]
    OtherTexts { first: i64, second: i64, data: String },
    #[error("{}", .0.message)]
    Problem(Problem),
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Hub(#[from] hub::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code| Problem::new(code, self);
        match self {
            Error::Write { path, source } => {
                new(Code::CannotWrite).with("path", path.display()).with("reason", source)
            }
            Error::TokenOutside { path, largest, rows } => new(Code::TokenOutside)
                .with("path", path.display())
                .with("largest", largest)
                .with("rows", rows),
            Error::PlaceTaken { path } => new(Code::FileExists).with("path", path.display()),
            Error::InHome { path, home } => {
                new(Code::InHome).with("path", path.display()).with("home", home.display())
            }
            Error::Strange { path } => new(Code::CannotWrite)
                .with("path", path.display())
                .with("reason", "it belongs to another user of this machine"),
            Error::Read { path, source } => {
                new(Code::CannotRead).with("path", path.display()).with("reason", source)
            }
            Error::Settings(_) => new(Code::Internal),
            Error::NotForTheHub { run } => new(Code::NotForTheHub).with("run", run),
            Error::NoHome => new(Code::CannotWrite).with("path", "MBTI_HOME").with("reason", "–"),
            Error::BadName { name } | Error::BuiltIn { name } => new(Code::BadName).with("name", name),
            Error::BaseOfAdapter { name, run } => {
                new(Code::BaseOfAdapter).with("name", name).with("run", run)
            }
            Error::EngineNotStarted { path, reason } => {
                new(Code::EngineNotStarted).with("path", path.display()).with("reason", reason)
            }
            Error::EngineGone { .. } => new(Code::EngineGone),
            Error::RunHasNoModel { run, status } => {
                new(Code::RunHasNoModel).with("run", run).with("status", status)
            }
            Error::ModelOfFolds { run } => {
                new(Code::RunHasNoModel).with("run", run).with("status", record::RunStatus::Finished.name())
            }
            Error::OtherFolds { run, name } => new(Code::OtherFolds).with("run", run).with("name", name),
            Error::NoFinishedRun => new(Code::NoFinishedRun),
            Error::NothingToResume { run } => new(Code::NothingToResume).with("run", run),
            Error::NotEvaluated { run, data } => new(Code::NotEvaluated).with("run", run).with("name", data),
            Error::OtherTexts { first, second, data } => {
                new(Code::OtherTexts).with("first", first).with("second", second).with("name", data)
            }
            Error::Problem(problem) => problem.clone(),
            Error::Data(error) => error.problem(),
            Error::Hub(error) => error.problem(),
            Error::Store(error) => error.problem(),
        }
    }
}
