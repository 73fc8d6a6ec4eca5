//! Tables of text: CSV, TSV and their like.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::ByteRecord;

use super::{
    Next, Records,
    guard::{ByRows, COLUMNS},
    too_many_columns,
};
use crate::{Error, columns, error::Result};

/// How the cells of a file are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Whether a quote inside a cell has a backslash before it, rather than standing twice.
    pub(crate) backslash: bool,
}

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Guesses from the beginning of a file: the delimiter whose header is that of a known format, else
/// the one that parts all rows into as many cells as the header.
pub(crate) fn dialect(start: &str) -> Dialect {
    let backslashes = start.matches("\\\"").count();
    let backslash = backslashes >= 3 && backslashes > 2 * start.matches("\"\"").count();
    let score = |&delimiter: &u8| {
        let records = reader(start.as_bytes(), Dialect { delimiter, backslash }, 1 << 14);
        let records: Vec<ByteRecord> =
            records.into_byte_records().map_while(std::result::Result::ok).take(50).collect();
        let Some(header) = records.first() else { return (false, 0, 0) };
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let alike = records.iter().filter(|record| record.len() == header.len()).count();
        // A delimiter that never occurs makes one cell of each row, which says nothing.
        let regular = if header.len() > 1 { alike * 100 / records.len() } else { 0 };
        (columns::find(&names).is_some(), regular, header.len())
    };
    let mut best = (DELIMITERS[0], score(&DELIMITERS[0]));
    for delimiter in DELIMITERS.into_iter().skip(1) {
        let found = score(&delimiter);
        if found > best.1 {
            best = (delimiter, found);
        }
    }
    Dialect { delimiter: best.0, backslash }
}

fn reader<R: Read>(input: R, dialect: Dialect, buffer: usize) -> csv::Reader<R> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(dialect.delimiter)
        .escape(dialect.backslash.then_some(b'\\'))
        .buffer_capacity(buffer)
        .from_reader(input)
}

pub(crate) struct Delimited<R> {
    path: PathBuf,
    reader: csv::Reader<ByRows<R>>,
    columns: Vec<String>,
    since: Arc<AtomicU64>,
}

impl<R: Read> Delimited<R> {
    /// Begins to read; the first record is the header.
    pub(crate) fn open(path: &Path, input: R, dialect: Dialect) -> Result<Delimited<R>> {
        let since = Arc::new(AtomicU64::new(0));
        let mut reader = reader(ByRows { inner: input, since: since.clone() }, dialect, 1 << 18);
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header).map_err(|error| failed(path, error))?;
        if header.len() > COLUMNS {
            return Err(too_many_columns(path, header.len()));
        }
        let columns = header.iter().map(|name| std::str::from_utf8(name).map(|name| name.trim().to_owned()));
        let columns = columns.collect::<std::result::Result<_, _>>();
        let columns = columns.map_err(|_| Error::NotText { path: path.to_owned(), line: 1 })?;
        Ok(Delimited { path: path.to_owned(), reader, columns, since })
    }
}

impl<R: Read> Records for Delimited<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self, record: &mut ByteRecord) -> Result<Next> {
        let more = self.reader.read_byte_record(record).map_err(|error| failed(&self.path, error))?;
        self.since.store(0, Ordering::Relaxed);
        Ok(if more { Next::Row } else { Next::End })
    }
}

fn failed(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::read(path, source),
        _ => Error::NotText { path: path.to_owned(), line },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_and_the_quotes_are_found_out() {
        let found = |text: &str| {
            let Dialect { delimiter, backslash } = dialect(text);
            (char::from(delimiter), backslash)
        };
        assert_eq!(found("body,mbti\na; b,INFP\n"), (',', false));
        assert_eq!(found("body\tmbti\na, b, c\tINFP\nd\tENTJ\n"), ('\t', false));
        assert_eq!(found("body;mbti\n\"a, b; c\";INFP\n"), (';', false));
        assert_eq!(found("message|user|kind\na, b|u|INFP\nc|u|INFP\n"), ('|', false));
        assert_eq!(found("posts,type\n\"a \\\"b\\\" c \\\"d\\\"\",INFP\n"), (',', true));
        assert_eq!(found("only\none\n"), (',', false));
        assert_eq!(found(""), (',', false));
    }
}
