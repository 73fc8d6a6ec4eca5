use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no file {}. Check the path, or choose the file again.", .path.display())]
    NotFound { path: PathBuf },
    #[error("{} cannot be read: {source}. Check that the file is there and may be read.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written: {source}. Make room on the disk or choose another home folder.", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} is empty. Choose a CSV file with a header line and at least one row.", .path.display())]
    Empty { path: PathBuf },
    #[error(
        "{} is not a text file: line {line} has bytes that are not UTF-8 text. Choose a CSV file saved as UTF-8.",
        .path.display()
    )]
    NotText { path: PathBuf, line: u64 },
    #[error(
        "{} has the columns {found}, and none of the known formats has. Expected are {expected}. \
         Rename the columns in the file's first line.",
        .path.display()
    )]
    Columns { path: PathBuf, found: String, expected: &'static str },
    #[error(
        "{} has {rows} rows, but none can be used; the first, on line {line}: {reason}. \
         Check that the file has texts and types such as INFP.",
        .path.display()
    )]
    NoUsableRow { path: PathBuf, rows: i64, line: i64, reason: String, code: record::SkipReason },
    #[error("{}, line {line}: {reason}. The stored copy is damaged; remove the data set and import it again.", .path.display())]
    Damaged { path: PathBuf, line: u64, reason: String },
    #[error("{} cannot be understood: {reason}. Fetch the model again.", .path.display())]
    Tokenizer { path: PathBuf, reason: String },
    #[error("A text cannot be tokenized: {reason}.")]
    Encode { reason: String },
    #[error(
        "There are only {texts} texts for {part}. Import more texts, by at least two authors where authors are named."
    )]
    TooFew { part: &'static str, texts: usize },
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        if source.kind() == std::io::ErrorKind::NotFound {
            Error::NotFound { path: path.to_owned() }
        } else {
            Error::Read { path: path.to_owned(), source }
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code| Problem::new(code, self);
        match self {
            Error::NotFound { path } => new(Code::NotFound).with("path", path.display()),
            Error::Read { path, source } => {
                new(Code::CannotRead).with("path", path.display()).with("reason", source)
            }
            Error::Write { path, source } => {
                new(Code::CannotWrite).with("path", path.display()).with("reason", source)
            }
            Error::Empty { path } => new(Code::EmptyFile).with("path", path.display()),
            Error::NotText { path, line } => {
                new(Code::NotText).with("path", path.display()).with("line", line)
            }
            Error::Columns { path, found, expected } => new(Code::UnknownColumns)
                .with("path", path.display())
                .with("found", found)
                .with("expected", expected),
            Error::NoUsableRow { path, rows, line, code, .. } => new(Code::NoUsableRow)
                .with("path", path.display())
                .with("rows", rows)
                .with("line", line)
                .with("reason", code.name()),
            Error::Damaged { path, reason, .. } => {
                new(Code::CannotRead).with("path", path.display()).with("reason", reason)
            }
            Error::Tokenizer { path, reason } => {
                new(Code::BadModelFile).with("path", path.display()).with("reason", reason)
            }
            Error::Encode { .. } => new(Code::Internal),
            Error::TooFew { part, texts } => new(Code::TooFewTexts).with("part", part).with("texts", texts),
        }
    }
}
