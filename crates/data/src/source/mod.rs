//! Files that texts come from, of whatever format, packing and encoding, as rows of cells.

pub(crate) mod delimited;
pub(crate) mod encoding;
pub(crate) mod guard;
mod json_lines;
mod parquet;

use std::{
    fs::File,
    io::{Cursor, Read, Seek, Take},
    path::{Path, PathBuf},
    sync::Arc,
};

use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;
use files::{Enclosure, Found};
use record::{SkipReason, SourceFormat};

use self::{
    delimited::{Delimited, dialect},
    guard::{COLUMNS, Counted, Produced, Progress, Unpacked},
    json_lines::JsonLines,
    parquet::Parquet,
};
use crate::{Error, error::Result};

/// Between the posts of one cell in the Kaggle data set.
pub(crate) const POST_SEPARATOR: &str = "|||";
/// What is looked at to find out format, encoding and delimiter.
const START_BYTES: u64 = 256 << 10;
/// Endings of files that are read in a folder, before one of a packing.
const ENDINGS: [&str; 7] = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet"];
const PACKINGS: [&str; 3] = ["gz", "zst", "zstd"];

/// All endings of files that are read, with and without a packing.
pub fn endings() -> Vec<String> {
    // Parquet packs its pages itself.
    let packed = ENDINGS.iter().filter(|ending| **ending != "parquet");
    let packed = packed.flat_map(|ending| PACKINGS.iter().map(move |packing| format!("{ending}.{packing}")));
    ENDINGS.iter().map(|ending| (*ending).to_owned()).chain(packed).collect()
}

/// What the user says of a source, where a guess would be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    pub encoding: Option<&'static Encoding>,
    pub delimiter: Option<u8>,
}

impl Reading {
    /// The encoding of this name or label, such as UTF-8, gb18030, latin1, utf-16le.
    pub fn encoding(name: &str) -> std::result::Result<&'static Encoding, String> {
        Encoding::for_label(name.trim().as_bytes()).ok_or_else(|| {
            format!("{name} is no encoding's name, such as utf-8, gb18030, utf-16le or latin1")
        })
    }

    /// The delimiter that is written so: one character of ASCII, or "tab".
    pub fn delimiter(text: &str) -> std::result::Result<u8, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(b'\t'),
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("allowed are one character, such as ; or |, and tab".to_owned()),
        }
    }
}

/// Rows of a source, one after another.
pub(crate) trait Records {
    /// The names of the columns.
    fn columns(&self) -> &[String];

    /// Says which columns are wanted from now on; the cells of others may be empty.
    fn want(&mut self, _columns: &[usize]) {}

    /// Reads the next row: a cell for each column, or more or fewer where the row has them.
    fn next(&mut self, record: &mut ByteRecord) -> Result<Next>;
}

pub(crate) enum Next {
    Row,
    /// What is no row; reading can go on behind it.
    Unusable {
        line: u64,
        reason: SkipReason,
        found: String,
    },
    End,
}

/// A file that is being read.
pub(crate) struct Source {
    pub(crate) records: Box<dyn Records>,
    pub(crate) format: SourceFormat,
    /// The name of its encoding.
    pub(crate) encoding: &'static str,
    pub(crate) delimiter: Option<u8>,
}

/// A file of a source.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// What the user knows it by.
    pub(crate) path: PathBuf,
    /// Where it was found, in a folder that was named.
    found: Option<(Arc<Enclosure>, Found)>,
}

impl SourceFile {
    /// One that was named itself, by whoever is asked to read it, so that it may be a link to anywhere.
    pub(crate) fn named(path: &Path) -> SourceFile {
        SourceFile { path: path.to_owned(), found: None }
    }

    fn open(&self) -> Result<File> {
        let opened = match &self.found {
            Some((folder, found)) => folder.open_found(found),
            None => files::open_regular(&self.path),
        };
        opened.map_err(|error| Error::read(&self.path, error))
    }

    /// In bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        let about = self.open()?.metadata().map_err(|error| Error::read(&self.path, error))?;
        Ok(about.len())
    }
}

/// The file itself, or all files in the folder whose names say that they hold texts, by their names.
///
/// A folder may be somebody else's, and a link in it name any file of the user's: links are followed within the
/// folder and, of a snapshot in the Hub's cache, to that repository's blobs. A link to elsewhere, a pipe or a device
/// under such a name is an error, since without it the texts would not be all.
pub(crate) fn files(path: &Path) -> Result<Vec<SourceFile>> {
    let failed = |error| Error::read(path, error);
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![SourceFile::named(path)]);
    }
    let folder = Arc::new(Enclosure::of(path).map_err(failed)?);
    let mut files = Vec::new();
    for name in folder.names().map_err(failed)? {
        let path = folder.path(&name);
        let is_folder = || std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir());
        if !is_wanted(&path) || is_folder() {
            continue;
        }
        let found = folder.find(&name).map_err(|error| Error::read(&path, error))?;
        files.push(SourceFile { path, found: Some((folder.clone(), found)) });
    }
    folder.check_in_its_place().map_err(failed)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    if files.is_empty() {
        return Err(Error::NoFiles { path: path.to_owned(), endings: ENDINGS.join(", ") });
    }
    Ok(files)
}

