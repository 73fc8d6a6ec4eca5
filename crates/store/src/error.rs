use std::path::PathBuf;

use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The history {} cannot be opened: {source}. Check that its folder can be written and its disk has room.", .path.display())]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("The history cannot be read or written: {0}. Check that its disk has room.")]
    Query(#[from] sqlx::Error),
    #[error("The history holds something that cannot be understood: {0}.")]
    Record(String),
    #[error("There is no data set named \"{name}\". There are: {known}.")]
    UnknownDataSet { name: String, known: String },
    #[error("There is no model named \"{name}\". There are: {known}.")]
    UnknownModel { name: String, known: String },
    #[error("There is no run {run}. `mbti runs list` shows all.")]
    UnknownRun { run: i64 },
    #[error("The name \"{name}\" is taken. Give another with --name, or remove the old one first.")]
    NameTaken { name: String },
    #[error(
        "Run {run} has ended ({status}), so it can be neither stopped nor paused. \
         `mbti train --resume {run}` goes on with one that ended early."
    )]
    RunHasEnded { run: i64, status: &'static str },
    #[error("Run {run} goes on. Stop it or wait for its end.")]
    RunIsActive { run: i64 },
    #[error("\"{name}\" is in use by run {run}. Stop the run or wait for its end.")]
    InUse { name: String, run: i64 },
}

impl Error {
    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code| Problem::new(code, self);
        match self {
            Error::Open { path, source } => {
                new(Code::BadHistory).with("path", path.display()).with("reason", source)
            }
            Error::Query(source) => {
                new(Code::BadHistory).with("path", "history.sqlite").with("reason", source)
            }
            Error::Record(reason) => {
                new(Code::BadHistory).with("path", "history.sqlite").with("reason", reason)
            }
            Error::UnknownDataSet { name, known } => {
                new(Code::UnknownDataSet).with("name", name).with("known", known_or_empty(known))
            }
            Error::UnknownModel { name, known } => {
                new(Code::UnknownModel).with("name", name).with("known", known_or_empty(known))
            }
            Error::UnknownRun { run } => new(Code::UnknownRun).with("run", run),
            Error::NameTaken { name } => new(Code::NameTaken).with("name", name),
            Error::RunHasEnded { run, status } => {
                new(Code::RunHasEnded).with("run", run).with("status", status)
            }
            Error::RunIsActive { run } => new(Code::RunIsActive).with("run", run),
            Error::InUse { name, run } => new(Code::InUse).with("name", name).with("run", run),
        }
    }

    /// Turns the violation of a UNIQUE name into what the user understands.
    pub(crate) fn named(name: &str) -> impl Fn(sqlx::Error) -> Error {
        move |error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => Error::NameTaken { name: name.to_owned() },
            _ => Error::Query(error),
        }
    }
}

/// What the message says where there is nothing to name.
const NONE: &str = "none";

/// Names in a row, for a message.
pub(crate) fn joined(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    if names.is_empty() { NONE.to_owned() } else { names.join(", ") }
}

/// The window has its own word for nothing, in the user's language.
fn known_or_empty(known: &str) -> &str {
    if known == NONE { "" } else { known }
}
