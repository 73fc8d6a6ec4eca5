use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use csv::ByteRecord;
use record::{ColumnMapping, ImportPreview, SkipReason, SkippedRow, WorkProgress};

use crate::{
    Error, Example, Reading,
    columns::{self, Columns, LOOKED_AT},
    error::Result,
    source::{
        self, Next, POST_SEPARATOR, Records, Source, SourceFile,
        guard::{COLUMNS, Produced, Progress},
    },
};

/// How many skipped rows are reported one by one; all of them are counted.
const REPORTED_ROWS: usize = 100;
/// How much of a skipped cell is reported, in characters.
const REPORTED_CHARS: usize = 80;
/// Examples that are handed from the thread that reads to the one that writes at once, unless they are
/// this long together, and how many such pieces may wait.
const PIECE: usize = 1024;
const PIECE_BYTES: usize = 4 << 20;
const WAITING_PIECES: usize = 4;
/// How often it is asked whether to go on while no example comes.
const ASKED: Duration = Duration::from_millis(200);
/// What of an author's name is kept, in bytes, since it is in memory wherever the data set is open. It tells one
/// from the other; a longer one is a text in the wrong column.
const AUTHOR_BYTES: usize = 1024;
/// What an empty cell counts for where rows are read ahead.
const CELL_BYTES: usize = 32;
/// Rows of a preview, and how much of a cell it shows, in characters.
const PREVIEW_ROWS: usize = 8;
const PREVIEW_CHARS: usize = 300;

/// How a source is to be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// Which column is what; without it that is guessed.
    pub mapping: Option<ColumnMapping>,
    pub reading: Reading,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the source that were read, and all of them.
    pub bytes: u64,
    pub total_bytes: u64,
    pub examples: i64,
}

impl From<ImportProgress> for WorkProgress {
    fn from(progress: ImportProgress) -> WorkProgress {
        let ImportProgress { bytes, total_bytes, examples } = progress;
        let count = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        WorkProgress::Bytes { done: count(bytes), total: count(total_bytes), texts: examples }
    }
}

/// What was read from a source, beside the examples themselves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// Rows of the source, its header not counted.
    pub rows: i64,
    pub examples: i64,
    /// Whether the authors mean anything: named by the source, or several posts to a row.
    pub has_authors: bool,
    /// Which columns were read as what.
    pub mapping: ColumnMapping,
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

/// Reads a file, or all files of a folder, as a stream and hands each example to `keep`, while another
/// thread reads on.
///
/// Understood are tables of text (CSV, TSV and alike), JSON Lines and Parquet, the first two packed by
/// gzip or Zstandard or not, in any encoding that [`encoding::guess`](source::encoding::guess) tells;
/// the columns of `minhaozhang/mbti` (author, body, mbti, E-I, N-S, F-T, J-P), those of the Kaggle data
/// set (type, posts, with `|||` between posts), and any others that a mapping names or that can be
/// guessed. A row that cannot be used is counted and reported, and ends nothing. `progress` hears how
/// far it is and ends it by answering `false`.
pub fn import(
    path: &Path,
    options: &ImportOptions,
    keep: impl FnMut(Example) -> Result<()>,
    progress: impl FnMut(ImportProgress) -> bool,
) -> Result<Imported> {
    import_all(path, &source::files(path)?, options, keep, progress)
}

/// Reads some files as [`import`] does; `path` is what they are called together.
pub fn import_files(
    path: &Path,
    files: &[PathBuf],
    options: &ImportOptions,
    keep: impl FnMut(Example) -> Result<()>,
    progress: impl FnMut(ImportProgress) -> bool,
) -> Result<Imported> {
    let files: Vec<SourceFile> = files.iter().map(|file| SourceFile::named(file)).collect();
    import_all(path, &files, options, keep, progress)
}

