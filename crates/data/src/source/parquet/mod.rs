//! Parquet, as the Hub converts its data sets to.
//!
//! The format's crate takes memory by what a file says of itself. So the file is looked at first: the footer
//! ([`footer`]), the headers of all pages of a row group ([`pages`]), the bodies of pages as they are read
//! ([`unpack`]), and the counts inside them ([`delta`]). Texts are read as views, of which many show the same bytes.

mod delta;
mod footer;
mod group;
mod pages;
mod thrift;
mod unpack;

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, BinaryViewArray, ListArray, RecordBatch, StringArray, StringViewArray, cast::AsArray,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use csv::{ByteRecord, Position};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReader,
    errors::ParquetError,
    file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData},
};

use super::{
    Next, POST_SEPARATOR, Records,
    guard::{COLUMNS, Produced, Progress, ROW_BYTES, Refusal},
    too_many_columns,
};
use crate::{Error, error::Result};

/// The most bytes that the values of a column may come to in one row group.
const GROUP_BYTES: i64 = 1 << 30;

/// A column of one batch, as text.
enum Column {
    Texts(StringViewArray),
    /// Texts by what is in them, without the file saying so.
    Bytes(BinaryViewArray),
    /// Numbers and their like.
    Others(StringArray),
    /// Several texts a row.
    Lists(ListArray),
    /// Something that is no text and stands for nothing.
    Nothing,
}

pub(crate) struct Parquet {
    path: PathBuf,
    file: File,
    length: u64,
    metadata: Arc<ParquetMetaData>,
    plan: group::Plan,
    /// The row group that is read next, and the reader of the one that is being read.
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
    columns: Vec<String>,
    /// Which of them are wanted; without it, all.
    wanted: Option<Vec<usize>>,
    batch: Vec<Column>,
    /// Rows of the batch, and the next one of them.
    rows: usize,
    next: usize,
    line: u64,
    /// Bytes of the file for a row, which the progress is told as rows are read.
    bytes_a_row: f64,
    progress: Arc<Progress>,
    /// Bytes of pages and of cells that came out of the file.
    pages: Produced,
    cells: Produced,
}

impl Parquet {
    pub(crate) fn open(path: &Path, mut file: File, progress: Arc<Progress>) -> Result<Parquet> {
        let length = file.metadata().map_err(|error| Error::read(path, error))?.len();
        let metadata = guarded(path, || {
            footer::check(&mut file)?;
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(told)?;
            Ok(metadata)
        })?;
        let fields = metadata.file_metadata().schema_descr().root_schema().get_fields();
        let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        if columns.len() > COLUMNS {
            return Err(too_many_columns(path, columns.len()));
        }
        let plan = guarded(path, || {
            let plan = group::plan(metadata.file_metadata().schema_descr())?;
            ranges(&metadata, &plan, length)?;
            Ok(plan)
        })?;
        let rows = metadata.row_groups().iter().map(|group| group.num_rows().max(0));
        let rows = rows.fold(0, i64::saturating_add);
        Ok(Parquet {
            path: path.to_owned(),
            file,
            length,
            metadata: Arc::new(metadata),
            plan,
            group: 0,
            reader: None,
            columns,
            wanted: None,
            batch: Vec::new(),
            rows: 0,
            next: 0,
            line: 0,
            bytes_a_row: length as f64 / rows.max(1) as f64,
            progress,
            pages: Produced::default(),
            cells: Produced::default(),
        })
    }

    /// Reads the next batch; `false` behind the last.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.progress.goes_on().map_err(|refusal| Error::refused(&self.path, refusal))?;
            let Some(reader) = &mut self.reader else {
                if self.group == self.metadata.num_row_groups() {
                    return Ok(false);
                }
                self.begin_group()?;
                continue;
            };
            let batch = guarded(&self.path, || match reader.next() {
                None => Ok(None),
                Some(batch) => {
                    let batch = batch.map_err(|error| error.to_string())?;
                    Ok(Some((batch.num_rows(), self.plan.columns(self.columns.len(), &batch, column))))
                }
            })?;
            let Some((rows, columns)) = batch else {
                self.reader = None;
                continue;
            };
            (self.rows, self.batch, self.next) = (rows, columns, 0);
            self.progress.advance((rows as f64 * self.bytes_a_row) as u64);
            return Ok(true);
        }
    }

    fn begin_group(&mut self) -> Result<()> {
        let number = self.group;
        self.group += 1;
        let walked = guarded(&self.path, || group::walk(&self.file, &self.metadata, number, &self.plan))?;
        let unpacked = walked.unpacked();
        let counted = self.pages.add(unpacked, self.length);
        counted.map_err(|refusal| Error::refused(&self.path, refusal))?;
        let reader = guarded(&self.path, || walked.reader(&self.file, self.length, &self.plan))?;
        self.reader = Some(reader);
        Ok(())
    }
}

