//! The examples of a data set as a Parquet file: columns author, body and mbti, the texts in zstd, all
//! in row groups of which one at a time is read or written.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, RecordBatch, StringArray,
    builder::{ArrayBuilder, StringBuilder},
};
use arrow_schema::{DataType, Field, Schema};
use files::{Access, Replacement};
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};

use crate::{Error, Example, error::Result};

pub(crate) const AUTHOR: &str = "author";
const BODY: &str = "body";
pub(crate) const MBTI: &str = "mbti";

/// Texts of a row group, and the bytes after which it is closed all the same.
const GROUP_ROWS: usize = 16 * 1024;
const GROUP_BYTES: usize = 32 << 20;
/// Texts that are handed on at once, unless they are this long together.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Zstd,
    None,
}

/// Writes examples as they come, beside the place that they are for; nothing is there before what
/// [`Writer::finish`] gives is put there.
pub(crate) struct Writer {
    path: PathBuf,
    writer: ArrowWriter<Replacement>,
    authors: StringBuilder,
    texts: StringBuilder,
    types: StringBuilder,
    bytes: usize,
}

impl Writer {
    pub(crate) fn begin(path: &Path, access: Access, packing: Packing) -> Result<Writer> {
        let file = Replacement::begin(path, access).map_err(|error| Error::write(path, error))?;
        let compression = match packing {
            Packing::Zstd => Compression::ZSTD(ZstdLevel::try_new(1).map_err(|error| failed(path, error))?),
            Packing::None => Compression::UNCOMPRESSED,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            // Hardly two texts are alike, and to look for that takes time and memory.
            .set_column_dictionary_enabled(ColumnPath::from(BODY), false)
            .set_column_statistics_enabled(
                ColumnPath::from(BODY),
                parquet::file::properties::EnabledStatistics::None,
            )
            .build();
        let writer =
            ArrowWriter::try_new(file, schema(), Some(properties)).map_err(|error| failed(path, error))?;
        let [authors, texts, types] = [(); 3].map(|()| StringBuilder::new());
        Ok(Writer { path: path.to_owned(), writer, authors, texts, types, bytes: 0 })
    }

    pub(crate) fn push(&mut self, example: &Example) -> Result<()> {
        if self.types.len() >= BATCH_ROWS || self.bytes + example.bytes() > BATCH_BYTES {
            self.flush()?;
        }
        self.bytes += example.bytes();
        self.authors.append_option(example.author.as_deref());
        self.texts.append_value(&example.text);
        self.types.append_value(example.mbti.to_string());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let columns = [&mut self.authors, &mut self.texts, &mut self.types];
        let columns = columns.map(|column| Arc::new(column.finish()) as arrow_array::ArrayRef);
        let batch = RecordBatch::try_new(schema(), columns.into());
        let batch = batch.map_err(|error| failed(&self.path, error.into()))?;
        self.writer.write(&batch).map_err(|error| failed(&self.path, error))
    }

    /// The whole file, to be put in its place.
    pub(crate) fn finish(mut self) -> Result<Replacement> {
        self.flush()?;
        self.writer.into_inner().map_err(|error| failed(&self.path, error))
    }
}

fn schema() -> Arc<Schema> {
    let field = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![field(AUTHOR, true), field(BODY, false), field(MBTI, false)]))
}

/// A full disk comes wrapped in an error of the format.
pub(crate) fn failed(path: &Path, error: parquet::errors::ParquetError) -> Error {
    use parquet::errors::ParquetError;
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => Error::write(path, *source),
            Err(other) => Error::write(path, std::io::Error::other(other)),
        },
        other => Error::write(path, std::io::Error::other(other)),
    }
}

/// How many texts each row group has.
pub(crate) fn group_sizes(path: &Path) -> Result<Vec<usize>> {
    let builder = open(path)?;
    Ok(builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize).collect())
}

/// Hands author and type of every text to `keep`.
pub(crate) fn read_labels(path: &Path, mut keep: impl FnMut(Option<&str>, mbti::Type)) -> Result<()> {
    let mut row = 0;
    for batch in columns(path, None, &[AUTHOR, MBTI], 8 * BATCH_ROWS)? {
        let batch = batch.map_err(|error| damaged(path, row, error))?;
        let [authors, types] = [strings(&batch, AUTHOR, path)?, strings(&batch, MBTI, path)?];
        for place in 0..batch.num_rows() {
            row += 1;
            let mbti = types.value(place).parse().map_err(|error: mbti::Error| damaged(path, row, error))?;
            keep(authors.is_valid(place).then(|| authors.value(place)), mbti);
        }
    }
    Ok(())
}

/// Hands each text of a row group to `keep`, by its place in it, until that answers `false`.
pub(crate) fn read_texts(
    path: &Path,
    group: usize,
    mut keep: impl FnMut(usize, &str) -> Result<bool>,
) -> Result<bool> {
    let mut place = 0;
    for batch in columns(path, Some(group), &[BODY], BATCH_ROWS)? {
        let batch = batch.map_err(|error| damaged(path, place as u64, error))?;
        let texts = strings(&batch, BODY, path)?;
        for row in 0..batch.num_rows() {
            if !keep(place, texts.value(row))? {
                return Ok(false);
            }
            place += 1;
        }
    }
    Ok(true)
}

pub(crate) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = files::open_regular(path).map_err(|error| Error::read(path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, 0, error))
}

fn columns(
    path: &Path,
    group: Option<usize>,
    names: &[&str],
    rows: usize,
) -> Result<ParquetRecordBatchReader> {
    let builder = open(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let builder = builder.with_projection(mask).with_batch_size(rows);
    let builder = match group {
        Some(group) => builder.with_row_groups(vec![group]),
        None => builder,
    };
    builder.build().map_err(|error| damaged(path, 0, error))
}

pub(crate) fn strings<'a>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| damaged(path, 0, format!("the column {name} is missing")))
}

pub(crate) fn damaged(path: &Path, row: u64, reason: impl ToString) -> Error {
    Error::Damaged { path: path.to_owned(), line: row, reason: reason.to_string() }
}