fn is_wanted(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut endings = name.rsplit('.');
    let mut ending = endings.next();
    if ending.is_some_and(|ending| PACKINGS.contains(&ending)) {
        ending = endings.next();
    }
    !name.starts_with('.') && ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Begins to read a file, telling by what is in it how it is packed, encoded and made up. Bytes of the
/// file are counted in `progress`.
pub(crate) fn open(source: &SourceFile, reading: Reading, progress: &Arc<Progress>) -> Result<Source> {
    let path = source.path.as_path();
    let failed = |error| Error::read(path, error);
    let mut file = source.open()?;
    // What is added while it is read belongs to the next import.
    let length = file.metadata().map_err(failed)?.len();
    let first = first_bytes(&mut file, 4).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if first == *b"PAR1" {
        let records = Box::new(Parquet::open(path, file, progress.clone())?);
        return Ok(Source {
            records,
            format: SourceFormat::Parquet,
            encoding: UTF_8.name(),
            delimiter: None,
        });
    }
    let mut input = unpacked(path, &first, file.take(length), progress)?;
    let start = first_bytes(&mut input, START_BYTES).map_err(failed)?;
    let whole = (start.len() as u64) < START_BYTES;
    if whole && start.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Empty { path: path.to_owned() });
    }
    let encoding = match reading.encoding.or_else(|| encoding::guess(&start, whole)) {
        Some(encoding) => encoding,
        None => {
            let zero = start.iter().position(|&byte| byte == 0).unwrap_or(0);
            let line = 1 + start[..zero].iter().filter(|&&byte| byte == b'\n').count() as u64;
            return Err(Error::NotText { path: path.to_owned(), line });
        }
    };
    let (text, _, _) = encoding.decode(&start);
    let input = Cursor::new(start.clone()).chain(input);
    // UTF-8 is taken as it is, so that a damaged row can be told from a sound one.
    let input: Box<dyn Read> = if encoding == UTF_8 {
        Box::new(input)
    } else {
        Box::new(DecodeReaderBytesBuilder::new().encoding(Some(encoding)).build(input))
    };
    if text.trim_start().starts_with('{') {
        let records = Box::new(JsonLines::open(path, input, &text)?);
        return Ok(Source {
            records,
            format: SourceFormat::JsonLines,
            encoding: encoding.name(),
            delimiter: None,
        });
    }
    if text.trim_start().starts_with("[") && text.trim_start()[1..].trim_start().starts_with('{') {
        let reason = "it is one list; JSON Lines has an object on each line".to_owned();
        return Err(Error::Format { path: path.to_owned(), format: "JSON Lines", reason });
    }
    let mut found = dialect(&text);
    found.delimiter = reading.delimiter.unwrap_or(found.delimiter);
    Ok(Source {
        records: Box::new(Delimited::open(path, input, found)?),
        format: SourceFormat::Delimited,
        encoding: encoding.name(),
        delimiter: Some(found.delimiter),
    })
}

/// Tables of texts have a few columns, and each takes memory in all that looks at them.
fn too_many_columns(path: &Path, found: usize) -> Error {
    let reason = format!("it has {found} columns, more than the {COLUMNS} that are read");
    Error::Format { path: path.to_owned(), format: "a table", reason }
}

fn first_bytes(input: &mut impl Read, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is in a file, by its first bytes: gzip, Zstandard, or as it is.
fn unpacked(path: &Path, first: &[u8], file: Take<File>, progress: &Arc<Progress>) -> Result<Box<dyn Read>> {
    let before = progress.so_far();
    let guard = |inner: Box<dyn Read>| Unpacked {
        inner,
        packed: progress.clone(),
        before,
        unpacked: Produced::default(),
    };
    let counted = Counted { inner: file, progress: progress.clone() };
    Ok(if first.starts_with(&[0x1f, 0x8b]) {
        Box::new(guard(Box::new(flate2::read::MultiGzDecoder::new(counted))))
    } else if first == [0x28, 0xb5, 0x2f, 0xfd] {
        let mut decoder = zstd::Decoder::new(counted).map_err(|error| Error::read(path, error))?;
        // What is unpacked may look back at most so far, in powers of two: 128 MiB.
        decoder.window_log_max(27).map_err(|error| Error::read(path, error))?;
        Box::new(guard(Box::new(decoder)))
    } else {
        Box::new(counted)
    })
}