fn import_all(
    path: &Path,
    files: &[SourceFile],
    options: &ImportOptions,
    mut keep: impl FnMut(Example) -> Result<()>,
    mut progress: impl FnMut(ImportProgress) -> bool,
) -> Result<Imported> {
    let sizes = files.iter().map(SourceFile::size).collect::<Result<Vec<u64>>>()?;
    let total_bytes = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let reading = Arc::new(Progress::default());
    let (sender, receiver) = sync_channel::<Vec<Example>>(WAITING_PIECES);
    let imported = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut pieces =
                Pieces { sender, piece: Vec::new(), bytes: 0, produced: Produced::default(), size: 0 };
            let mut imported = Imported::default();
            for (file, size) in files.iter().zip(sizes) {
                (pieces.produced, pieces.size) = (Produced::default(), size);
                read_file(file, options, &reading, &mut imported, &mut pieces)?;
            }
            pieces.send()?;
            Ok(imported)
        });
        let mut written = 0;
        let taken = loop {
            let piece = match receiver.recv_timeout(ASKED) {
                Ok(piece) => piece,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            };
            written += piece.len() as i64;
            if let Err(error) = piece.into_iter().try_for_each(&mut keep) {
                break Err(error);
            }
            let bytes = reading.so_far().min(total_bytes);
            if !progress(ImportProgress { bytes, total_bytes, examples: written }) {
                break Err(Error::Stopped);
            }
        };
        // The reader ends at its next row, or where it waits for its piece to be taken.
        reading.stop();
        drop(receiver);
        let read = reader.join().unwrap_or_else(|_| {
            let reason = "reading it failed for a reason that is not known".to_owned();
            Err(Error::Format { path: path.to_owned(), format: "text", reason })
        });
        taken.and(read)
    })?;
    if imported.examples == 0 {
        return Err(no_usable_row(path, &imported));
    }
    Ok(imported)
}

/// Examples on their way to the thread that writes them.
struct Pieces {
    sender: SyncSender<Vec<Example>>,
    piece: Vec<Example>,
    bytes: usize,
    /// What came out of the file that is being read, and what size it has.
    produced: Produced,
    size: u64,
}

impl Pieces {
    fn push(&mut self, path: &Path, example: Example) -> Result<()> {
        let bytes = example.bytes();
        self.produced.add(bytes as u64, self.size).map_err(|refusal| Error::refused(path, refusal))?;
        self.bytes += bytes;
        self.piece.push(example);
        if self.piece.len() == PIECE || self.bytes > PIECE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        self.bytes = 0;
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        // Nobody takes them where writing has failed or was stopped, which is told there.
        self.sender.send(piece).map_err(|_| Error::Stopped)
    }
}

fn read_file(
    file: &SourceFile,
    options: &ImportOptions,
    progress: &Arc<Progress>,
    imported: &mut Imported,
    pieces: &mut Pieces,
) -> Result<()> {
    let path = file.path.as_path();
    let Source { mut records, .. } = source::open(file, options.reading, progress)?;
    let mut first = Vec::new();
    let columns = match &options.mapping {
        Some(mapping) => columns_of(path, records.columns(), mapping)?,
        None => {
            first = first_rows(records.as_mut(), LOOKED_AT)?;
            let mapping = guess(path, records.columns(), &first)?;
            imported.mapping = mapping.clone();
            columns_of(path, records.columns(), &mapping)?
        }
    };
    if let Some(mapping) = &options.mapping {
        imported.mapping = mapping.clone();
    }
    imported.has_authors |= columns.author.is_some();
    records.want(&columns.needed());
    for row in first {
        take_row(path, &columns, &row, imported, pieces)?;
    }
    let mut record = ByteRecord::new();
    loop {
        progress.goes_on().map_err(|refusal| Error::refused(path, refusal))?;
        match records.next(&mut record)? {
            Next::Row => take_record(path, &columns, &record, imported, pieces)?,
            Next::Unusable { line, reason, found } => {
                imported.rows += 1;
                imported.skip(line, reason, &found);
            }
            Next::End => return Ok(()),
        }
    }
}

/// A row that was read ahead.
enum Row {
    Record(ByteRecord),
    Unusable { line: u64, reason: SkipReason, found: String },
}

fn first_rows(records: &mut dyn Records, most: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    // A few long rows say as much as many short ones.
    while rows.len() < most && bytes < PIECE_BYTES {
        let mut record = ByteRecord::new();
        rows.push(match records.next(&mut record)? {
            Next::Row => {
                bytes += record.as_slice().len() + CELL_BYTES * record.len();
                Row::Record(record)
            }
            Next::Unusable { line, reason, found } => Row::Unusable { line, reason, found },
            Next::End => break,
        });
    }
    Ok(rows)
}

fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let cells = |row: &Row| match row {
        // One of millions of cells tells nothing of the columns.
        Row::Record(record) if record.len() > COLUMNS => None,
        Row::Record(record) => {
            Some(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect())
        }
        Row::Unusable { .. } => None,
    };
    rows.iter().filter_map(cells).collect()
}

fn guess(path: &Path, header: &[String], rows: &[Row]) -> Result<ColumnMapping> {
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    columns::guess(&names, &cells(rows)).ok_or_else(|| Error::Columns {
        path: path.to_owned(),
        found: quoted(header),
        expected: columns::EXPECTED,
    })
}

fn columns_of(path: &Path, header: &[String], mapping: &ColumnMapping) -> Result<Columns> {
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    Columns::of(&names, mapping).map_err(|name| Error::NoSuchColumn {
        path: path.to_owned(),
        name,
        found: quoted(header),
    })
}

