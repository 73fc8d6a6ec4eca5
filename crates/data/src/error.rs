use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode};

use crate::source::guard::Refusal;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no file {}. Check the path, or choose the file again.", .path.display())]
    NotFound { path: PathBuf },
    #[error("{} cannot be read: {source}. Check that the file is there and may be read.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written: {source}. {advice}", .path.display(), advice = files::advice_to_write(.source))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("There is something at {} already, and it stays as it is. Choose another name.", .path.display())]
    Exists { path: PathBuf },
    #[error("{} has a row of more than {} MiB{}, which is no text that somebody wrote. Choose another file.", .path.display(), crate::source::guard::ROW_BYTES >> 20, at_line(*.line))]
    LongRow { path: PathBuf, line: u64 },
    #[error("{} unpacks to hundreds of times its size, as no text does. Choose another file.", .path.display())]
    Bomb { path: PathBuf },
    #[error("{} cannot be read as {format}: {reason}. Choose another file, or convert it to CSV.", .path.display())]
    Format { path: PathBuf, format: &'static str, reason: String },
    #[error("There is no file in {} that ends in {endings}. Choose another folder or a file.", .path.display())]
    NoFiles { path: PathBuf, endings: String },
    #[error("{} has no column \"{name}\"; it has {found}. Name one of those.", .path.display())]
    NoSuchColumn { path: PathBuf, name: String, found: String },
    #[error("It was stopped; nothing of it was kept.")]
    Stopped,
    #[error("{} is empty. Choose a CSV file with a header line and at least one row.", .path.display())]
    Empty { path: PathBuf },
    #[error(
        "{} is not a text file: line {line} has bytes that are not UTF-8 text. Choose a CSV file saved as UTF-8.",
        .path.display()
    )]
    NotText { path: PathBuf, line: u64 },
    #[error(
        "{} is read as text, and line {line} has a NUL character, a byte of zero, which no text has. Choose another file, \
         or save it anew without such characters.",
        .path.display()
    )]
    Nul { path: PathBuf, line: u64 },
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
    #[error("{}: {reason}. The file is damaged; evaluate the run on this data set again.", .path.display())]
    DamagedLogits { path: PathBuf, reason: String },
    #[error("{} cannot be understood: {reason}. Fetch the model again.", .path.display())]
    Tokenizer { path: PathBuf, reason: String },
    #[error("A text cannot be tokenized: {reason}.")]
    Encode { reason: String },
    #[error(
        "There are only {texts} texts for {part}. Import more texts, by at least two authors where authors are named."
    )]
    TooFew { part: &'static str, texts: usize },
    #[error(
        "There are only {authors} authors for {folds} folds, and no author is in two of them. Ask for fewer folds, split by \
         text, or import texts by more authors."
    )]
    TooFewAuthors { authors: usize, folds: usize },
    #[error(
        "There are only {count} {} with {letter} on the axis {axis}, too few for {folds} folds: some fold would have none to be \
         judged by. {}eave the axis out, or import more texts.",
        if *.by_author { "authors" } else { "texts" },
        if *.count < 2 { "L".to_owned() } else { format!("Ask for at most {} folds, l", .count) }
    )]
    TooFewOfLetter { axis: mbti::Axis, letter: mbti::Letter, count: usize, by_author: bool, folds: usize },
}

/// Where it is known.
fn at_line(line: u64) -> String {
    if line == 0 { String::new() } else { format!(" on line {line}") }
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        let path = path.to_owned();
        match Refusal::of(&source) {
            Some(Refusal::Bomb) => Error::Bomb { path },
            Some(Refusal::LongRow) => Error::LongRow { path, line: 0 },
            Some(Refusal::Stopped) => Error::Stopped,
            None if source.kind() == std::io::ErrorKind::NotFound => Error::NotFound { path },
            None => Error::Read { path, source },
        }
    }

    pub(crate) fn refused(path: &Path, refusal: Refusal) -> Error {
        Error::read(path, std::io::Error::other(refusal))
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
            Error::Exists { path } => new(Code::FileExists).with("path", path.display()),
            Error::LongRow { path, .. } => new(Code::LongRow).with("path", path.display()),
            Error::Bomb { path } => new(Code::PackedTooWell).with("path", path.display()),
            Error::Format { path, format, reason } => new(Code::BadFormat)
                .with("path", path.display())
                .with("format", format)
                .with("reason", reason),
            Error::NoFiles { path, endings } => {
                new(Code::NoFiles).with("path", path.display()).with("endings", endings)
            }
            Error::NoSuchColumn { path, name, found } => {
                new(Code::NoSuchColumn).with("path", path.display()).with("name", name).with("found", found)
            }
            Error::Stopped => new(Code::Stopped),
            Error::Empty { path } => new(Code::EmptyFile).with("path", path.display()),
            Error::NotText { path, line } => {
                new(Code::NotText).with("path", path.display()).with("line", line)
            }
            Error::Nul { path, line } => {
                new(Code::NulCharacters).with("path", path.display()).with("line", line)
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
            Error::Damaged { path, reason, .. } | Error::DamagedLogits { path, reason } => {
                new(Code::CannotRead).with("path", path.display()).with("reason", reason)
            }
            Error::Tokenizer { path, reason } => {
                new(Code::BadModelFile).with("path", path.display()).with("reason", reason)
            }
            Error::Encode { .. } => new(Code::Internal),
            Error::TooFewAuthors { authors, folds } => {
                new(Code::TooFewAuthors).with("authors", authors).with("folds", folds)
            }
            Error::TooFewOfLetter { axis, letter, count, folds, .. } => new(Code::TooFewOfLetter)
                .with("axis", axis)
                .with("letter", letter)
                .with("count", count)
                .with("folds", folds),
            Error::TooFew { part, texts } => new(Code::TooFewTexts).with("part", part).with("texts", texts),
        }
    }
}
