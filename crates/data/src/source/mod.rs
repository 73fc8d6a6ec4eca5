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
    let first = first_bytes(&mut file, 6).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if let Some(packing) = unread_packing(&first) {
        let reason = format!(
            "it is packed by {packing}, which is not read; unpack it, or pack it by gzip or Zstandard"
        );
        return Err(Error::Format { path: path.to_owned(), format: "text", reason });
    }
    if first.starts_with(b"PAR1") {
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
            let path = path.to_owned();
            return Err(if is_utf_8(&start) {
                Error::Nul { path, line }
            } else {
                Error::NotText { path, line }
            });
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

/// Whether it is UTF-8 but for what may be cut off at the end.
fn is_utf_8(start: &[u8]) -> bool {
    std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// How a file is packed that is not read, by its first bytes.
fn unread_packing(first: &[u8]) -> Option<&'static str> {
    let is_bzip2 = first.starts_with(b"BZh") && first.get(4..6) == Some(&[0x31, 0x41]);
    let known: [(&[u8], _); 3] = [
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
        (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], "7-Zip"),
        (b"PK\x03\x04", "ZIP, as spreadsheets are, too"),
    ];
    let found = known.into_iter().find(|(start, _)| first.starts_with(start)).map(|(_, name)| name);
    found.or(is_bzip2.then_some("bzip2"))
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
    } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::Decoder::new(counted).map_err(|error| Error::read(path, error))?;
        // What is unpacked may look back at most so far, in powers of two: 128 MiB.
        decoder.window_log_max(27).map_err(|error| Error::read(path, error))?;
        Box::new(guard(Box::new(decoder)))
    } else {
        Box::new(counted)
    })
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_of_a_folder_that_was_replaced_by_a_link_before_it_is_read_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["folder/a.csv", "secret"] {
            std::fs::write(at(name), "body,mbti\nwords,INFP\n").unwrap();
        }
        let found = files(&at("folder")).unwrap();
        assert!(open(&found[0], Reading::default(), &Arc::default()).is_ok());
        std::fs::remove_file(at("folder/a.csv")).unwrap();
        std::os::unix::fs::symlink(at("secret"), at("folder/a.csv")).unwrap();
        let refused = open(&found[0], Reading::default(), &Arc::default()).map(drop).unwrap_err();
        assert!(refused.to_string().contains("was changed"), "{refused}");
        assert!(found[0].size().is_err());
        // Another file, which is none of those that were found either.
        std::fs::remove_file(at("folder/a.csv")).unwrap();
        std::fs::rename(at("secret"), at("folder/a.csv")).unwrap();
        assert!(open(&found[0], Reading::default(), &Arc::default()).is_err());
    }
}