fn quoted(header: &[String]) -> String {
    header
        .iter()
        .take(50)
        .map(|name| format!("\"{}\"", shorten(name, REPORTED_CHARS)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a source is and holds, as far as its beginning tells.
pub fn preview(path: &Path, reading: Reading) -> Result<ImportPreview> {
    let files = source::files(path)?;
    let named = SourceFile::named(path);
    let first = files.first().unwrap_or(&named);
    let Source { mut records, format, encoding, delimiter } = source::open(first, reading, &Arc::default())?;
    let first = first.path.as_path();
    let rows = first_rows(records.as_mut(), LOOKED_AT)?;
    let columns = records.columns().to_vec();
    let shown = cells(&rows).into_iter().take(PREVIEW_ROWS);
    Ok(ImportPreview {
        files: files.len() as i64,
        format,
        encoding: encoding.to_owned(),
        delimiter: delimiter.map(|delimiter| char::from(delimiter).to_string()),
        mapping: guess(first, &columns, &rows).ok(),
        rows: shown.map(|row| row.iter().map(|cell| shorten(cell, PREVIEW_CHARS)).collect()).collect(),
        columns,
    })
}

fn take_row(
    path: &Path,
    columns: &Columns,
    row: &Row,
    imported: &mut Imported,
    pieces: &mut Pieces,
) -> Result<()> {
    match row {
        Row::Record(record) => take_record(path, columns, record, imported, pieces),
        Row::Unusable { line, reason, found } => {
            imported.rows += 1;
            imported.skip(*line, *reason, found);
            Ok(())
        }
    }
}

fn take_record(
    path: &Path,
    columns: &Columns,
    record: &ByteRecord,
    imported: &mut Imported,
    pieces: &mut Pieces,
) -> Result<()> {
    imported.rows += 1;
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
        // A character that stands for what could not be read tells the same of other encodings.
        if std::str::from_utf8(bytes).is_err() {
            imported.skip(line, SkipReason::NotUtf8, &lossy(bytes));
            return Ok(());
        }
    }
    let cell =
        |index: usize| record.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    let short = |index: usize| match std::str::from_utf8(record.get(index).unwrap_or_default()) {
        Ok(cell) if cell.len() <= 4 * REPORTED_CHARS => Cow::Borrowed(cell),
        _ => Cow::Owned(lossy(record.get(index).unwrap_or_default())),
    };
    let mbti = match columns::type_of_row(columns, short) {
        Ok(mbti) => mbti,
        Err((reason, found)) => {
            imported.skip(line, reason, &found);
            return Ok(());
        }
    };
    let text = cell(columns.text);
    let named = columns.author.map(cell).map(str::trim).filter(|name| !name.is_empty());
    let named = named.map(|name| name[..name.floor_char_boundary(AUTHOR_BYTES)].to_owned());
    let mut keep_post = |author: Option<String>, text: &str, imported: &mut Imported| {
        if !has_words(text) {
            imported.skip(line, SkipReason::EmptyText, text);
            return Ok(());
        }
        imported.examples += 1;
        pieces.push(path, Example { author, text: text.to_owned(), mbti })
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

fn shorten(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
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
                SkipReason::NotJson => "it is no object in JSON".to_owned(),
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
        let imported = import(
            &path,
            &ImportOptions::default(),
            |example| {
                examples.push(example);
                Ok(())
            },
            |_| true,
        )?;
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
        let text = b"body,mbti\nfine,INFP\n,INFP\nwhat,ABCD\nno type,\ntoo,many,cells\n\"two\nlines\",ENTJ\n\xff\xfe,INTJ\nl\xc3\xa4st,ISTP\n\xc3\xa4,ISTP\n";
        let (examples, imported) = read(text).unwrap();
        assert_eq!(examples.len(), 4);
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
        assert_eq!(imported.rows, 9);
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
        assert!(matches!(read(b"\x7fELF\x00\x00\x00\x01\n"), Err(Error::Nul { line: 1, .. })));
        assert!(matches!(read(b"\xff\xd8\xff,mbti\nx\x00,INFP\n"), Err(Error::NotText { .. })));
        let error = read(b"text,kind\nx,post\n").unwrap_err();
        assert!(
            error.to_string().contains("\"text\", \"kind\"") && error.to_string().contains("body and mbti")
        );
        let error = read(b"body,mbti\nx,ABCD\n").unwrap_err();
        assert!(error.to_string().contains("line 2") && error.to_string().contains("ABCD"), "{error}");
        let missing =
            import(Path::new("/nowhere/x.csv"), &ImportOptions::default(), |_| Ok(()), |_| true).unwrap_err();
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
