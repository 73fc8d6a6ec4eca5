//! One row group as a stream of batches.

use std::{collections::HashMap, fs::File, sync::Arc};

use arrow_schema::{DataType, Field, Fields};
use parquet::{
    arrow::{
        FieldLevels, ProjectionMask,
        arrow_reader::{ParquetRecordBatchReader, RowGroups},
        parquet_to_arrow_field_levels, parquet_to_arrow_schema,
    },
    basic::ConvertedType,
    column::page::{Page, PageIterator, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::{
        metadata::{ParquetMetaData, RowGroupMetaData},
        serialized_reader::SerializedPageReader,
    },
    schema::types::{SchemaDescriptor, Type},
};

use super::{
    delta,
    pages::{self, Chunk},
    thrift::Outcome,
    told,
    unpack::{Body, Walked},
};

/// Which columns are read, and as what.
pub(super) struct Plan {
    levels: FieldLevels,
    /// Places of the columns that are read, rising, and whether each of the leaves in the file is one.
    pub(super) roots: Vec<usize>,
    pub(super) leaves: Vec<bool>,
}

/// Read are texts, lists of texts, numbers, truths and times; texts as views. What columns a file has in columns,
/// and bytes of a fixed length, are no texts. What Arrow has put into the file of its own types counts for nothing,
/// so that a text is never anything else.
pub(super) fn plan(schema: &SchemaDescriptor) -> Outcome<Plan> {
    let known = parquet_to_arrow_schema(schema, None).map_err(told)?;
    let mut roots = Vec::new();
    let mut fields = Vec::new();
    for (place, (field, column)) in known.fields().iter().zip(schema.root_schema().get_fields()).enumerate() {
        let viewed = match field.data_type() {
            DataType::List(inner) => viewed(inner.data_type(), column)
                .map(|kind| DataType::List(Arc::new(inner.as_ref().clone().with_data_type(kind)))),
            kind if is_number(kind) => Some(kind.clone()),
            kind => viewed(kind, column),
        };
        let kind = viewed.inspect(|_| roots.push(place)).unwrap_or_else(|| field.data_type().clone());
        fields.push(Field::new(field.name(), kind, field.is_nullable()));
    }
    if roots.is_empty() {
        return Err("it has no column of texts".to_owned());
    }
    let mask = ProjectionMask::roots(schema, roots.iter().copied());
    let leaves = (0..schema.num_columns()).map(|leaf| mask.leaf_included(leaf)).collect();
    let levels = parquet_to_arrow_field_levels(schema, mask, Some(&Fields::from(fields))).map_err(told)?;
    Ok(Plan { levels, roots, leaves })
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer()
        || kind.is_floating()
        || matches!(
            kind,
            DataType::Boolean
                | DataType::Date32
                | DataType::Timestamp(..)
                | DataType::Time32(_)
                | DataType::Time64(_)
        )
}

/// A text as a view. Of JSON the crate would not look whether it is UTF-8.
fn viewed(kind: &DataType, column: &Type) -> Option<DataType> {
    match kind {
        DataType::Utf8 if leaf(column).get_basic_info().converted_type() == ConvertedType::UTF8 => {
            Some(DataType::Utf8View)
        }
        DataType::Binary => Some(DataType::BinaryView),
        _ => None,
    }
}

fn leaf(column: &Type) -> &Type {
    match column {
        Type::GroupType { fields, .. } => fields.first().map_or(column, |inner| leaf(inner)),
        Type::PrimitiveType { .. } => column,
    }
}

/// A row group whose page headers were walked.
pub(super) struct Group {
    metadata: Arc<ParquetMetaData>,
    number: usize,
    /// By the places of the leaves.
    chunks: HashMap<usize, Chunk>,
    batch: usize,
}

pub(super) fn walk(
    file: &File,
    metadata: &Arc<ParquetMetaData>,
    number: usize,
    plan: &Plan,
) -> Outcome<Group> {
    let mut chunks = HashMap::new();
    for (place, column) in plan.chunks(metadata.row_group(number)) {
        chunks.insert(place, pages::walk(file, column)?);
    }
    let batch = pages::batch(chunks.values())?;
    Ok(Group { metadata: metadata.clone(), number, chunks, batch })
}

impl Group {
    /// Bytes that come out of all its pages.
    pub(super) fn unpacked(&self) -> u64 {
        self.chunks.values().fold(0, |sum, chunk| sum.saturating_add(chunk.unpacked()))
    }

    pub(super) fn reader(self, file: &File, length: u64, plan: &Plan) -> Outcome<ParquetRecordBatchReader> {
        let columns = self.metadata.row_group(self.number).columns();
        let known = self.chunks.iter().filter_map(|(place, chunk)| Some((chunk, columns.get(*place)?)));
        let bodies = pages::bodies(known);
        let file = file.try_clone().map_err(|error| error.to_string())?;
        let batch = self.batch;
        let groups = Opened { group: self, file: Arc::new(file), length, bodies };
        ParquetRecordBatchReader::try_new_with_row_groups(&plan.levels, &groups, batch, None).map_err(told)
    }
}

struct Opened {
    group: Group,
    file: Arc<File>,
    length: u64,
    bodies: Arc<HashMap<u64, Body>>,
}

impl RowGroups for Opened {
    fn num_rows(&self) -> usize {
        let rows = self.group.metadata.row_group(self.group.number).num_rows();
        usize::try_from(rows).unwrap_or(0)
    }

    fn column_chunks(&self, place: usize) -> Result<Box<dyn PageIterator>> {
        let meta = self.group.metadata.row_group(self.group.number).column(place);
        let contradicts = || ParquetError::General("it contradicts itself".to_owned());
        let chunk = self.group.chunks.get(&place).ok_or_else(contradicts)?;
        let file = self.file.try_clone()?;
        let walked = Arc::new(Walked { file, length: self.length, bodies: self.bodies.clone() });
        let inner = SerializedPageReader::new(walked, meta, self.num_rows(), None)?;
        let levels = [meta.column_descr().max_rep_level() > 0, meta.column_descr().max_def_level() > 0];
        let pages = chunk.pages.clone().into_iter();
        Ok(Box::new(Once(Some(Box::new(Pages { inner, pages, levels })))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group.metadata.row_group(self.group.number)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.group.metadata
    }
}

/// The pages of the one row group.
struct Once(Option<Box<dyn PageReader>>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Once {}

/// The pages that were walked, and none behind them, each looked at before it is unpacked into values.
struct Pages {
    inner: SerializedPageReader<Walked>,
    pages: std::vec::IntoIter<pages::Page>,
    /// Whether levels of repetition and of definition stand before the values.
    levels: [bool; 2],
}

impl Pages {
    fn is_at_end(&self) -> bool {
        self.pages.as_slice().is_empty()
    }

    fn check(&self, page: &Page) -> Outcome<()> {
        let encoding = match page.encoding() {
            parquet::basic::Encoding::DELTA_BINARY_PACKED => delta::NUMBERS,
            parquet::basic::Encoding::DELTA_LENGTH_BYTE_ARRAY => delta::LENGTHS,
            parquet::basic::Encoding::DELTA_BYTE_ARRAY => delta::PREFIXES,
            _ => return Ok(()),
        };
        let bytes = page.buffer().as_ref();
        let start = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                *def_levels_byte_len as usize + *rep_levels_byte_len as usize
            }
            // Each of them with its length before it.
            _ => self
                .levels
                .iter()
                .filter(|are_there| **are_there)
                .try_fold(0_usize, |at, _| {
                    let length = bytes.get(at..at.checked_add(4)?)?.first_chunk::<4>()?;
                    at.checked_add(4)?.checked_add(u32::from_le_bytes(*length) as usize)
                })
                .ok_or("a page is cut off")?,
        };
        delta::check(bytes.get(start..).unwrap_or_default(), u64::from(page.num_values()), encoding)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(walked) = self.pages.next() else { return Ok(None) };
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            let is_same = u64::from(page.num_values()) == walked.values
                && page.is_dictionary_page() == (walked.kind == pages::Kind::Dictionary);
            let checked = if is_same { self.check(page) } else { Err("it contradicts itself".to_owned()) };
            checked.map_err(ParquetError::General)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        if self.is_at_end() { Ok(None) } else { self.inner.peek_next_page() }
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.next();
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        if self.is_at_end() { Ok(true) } else { self.inner.at_record_boundary() }
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
