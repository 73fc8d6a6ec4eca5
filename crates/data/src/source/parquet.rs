//! Parquet, as the Hub converts its data sets to.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, cast::AsArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use csv::{ByteRecord, Position};
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    file::metadata::ColumnChunkMetaData,
};

use super::{Next, POST_SEPARATOR, Records, guard::ROW_BYTES};
use crate::{Error, error::Result};

/// Rows that are in memory at once.
const BATCH_ROWS: usize = 256;
/// The most bytes that the values of a column may come to in one row group.
const GROUP_BYTES: i64 = 1 << 30;

/// A column of one batch, as text.
enum Column {
    Texts(StringArray),
    /// Several texts a row.
    Lists(Vec<String>),
    /// Something that is no text and stands for nothing.
    Other,
}

pub(crate) struct Parquet {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    columns: Vec<String>,
    batch: Vec<Column>,
    /// Rows of the batch, and the next one of them.
    rows: usize,
    next: usize,
    line: u64,
    /// Bytes of the file for a row, which the counter is told as rows are read.
    bytes_a_row: f64,
    read: Arc<AtomicU64>,
}

impl Parquet {
    pub(crate) fn open(path: &Path, file: File, read: Arc<AtomicU64>) -> Result<Parquet> {
        let length = file.metadata().map_err(|error| Error::read(path, error))?.len();
        let (reader, columns, rows) = guarded(path, || {
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
            let groups = builder.metadata().row_groups();
            if groups
                .iter()
                .flat_map(|group| group.columns())
                .any(|column| column.uncompressed_size() > GROUP_BYTES)
            {
                return Err(format!("a row group says that it has more than {} MiB", GROUP_BYTES >> 20));
            }
            // The crate takes these numbers for granted, and breaks off where they cannot be.
            let is_outside = |column: &ColumnChunkMetaData| {
                let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
                let end = start.checked_add(column.compressed_size());
                start < 0 || column.compressed_size() < 0 || end.is_none_or(|end| end.unsigned_abs() > length)
            };
            if groups.iter().flat_map(|group| group.columns()).any(is_outside) {
                return Err("a column says that it lies outside the file".to_owned());
            }
            let rows: i64 = groups.iter().map(|group| group.num_rows().max(0)).sum();
            let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())?;
            Ok((reader, columns, rows))
        })?;
        let bytes_a_row = length as f64 / rows.max(1) as f64;
        let path = path.to_owned();
        Ok(Parquet { path, reader, columns, batch: Vec::new(), rows: 0, next: 0, line: 0, bytes_a_row, read })
    }

    /// Reads the next batch; `false` behind the last.
    fn advance(&mut self) -> Result<bool> {
        let reader = &mut self.reader;
        let batch = guarded(&self.path, || match reader.next() {
            None => Ok(None),
            Some(batch) => {
                let batch = batch.map_err(|error| error.to_string())?;
                Ok(Some((batch.num_rows(), texts(&batch)?)))
            }
        })?;
        let Some((rows, columns)) = batch else { return Ok(false) };
        (self.rows, self.batch, self.next) = (rows, columns, 0);
        self.read.fetch_add((rows as f64 * self.bytes_a_row) as u64, Ordering::Relaxed);
        Ok(true)
    }
}

/// What the format's crate makes of a damaged file is an error with a reason, a panic included.
fn guarded<T>(path: &Path, work: impl FnOnce() -> std::result::Result<T, String>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.unwrap_or_else(|_| Err("it contradicts itself".to_owned()));
    done.map_err(|reason| Error::Format { path: path.to_owned(), format: "Parquet", reason })
}

fn texts(batch: &RecordBatch) -> std::result::Result<Vec<Column>, String> {
    batch.columns().iter().map(column).collect()
}

fn column(array: &ArrayRef) -> std::result::Result<Column, String> {
    let lists = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().iter().map(joined).collect(),
        DataType::LargeList(_) => array.as_list::<i64>().iter().map(joined).collect(),
        _ => return Ok(as_texts(array).map_or(Column::Other, Column::Texts)),
    };
    Ok(Column::Lists(lists))
}

fn joined(row: Option<ArrayRef>) -> String {
    let Some(texts) = row.and_then(|row| as_texts(&row)) else { return String::new() };
    texts.iter().flatten().collect::<Vec<_>>().join(POST_SEPARATOR)
}

fn as_texts(array: &ArrayRef) -> Option<StringArray> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let texts = cast_with_options(array, &DataType::Utf8, &options).ok()?;
    texts.as_any().downcast_ref().cloned()
}

impl Records for Parquet {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self, record: &mut ByteRecord) -> Result<Next> {
        while self.next >= self.rows {
            if !self.advance()? {
                return Ok(Next::End);
            }
        }
        let row = self.next;
        self.next += 1;
        self.line += 1;
        record.clear();
        for column in &self.batch {
            let cell = match column {
                Column::Texts(texts) if texts.is_valid(row) => texts.value(row),
                Column::Lists(lists) => lists.get(row).map_or("", String::as_str),
                _ => "",
            };
            if cell.len() as u64 > ROW_BYTES {
                return Err(Error::LongRow { path: self.path.clone(), line: self.line });
            }
            record.push_field(cell.as_bytes());
        }
        let mut position = Position::new();
        position.set_line(self.line);
        record.set_position(Some(position));
        Ok(Next::Row)
    }
}
