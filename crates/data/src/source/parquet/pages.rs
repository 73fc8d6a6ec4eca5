//! The pages of one row group. Their headers are walked before any page is unpacked: how large each says it is, and
//! how many rows can be read at once within a bounded memory. What the format's crate then reads is held to that.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    sync::Arc,
};

use parquet::{
    basic::{Compression, Type},
    file::metadata::ColumnChunkMetaData,
};

use super::{
    delta::PREFIXES,
    thrift::{I32, Outcome, STRUCT, Thrift, expect},
    unpack::{Body, Packing},
};

/// The most that one page may come to, and one with the values that others refer to, in bytes.
const PAGE_BYTES: u64 = 256 << 20;
const DICTIONARY_BYTES: u64 = 64 << 20;
/// The most that the pages may come to which are in memory at once, over all columns.
pub(super) const HELD_BYTES: u64 = 512 << 20;
/// What texts that stand as differences from one another may come to in a batch.
const SPREAD_BYTES: u64 = 64 << 20;
/// Texts of all lists of a column in a row group, of which one row may have all.
const LISTED: u64 = 16 << 20;
/// Pages of a column in a row group.
const PAGES: usize = 1 << 20;
/// What is read ahead at a header, which rarely has a hundred bytes.
const HEADER_BUFFER: usize = 512;
/// Rows that are read at once, where there is memory for them.
const BATCHES: [u64; 5] = [256, 64, 16, 4, 1];

/// A page as its header has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) kind: Kind,
    /// Bytes as it lies there and as it is unpacked, the header not counted.
    packed: u64,
    unpacked: u64,
    pub(super) values: u64,
    pub(super) encoding: i32,
    /// Bytes of levels before the values, which are not packed, where the header tells them.
    levels: u64,
    is_packed: bool,
    /// Where it begins in the file, behind its header.
    body: u64,
}

impl Page {
    /// The most that it takes in memory.
    fn bytes(&self) -> u64 {
        self.packed.max(self.unpacked)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Data,
    Dictionary,
}

/// The pages of one column in a row group.
pub(super) struct Chunk {
    pub(super) pages: Vec<Page>,
    is_list: bool,
}

impl Chunk {
    /// All bytes that come out of it.
    pub(super) fn unpacked(&self) -> u64 {
        self.pages.iter().fold(0, |sum, page| sum.saturating_add(page.bytes()))
    }

    fn dictionary(&self) -> u64 {
        self.of(Kind::Dictionary).map(Page::bytes).sum()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.kind == kind)
    }

    /// The most that the pages come to of which a batch of so many rows may have something.
    fn held(&self, rows: u64) -> u64 {
        let data: Vec<&Page> = self.of(Kind::Data).collect();
        if self.is_list {
            return data.iter().map(|page| page.bytes()).sum();
        }
        let (mut most, mut sum, mut values, mut end) = (0, 0_u64, 0_u64, 0);
        for (start, first) in data.iter().enumerate() {
            // The batch begins with the last row of the first page; `values` counts those behind it.
            if end <= start {
                (end, sum, values) = (start + 1, first.bytes(), 0);
            }
            while let Some(next) = data.get(end).filter(|_| values + 1 < rows) {
                sum += next.bytes();
                values += next.values;
                end += 1;
            }
            most = most.max(sum);
            sum -= first.bytes();
            values = values.saturating_sub(data.get(start + 1).map_or(0, |next| next.values));
        }
        most
    }

    /// The longest that a text may be which stands as a difference.
    fn spread(&self) -> u64 {
        let spread = self.of(Kind::Data).filter(|page| page.encoding == PREFIXES);
        spread.map(Page::bytes).max().unwrap_or(0)
    }
}

/// How many rows of these columns can be read at once.
pub(super) fn batch<'a>(chunks: impl Iterator<Item = &'a Chunk> + Clone) -> Outcome<usize> {
    let spread: u64 = chunks.clone().map(Chunk::spread).sum();
    let dictionaries: u64 = chunks.clone().map(Chunk::dictionary).sum();
    let fits = |rows: u64| {
        let held: u64 = chunks.clone().map(|chunk| chunk.held(rows)).sum();
        held + dictionaries <= HELD_BYTES && (rows == 1 || rows * spread <= SPREAD_BYTES)
    };
    let found = BATCHES.into_iter().find(|rows| fits(*rows));
    let rows = found
        .ok_or_else(|| format!("a row group takes more than {} MiB of memory at once", HELD_BYTES >> 20))?;
    Ok(rows as usize)
}

