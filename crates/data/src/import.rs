use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use csv::ByteRecord;
use record::{SkipReason, SkippedRow};

use crate::{
    Error, Example,
    columns::{self, Columns},
    error::Result,
};

/// How many skipped rows are reported one by one; all of them are counted.
const REPORTED_ROWS: usize = 100;
/// How much of a skipped cell is reported, in characters.
const REPORTED_CHARS: usize = 80;
/// Between the posts of one cell in the Kaggle data set.
const POST_SEPARATOR: &str = "|||";

/// What was read from a source, beside the examples themselves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// Rows of the source, its header not counted.
    pub rows: i64,
    pub examples: i64,
    /// Whether the authors mean anything: named by the source, or several posts to a row.
    pub has_authors: bool,
    pub skipped_by_reason: BTreeMap<SkipReason, i64>,
    /// The first skipped rows or posts.
    pub skipped: Vec<SkippedRow>,
}

impl Imported {
    fn skip(&mut self, line: u64, reason: SkipReason, found: &str) {
        *self.skipped_by_reason.entry(reason).or_default() += 1;
        if self.skipped.len() < REPORTED_ROWS {
            let line = i64::try_from(line).unwrap_or(i64::MAX);
            let found = found.chars().take(REPORTED_CHARS).collect();
            self.skipped.push(SkippedRow { line, reason, found });
        }
    }
}

/// Reads a CSV file as a stream and hands each example to `keep`.
///
/// Understood are the columns of `minhaozhang/mbti` (author, body, mbti, E-I, N-S, F-T, J-P) and
/// those of the Kaggle data set (type, posts, with `|||` between posts), UTF-8 with or without
/// a byte order mark, quoted newlines, either line end. A row that cannot be used is counted
/// and reported, and ends nothing.
pub fn import_csv(path: &Path, mut keep: impl FnMut(Example) -> Result<()>) -> Result<Imported> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::read(path, error))?;
    if metadata.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(Error::Read { path: path.to_owned(), source });
    }
    let file = File::open(path).map_err(|error| Error::read(path, error))?;
    let mut input = BufReader::with_capacity(1 << 20, file);
    refuse_what_is_not_text(path, &mut input)?;

    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(true).from_reader(input);
    let columns = header_columns(path, &mut reader)?;
    let mut imported = Imported { has_authors: columns.author.is_some(), ..Default::default() };
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(csv_error(path, error)),
        }
        imported.rows += 1;
        read_row(&columns, &record, &mut imported, &mut keep)?;
    }
    if imported.examples == 0 {
        return Err(no_usable_row(path, &imported));
    }
    Ok(imported)
}

/// An empty file and a binary one deserve a message of their own, before any parsing.
fn refuse_what_is_not_text(path: &Path, input: &mut BufReader<File>) -> Result<()> {
    let start = input.fill_buf().map_err(|error| Error::read(path, error))?;
    if start.iter().all(u8::is_ascii_whitespace) && start.len() < (1 << 20) {
        return Err(Error::Empty { path: path.to_owned() });
    }
    if let Some(place) = start.iter().take(8192).position(|&byte| byte == 0) {
        let line = 1 + start[..place].iter().filter(|&&byte| byte == b'\n').count() as u64;
        return Err(Error::NotText { path: path.to_owned(), line });
    }
    Ok(())
}

fn header_columns<R: Read>(path: &Path, reader: &mut csv::Reader<R>) -> Result<Columns> {
    let header = reader.byte_headers().map_err(|error| csv_error(path, error))?;
    let header: Vec<&str> = header
        .iter()
        .map(std::str::from_utf8)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::NotText { path: path.to_owned(), line: 1 })?;
    columns::find(&header).ok_or_else(|| Error::Columns {
        path: path.to_owned(),
        found: header.iter().map(|name| format!("\"{}\"", shorten(name))).collect::<Vec<_>>().join(", "),
        expected: columns::EXPECTED,
    })
}