/// The crate takes these numbers for granted, and breaks off where they cannot be.
fn ranges(metadata: &ParquetMetaData, plan: &group::Plan, length: u64) -> std::result::Result<(), String> {
    let columns =
        || metadata.row_groups().iter().flat_map(|group| plan.chunks(group).map(|(_, chunk)| chunk));
    if columns().any(|column| column.uncompressed_size() > GROUP_BYTES) {
        return Err(format!("a row group says that it has more than {} MiB", GROUP_BYTES >> 20));
    }
    let is_outside = |column: &ColumnChunkMetaData| {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        start < 0 || column.compressed_size() < 0 || end.is_none_or(|end| end.unsigned_abs() > length)
    };
    if columns().any(is_outside) {
        return Err("a column says that it lies outside the file".to_owned());
    }
    Ok(())
}

fn told(error: ParquetError) -> String {
    error.to_string()
}

/// What the format's crate makes of a damaged file is an error with a reason, a panic included.
fn guarded<T>(path: &Path, work: impl FnOnce() -> std::result::Result<T, String>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.unwrap_or_else(|_| Err("it contradicts itself".to_owned()));
    done.map_err(|reason| Error::Format { path: path.to_owned(), format: "Parquet", reason })
}

fn column(array: Option<&ArrayRef>) -> Column {
    let Some(array) = array else { return Column::Nothing };
    match array.data_type() {
        DataType::Utf8View => Column::Texts(array.as_string_view().clone()),
        DataType::BinaryView => Column::Bytes(array.as_binary_view().clone()),
        DataType::List(_) => Column::Lists(array.as_list().clone()),
        _ => {
            let options = CastOptions { safe: true, ..CastOptions::default() };
            let texts = cast_with_options(array, &DataType::Utf8, &options);
            let texts = texts.ok().and_then(|texts| texts.as_string_opt().cloned());
            texts.map_or(Column::Nothing, Column::Others)
        }
    }
}

impl Column {
    /// Adds the cell of a row to the record, unless it is longer than a row may be.
    fn push(&self, row: usize, record: &mut ByteRecord) -> std::result::Result<(), Refusal> {
        let mut push = |cell: &[u8]| {
            let length = record.as_slice().len() + cell.len();
            if length as u64 > ROW_BYTES {
                return Err(Refusal::LongRow);
            }
            record.push_field(cell);
            Ok(())
        };
        match self {
            Column::Texts(texts) if texts.is_valid(row) => push(texts.value(row).as_bytes()),
            // What is no text stands for nothing, as it always did.
            Column::Bytes(bytes) if bytes.is_valid(row) => {
                push(std::str::from_utf8(bytes.value(row)).unwrap_or_default().as_bytes())
            }
            Column::Others(texts) if texts.is_valid(row) => push(texts.value(row).as_bytes()),
            Column::Lists(lists) if lists.is_valid(row) => push(joined(&lists.value(row))?.as_bytes()),
            _ => push(b""),
        }
    }
}

/// The texts of a list as one cell. Many may show the same bytes, so they are counted before they are joined.
fn joined(list: &ArrayRef) -> std::result::Result<String, Refusal> {
    let texts: Vec<&str> = match list.data_type() {
        DataType::Utf8View => list.as_string_view().iter().flatten().collect(),
        DataType::BinaryView => {
            list.as_binary_view().iter().flatten().flat_map(std::str::from_utf8).collect()
        }
        _ => return Ok(String::new()),
    };
    let bytes: usize = texts.iter().map(|text| text.len() + POST_SEPARATOR.len()).sum();
    if bytes as u64 > ROW_BYTES { Err(Refusal::LongRow) } else { Ok(texts.join(POST_SEPARATOR)) }
}

impl Records for Parquet {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn want(&mut self, columns: &[usize]) {
        self.wanted = Some(columns.to_vec());
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
        let is_wanted = |place| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&place));
        let pushed = self.batch.iter().enumerate().try_for_each(|(place, column)| {
            if is_wanted(place) { column } else { &Column::Nothing }.push(row, record)
        });
        let counted = pushed.and_then(|()| self.cells.add(record.as_slice().len() as u64, self.length));
        counted.map_err(|refusal| match refusal {
            Refusal::LongRow => Error::LongRow { path: self.path.clone(), line: self.line },
            other => Error::refused(&self.path, other),
        })?;
        let mut position = Position::new();
        position.set_line(self.line);
        record.set_position(Some(position));
        Ok(Next::Row)
    }
}

impl group::Plan {
    /// The columns that are read of a row group, by the places of their leaves.
    fn chunks<'a>(
        &'a self,
        group: &'a RowGroupMetaData,
    ) -> impl Iterator<Item = (usize, &'a ColumnChunkMetaData)> {
        let is_read = |place: &usize| self.leaves.get(*place) == Some(&true);
        group.columns().iter().enumerate().filter(move |(place, _)| is_read(place))
    }

    /// The columns of a batch, each in its place; those that are not read have nothing.
    fn columns<T>(&self, count: usize, batch: &RecordBatch, of: impl Fn(Option<&ArrayRef>) -> T) -> Vec<T> {
        let place = |column: usize| self.roots.binary_search(&column).ok();
        (0..count).map(|column| of(place(column).map(|place| batch.column(place)))).collect()
    }
}
