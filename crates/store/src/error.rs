use std::path::PathBuf;

use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The history {} cannot be opened: {source}. Check that its folder can be written and its disk has room.", .path.display())]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("The history cannot be read or written: {0}. {advice}", advice = advice(.0))]
    Query(#[from] sqlx::Error),
    #[error(
        "The history {} is damaged: {reason}. Keep a copy of it; `sqlite3 history.sqlite .recover` may save what is in it. \
         The texts and models in the folders beside it are not touched.",
        .path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{} is a database of another program, and is left as it is. Move it away, or choose another home folder with --home.",
        .path.display()
    )]
    Foreign { path: PathBuf },
    #[error(
        "The history {} was written by a newer version of this program. Install that version, or choose another home \
         folder with --home.",
        .path.display()
    )]
    Newer { path: PathBuf },
    #[error("{} cannot be locked: {source}. Check that its folder can be written and its disk has room.", .path.display())]
    Lock { path: PathBuf, source: std::io::Error },
    #[error(
        "Another process has held {} for over a minute: it makes the home, brings it up to date, or waits for the history. \
         Wait for its end and try again.",
        .path.display()
    )]
    HomeBusy { path: PathBuf },
    #[error("The history holds something that cannot be understood: {0}.")]
    Record(String),
    #[error("There is no data set named \"{name}\". There are: {known}.")]
    UnknownDataSet { name: String, known: String },
    #[error("There is no model named \"{name}\". There are: {known}.")]
    UnknownModel { name: String, known: String },
    #[error("There is no run {run}. `mbti runs list` shows all.")]
    UnknownRun { run: i64 },
    #[error("The name \"{name}\" is taken. Give another, or remove the old one first.")]
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

/// What may help.
fn advice(source: &sqlx::Error) -> &'static str {
    match source {
        source if lacks_room(source) => "Check that its disk has room and may be written.",
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
            "A row of it is damaged, or of another version of this program. It stays as it is; the others can be used."
        }
        source if may_pass(source) => {
            "Another program holds it: wait for its end, or close it, and try again."
        }
        _ => "Keep a copy of it, and check the disk that it lies on.",
    }
}

impl Error {
    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code| Problem::new(code, self);
        match self {
            Error::Open { path, source } => {
                new(Code::BadHistory).with("path", path.display()).with("reason", source)
            }
            Error::Foreign { path } => new(Code::BadHistory)
                .with("path", path.display())
                .with("reason", "it is a database of another program"),
            Error::Newer { path } => new(Code::BadHistory)
                .with("path", path.display())
                .with("reason", "a newer version of this program wrote it"),
            Error::Query(source) => {
                new(Code::BadHistory).with("path", "history.sqlite").with("reason", source)
            }
            Error::Damaged { path, reason } => {
                new(Code::BadHistory).with("path", path.display()).with("reason", reason)
            }
            Error::Lock { path, source } => {
                new(Code::CannotWrite).with("path", path.display()).with("reason", source)
            }
            Error::HomeBusy { path } => {
                new(Code::CannotWrite).with("path", path.display()).with("reason", "another process holds it")
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

    /// Whether the same may succeed later: somebody else writes just now, or the disk is full.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::Query(source) | Error::Open { source, .. } => may_pass(source),
            Error::Lock { .. } | Error::HomeBusy { .. } => true,
            _ => false,
        }
    }

    /// Whether it failed for want of room on the disk.
    pub fn lacks_room(&self) -> bool {
        matches!(self, Error::Query(source) if lacks_room(source))
    }

    /// Turns the violation of a UNIQUE name into what the user understands.
    pub(crate) fn named(name: &str) -> impl Fn(sqlx::Error) -> Error {
        move |error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => Error::NameTaken { name: name.to_owned() },
            _ => Error::Query(error),
        }
    }
}

/// Whether SQLite could not do something for want of room on the disk. It tells so in several ways.
pub(crate) fn lacks_room(error: &sqlx::Error) -> bool {
    // SQLITE_FULL, SQLITE_CANTOPEN and all of SQLITE_IOERR.
    matches!(primary_code(error), Some(10 | 13 | 14))
}

/// Whether SQLite could not do something that it may do later: another one writes, or the disk is full.
pub(crate) fn may_pass(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED beside the above.
    lacks_room(error)
        || matches!(primary_code(error), Some(5 | 6))
        || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_))
}

pub(crate) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
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