fn read_row(
    columns: &Columns,
    record: &ByteRecord,
    imported: &mut Imported,
    keep: &mut impl FnMut(Example) -> Result<()>,
) -> Result<()> {
    let line = record.position().map_or(0, csv::Position::line);
    let lossy =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4 * REPORTED_CHARS)]).into_owned();
    if record.len() != columns.count {
        let found = format!("{} / {}", record.len(), columns.count);
        imported.skip(line, SkipReason::WrongNumberOfCells, &found);
        return Ok(());
    }
    let needed = [Some(columns.text), columns.author].into_iter().flatten();
    for bytes in needed.filter_map(|index| record.get(index)) {
        if std::str::from_utf8(bytes).is_err() {
            imported.skip(line, SkipReason::NotUtf8, &lossy(bytes));
            return Ok(());
        }
    }
    let cell =
        |index: usize| record.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    let mbti = columns::type_of_row(columns, |index| lossy(record.get(index).unwrap_or_default()));
    let mbti = match mbti {
        Ok(mbti) => mbti,
        Err((reason, found)) => {
            imported.skip(line, reason, &found);
            return Ok(());
        }
    };
    let text = cell(columns.text);
    let named = columns.author.map(cell).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let mut keep_post = |author: Option<String>, text: &str, imported: &mut Imported| {
        if !has_words(text) {
            imported.skip(line, SkipReason::EmptyText, text);
            return Ok(());
        }
        imported.examples += 1;
        keep(Example { author, text: text.to_owned(), mbti })
    };
    if columns.several_posts && text.contains(POST_SEPARATOR) {
        imported.has_authors = true;
        let author = named.unwrap_or_else(|| format!("row-{}", imported.rows));
        for post in unwrap_quotes(text).split(POST_SEPARATOR) {
            keep_post(Some(author.clone()), post, imported)?;
        }
        return Ok(());
    }
    // A posts column with one post to a row may still turn out to have several further down,
    // so that the row is remembered as the author; `has_authors` tells whether that counts.
    let author = named.or_else(|| columns.several_posts.then(|| format!("row-{}", imported.rows)));
    keep_post(author, text, imported)
}

/// The Kaggle file wraps many cells in one pair of apostrophes that belong to no post.
fn unwrap_quotes(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('\'').map_or(cell, |rest| rest.strip_suffix('\'').unwrap_or(rest))
}

/// Whether anything but white space and invisible characters is there.
fn has_words(text: &str) -> bool {
    text.chars()
        .any(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}'))
}

fn shorten(text: &str) -> String {
    text.chars().take(REPORTED_CHARS).collect()
}

fn csv_error(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::read(path, source),
        _ => Error::NotText { path: path.to_owned(), line },
    }
}