/// What is walked over: where a column's pages begin and end.
pub(super) fn walk(file: &File, meta: &ColumnChunkMetaData) -> Outcome<Chunk> {
    let failed = |error: std::io::Error| error.to_string();
    let is_list = meta.column_descr().max_rep_level() > 0;
    let (start, mut left) = meta.byte_range();
    let all =
        u64::try_from(meta.num_values()).map_err(|_| "a column says that it has less than no values")?;
    let mut reader = BufReader::with_capacity(HEADER_BUFFER, file);
    reader.seek(SeekFrom::Start(start)).map_err(failed)?;
    let (mut at, mut values) = (start, 0_u64);
    let mut pages = Vec::new();
    while left > 0 && values < all {
        let mut header = Thrift::new(&mut reader, left);
        let mut page = page(&mut header)?;
        let length = header.read;
        (at, left) = (at + length, left - length);
        page.body = at;
        check(&page, meta, left)?;
        (at, left) = (at + page.packed, left - page.packed);
        if page.kind == Kind::Data {
            values = values.saturating_add(page.values);
        } else if !pages.is_empty() {
            return Err("a column has its dictionary behind its values, or two of them".to_owned());
        }
        let packed = i64::try_from(page.packed).map_err(|error| error.to_string())?;
        reader.seek_relative(packed).map_err(failed)?;
        pages.push(page);
        if pages.len() > PAGES {
            return Err(format!("a column has more than {PAGES} pages in a row group"));
        }
    }
    let chunk = Chunk { pages, is_list };
    if is_list {
        let listed = chunk.of(Kind::Data).fold(0, |sum: u64, page| sum.saturating_add(page.values));
        if listed > LISTED {
            return Err(format!(
                "a row group has {listed} texts in lists, more than the {LISTED} that are read"
            ));
        }
        if chunk.spread() > 0 {
            return Err("the texts of its lists stand as differences (DELTA_BYTE_ARRAY)".to_owned());
        }
    }
    Ok(chunk)
}

/// Refuses a page by what its header says, before memory is taken for it.
fn check(page: &Page, meta: &ColumnChunkMetaData, left: u64) -> Outcome<()> {
    if page.packed > left {
        return Err("a page says that it goes on behind its column".to_owned());
    }
    let most = if page.kind == Kind::Dictionary { DICTIONARY_BYTES } else { PAGE_BYTES };
    if page.bytes() > most {
        return Err(format!("a page says that it has more than {} MiB", most >> 20));
    }
    // Of a text at least its length stands in a dictionary, in four bytes.
    let least = match meta.column_type() {
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        _ => 4,
    };
    if page.kind == Kind::Dictionary && page.values.saturating_mul(least) > page.bytes() {
        return Err("a page says that it has more values than bytes".to_owned());
    }
    if page.levels > page.unpacked.min(page.packed) {
        return Err("a page says that it has more levels than bytes".to_owned());
    }
    Ok(())
}

/// The header of a page.
fn page<R: Read>(input: &mut Thrift<R>) -> Outcome<Page> {
    let mut page = Page { is_packed: true, ..Page::default() };
    let (mut last, mut kind, mut told) = (0, -1, -1);
    while let Some(field) = input.field(&mut last)? {
        match field.0 {
            1..=4 => expect(field, I32)?,
            5..=8 => expect(field, STRUCT)?,
            _ => {}
        }
        match field.0 {
            1 => kind = input.i32()?,
            2 => page.unpacked = input.count_of()?,
            3 => page.packed = input.count_of()?,
            // What belongs to data, a dictionary and data of the second version.
            5 | 7 | 8 => {
                if told >= 0 {
                    return Err("a page has two headers".to_owned());
                }
                told = match field.0 {
                    5 => 0,
                    7 => 2,
                    _ => 3,
                };
                inner(input, told, &mut page)?;
            }
            _ => input.skip(field.1)?,
        }
    }
    if kind != told {
        return Err("a page is of a kind that none is".to_owned());
    }
    page.kind = if kind == 2 { Kind::Dictionary } else { Kind::Data };
    Ok(page)
}

