//! Files that texts come from, of whatever format, packing and encoding, as rows of cells.

pub(crate) mod delimited;
pub(crate) mod encoding;
pub(crate) mod guard;
mod json_lines;
mod parquet;

use std::{
    fs::File,
    io::{Cursor, Read, Seek},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;
use record::{SkipReason, SourceFormat};

use self::{
    delimited::{Delimited, dialect},
    guard::{Counted, Unpacked},
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

/// The file itself, or all files in the folder whose names say that they hold texts, by their names.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::read(path, error))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::read(path, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| Error::read(path, error))?.path();
        if file.is_file() && is_wanted(&file) {
            files.push(file);
        }
    }
    files.sort();
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
/// file are counted in `read`.
pub(crate) fn open(path: &Path, reading: Reading, read: &Arc<AtomicU64>) -> Result<Source> {
    let failed = |error| Error::read(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let first = first_bytes(&mut file, 4).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if first == *b"PAR1" {
        let records = Box::new(Parquet::open(path, file, read.clone())?);
        return Ok(Source {
            records,
            format: SourceFormat::Parquet,
            encoding: UTF_8.name(),
            delimiter: None,
        });
    }
    let mut input = unpacked(path, &first, file, read)?;
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

fn first_bytes(input: &mut impl Read, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is in a file, by its first bytes: gzip, Zstandard, or as it is.
fn unpacked(path: &Path, first: &[u8], file: File, read: &Arc<AtomicU64>) -> Result<Box<dyn Read>> {
    let before = read.load(Ordering::Relaxed);
    let guard = |inner: Box<dyn Read>| Unpacked { inner, packed: read.clone(), before, unpacked: 0 };
    let counted = Counted { inner: file, read: read.clone() };
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