fn no_usable_row(path: &Path, imported: &Imported) -> Error {
    let path = path.to_owned();
    match imported.skipped.first() {
        None => Error::Empty { path },
        Some(first) => Error::NoUsableRow {
            path,
            rows: imported.rows,
            line: first.line,
            code: first.reason,
            reason: match first.reason {
                SkipReason::EmptyText => "the text is empty".to_owned(),
                SkipReason::UnknownType => format!("\"{}\" is not one of the 16 types", first.found),
                SkipReason::NoType => "the type is missing".to_owned(),
                SkipReason::UnknownLetter => format!("\"{}\" is not a letter of its axis", first.found),
                SkipReason::TypeAndAxisDiffer => {
                    format!("type and axis contradict each other ({})", first.found)
                }
                SkipReason::WrongNumberOfCells => format!("wrong number of cells ({})", first.found),
                SkipReason::NotUtf8 => "the text is not UTF-8".to_owned(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<(Vec<Example>, Imported)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, bytes).unwrap();
        let mut examples = Vec::new();
        let imported = import_csv(&path, |example| {
            examples.push(example);
            Ok(())
        })?;
        Ok((examples, imported))
    }

    #[test]
    fn quoted_newlines_a_byte_order_mark_and_crlf_are_read_as_they_are_meant() {
        let text = "\u{feff}author,body,mbti,E-I,N-S,F-T,J-P\r\na,\"one\ntwo, \"\"three\"\"\",INFP,I,N,F,P\r\nb,vier,estj,E,S,T,J\r\n";
        let (examples, imported) = read(text.as_bytes()).unwrap();
        assert_eq!(examples[0].text, "one\ntwo, \"three\"");
        assert_eq!(examples[0].author.as_deref(), Some("a"));
        assert_eq!(examples[1].mbti.to_string(), "ESTJ");
        assert_eq!((imported.rows, imported.examples, imported.has_authors), (2, 2, true));
    }

    #[test]
    fn a_row_that_cannot_be_used_is_reported_with_its_line_and_reason_and_ends_nothing() {
        let text = b"body,mbti\nfine,INFP\n,INFP\nwhat,ABCD\nno type,\ntoo,many,cells\n\"two\nlines\",ENTJ\n\xff\xfe,INTJ\nlast,ISTP\n";
        let (examples, imported) = read(text).unwrap();
        assert_eq!(examples.len(), 3);
        let told: Vec<_> = imported.skipped.iter().map(|row| (row.line, row.reason)).collect();
        assert_eq!(
            told,
            [
                (3, SkipReason::EmptyText),
                (4, SkipReason::UnknownType),
                (5, SkipReason::NoType),
                (6, SkipReason::WrongNumberOfCells),
                (9, SkipReason::NotUtf8),
            ]
        );
        assert_eq!(imported.rows, 8);
        assert_eq!(imported.skipped[1].found, "ABCD");
    }

    #[test]
    fn the_kaggle_format_makes_an_example_of_each_post_and_an_author_of_each_row() {
        let text = "type,posts\nINFJ,\"'one|||two||| |||three'\"\nENTP,alone\n";
        let (examples, imported) = read(text.as_bytes()).unwrap();
        let told: Vec<_> = examples.iter().map(|e| (e.author.as_deref().unwrap(), e.text.as_str())).collect();
        assert_eq!(told, [("row-1", "one"), ("row-1", "two"), ("row-1", "three"), ("row-2", "alone")]);
        assert!(imported.has_authors);
        assert_eq!(imported.skipped_by_reason[&SkipReason::EmptyText], 1);
    }

    #[test]
    fn one_post_to_a_row_names_no_authors() {
        let (examples, imported) = read("posts,type\n你好,ENFP\n再见,ISTJ\n".as_bytes()).unwrap();
        assert_eq!(examples.len(), 2);
        assert!(!imported.has_authors);
    }

    #[test]
    fn files_that_are_no_data_set_get_an_error_that_says_why() {
        assert!(matches!(read(b""), Err(Error::Empty { .. })));
        assert!(matches!(read(b"\n \n"), Err(Error::Empty { .. })));
        assert!(matches!(read(b"body,mbti\n"), Err(Error::Empty { .. })));
        assert!(matches!(read(b"\x7fELF\x00\x01\n"), Err(Error::NotText { .. })));
        assert!(matches!(read(b"\xff\xd8\xff,mbti\nx,INFP\n"), Err(Error::NotText { .. })));
        let error = read(b"text,label\nx,INFP\n").unwrap_err();
        assert!(
            error.to_string().contains("\"text\", \"label\"") && error.to_string().contains("body and mbti")
        );
        let error = read(b"body,mbti\nx,ABCD\n").unwrap_err();
        assert!(error.to_string().contains("line 2") && error.to_string().contains("ABCD"), "{error}");
        let missing = import_csv(Path::new("/nowhere/x.csv"), |_| Ok(())).unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_and_every_row_is_kept_or_counted(
            rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)
        ) {
            let mut bytes = b"author,body,mbti\n".to_vec();
            for row in rows {
                bytes.extend(row);
                bytes.push(b'\n');
            }
            if let Ok((examples, imported)) = read(&bytes) {
                let skipped: i64 = imported.skipped_by_reason.values().sum();
                prop_assert_eq!(examples.len() as i64, imported.examples);
                prop_assert_eq!(imported.rows, imported.examples + skipped);
            }
        }
    }
}