fn inner<R: Read>(input: &mut Thrift<R>, kind: i32, page: &mut Page) -> Outcome<()> {
    let mut last = 0;
    while let Some(field) = input.field(&mut last)? {
        let numbers = match kind {
            0 => 4,
            2 => 2,
            _ => 6,
        };
        if field.0 <= numbers {
            expect(field, I32)?;
        }
        match (kind, field.0) {
            (_, 1) => page.values = input.count_of()?,
            (0 | 2, 2) | (3, 4) => page.encoding = input.i32()?,
            (3, 5 | 6) => page.levels += input.count_of()?,
            (3, 7) => {
                expect(field, 1)?;
                page.is_packed = field.1 == 1;
            }
            _ => input.skip(field.1)?,
        }
    }
    Ok(())
}

/// Where each page lies and what it is packed by, to hold the reading to.
pub(super) fn bodies<'a>(
    chunks: impl Iterator<Item = (&'a Chunk, &'a ColumnChunkMetaData)>,
) -> Arc<HashMap<u64, Body>> {
    let bodies = chunks.flat_map(|(chunk, meta)| {
        let packing = match meta.compression() {
            Compression::GZIP(_) => Packing::Gzip,
            Compression::BROTLI(_) => Packing::Brotli,
            Compression::LZ4 => Packing::Lz4,
            // These write no further than they are told.
            _ => Packing::Bounded,
        };
        chunk.pages.iter().map(move |page| {
            let packing = if page.is_packed { packing } else { Packing::Bounded };
            let (length, levels) = (page.packed, page.levels);
            (page.body, Body { packing, length, levels, unpacked: page.unpacked.saturating_sub(levels) })
        })
    });
    Arc::new(bodies.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chunk(pages: &[(u64, u64)]) -> Chunk {
        let page = |&(values, unpacked): &(u64, u64)| Page { values, unpacked, ..Page::default() };
        Chunk { pages: pages.iter().map(page).collect(), is_list: false }
    }

    #[test]
    fn a_batch_has_as_many_rows_as_the_pages_that_it_touches_leave_memory_for() {
        let mib = |count: u64| count << 20;
        let batch = |chunks: &[Chunk]| super::batch(chunks.iter());
        assert_eq!(batch(&[chunk(&vec![(20_000, mib(1)); 50])]).unwrap(), 256);
        // A page for each row.
        let single = chunk(&vec![(1, mib(16)); 1000]);
        assert_eq!([1, 2, 4].map(|rows| single.held(rows)), [16, 32, 64].map(mib));
        assert_eq!(batch(&[single]).unwrap(), 16);
        // Two columns with pages of 200 MiB each, of which one row is all that fits, and three.
        let large = || chunk(&[(1, mib(200)), (1, mib(200))]);
        assert_eq!(batch(&[large(), large()]).unwrap(), 1);
        assert!(batch(&[large(), large(), large()]).is_err());
        let mut prefixes = chunk(&[(1000, mib(2))]);
        prefixes.pages[0].encoding = PREFIXES;
        assert_eq!(batch(&[prefixes]).unwrap(), 16);
        assert_eq!(batch(&[chunk(&[])]).unwrap(), 256);
        // Pages without a row cost all the same.
        assert_eq!(chunk(&[(1, 1), (0, 5), (0, 5), (9, 7)]).held(2), 18);
    }

    #[test]
    fn a_header_is_read_as_it_stands_and_refused_where_it_says_two_things() {
        let read = |bytes: &[u8]| page(&mut Thrift::new(bytes, bytes.len() as u64));
        // Kind 0, 300 and 40 bytes, 7 values in encoding 8, levels in 3.
        let data = [0x15, 0, 0x15, 0xd8, 4, 0x15, 0x50, 0x2c, 0x15, 14, 0x15, 16, 0x15, 6, 0x15, 6, 0, 0];
        let found = read(&data).unwrap();
        assert_eq!((found.kind, found.unpacked, found.packed), (Kind::Data, 300, 40));
        assert_eq!((found.values, found.encoding), (7, 8));
        let mut negative = data;
        negative[3] = 0xd9;
        assert!(read(&negative).is_err());
        let mut other = data;
        other[1] = 4;
        assert!(read(&other).is_err());
        // The size once more.
        assert!(read(&[&data[..7], &[0x05, 4, 2], &data[7..]].concat()).is_err());
        for end in 0..data.len() {
            assert!(read(&data[..end]).is_err());
        }
    }
}
