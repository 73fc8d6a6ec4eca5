//! What stands at the end of a Parquet file: the columns and where they lie. The format's crate takes memory by the
//! counts in it, and calls itself for each level of columns in columns, so all of them are looked at before.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use super::thrift::{BINARY, I32, I64, LIST, Outcome, STRUCT, Thrift, expect};
use crate::source::guard::COLUMNS;

/// Bytes of a footer: ten times that of a file of ten million rows in groups of a thousand.
const BYTES: u32 = 64 << 20;
/// Columns in columns, of all levels together, and how many levels.
const ELEMENTS: u64 = 5 * COLUMNS as u64;
const LEVELS: usize = 32;
/// Columns of all row groups together; each takes half a kilobyte of memory.
const CHUNKS: u64 = 400_000;

const MAGIC: &[u8] = b"PAR1";
const TAIL: i64 = 8;

pub(super) fn check(file: &mut File) -> Outcome<()> {
    let failed = |error: std::io::Error| error.to_string();
    let mut tail = [0; TAIL as usize];
    let end = file.seek(SeekFrom::End(-TAIL)).map_err(failed)?;
    file.read_exact(&mut tail).map_err(failed)?;
    let [a, b, c, d, magic @ ..] = tail;
    let length = u32::from_le_bytes([a, b, c, d]);
    if magic != *MAGIC {
        return Err("it does not end as a Parquet file does; it may have been cut off".to_owned());
    }
    if length > BYTES {
        return Err(format!("its footer has more than {} MiB", BYTES >> 20));
    }
    let start = end.checked_sub(u64::from(length)).ok_or("its footer says that it begins before the file")?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(u64::from(length)).read_to_end(&mut bytes).map_err(failed)?;
    walk(&bytes)
}

fn walk(bytes: &[u8]) -> Outcome<()> {
    let mut input = Thrift::new(bytes, bytes.len() as u64);
    let (mut last, mut chunks) = (0, 0);
    while let Some(field) = input.field(&mut last)? {
        match field.0 {
            1 => expect(field, I32).and_then(|()| input.skip(I32))?,
            2 => expect(field, LIST).and_then(|()| schema(&mut input))?,
            3 => expect(field, I64).and_then(|()| input.skip(I64))?,
            4 => {
                expect(field, LIST)?;
                for _ in 0..structures(&mut input, CHUNKS, "row groups")? {
                    row_group(&mut input, &mut chunks)?;
                }
            }
            5 | 7 => {
                expect(field, LIST)?;
                for _ in 0..structures(&mut input, CHUNKS, "notes")? {
                    input.skip(STRUCT)?;
                }
            }
            6 | 9 => expect(field, BINARY).and_then(|()| input.skip(BINARY))?,
            _ => input.skip(field.1)?,
        }
    }
    Ok(())
}

/// The beginning of a list of structures.
fn structures(input: &mut Thrift<&[u8]>, most: u64, of: &str) -> Outcome<u64> {
    match input.list()? {
        (0, _) => Ok(0),
        (count, STRUCT) if count <= most => Ok(count),
        (count, STRUCT) => Err(format!("it has {count} {of}, more than the {most} that are read")),
        _ => Err("a list in its footer is of a wrong type".to_owned()),
    }
}

/// The columns, level by level: each element is followed by its children.
fn schema(input: &mut Thrift<&[u8]>) -> Outcome<()> {
    // How many children are still to come, on each level.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..structures(input, ELEMENTS, "columns")? {
        let (mut last, mut children) = (0, 0);
        while let Some(field) = input.field(&mut last)? {
            match field.0 {
                5 => {
                    expect(field, I32)?;
                    children = input.count_of()?;
                }
                1..=3 | 6..=9 => expect(field, I32).and_then(|()| input.skip(I32))?,
                4 => expect(field, BINARY).and_then(|()| input.skip(BINARY))?,
                _ => input.skip(field.1)?,
            }
        }
        if children > ELEMENTS {
            return Err(format!("a column has {children} others in it, more than there are"));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > LEVELS {
            return Err(format!("columns lie in columns more than {LEVELS} deep"));
        }
    }
    Ok(())
}

fn row_group(input: &mut Thrift<&[u8]>, chunks: &mut u64) -> Outcome<()> {
    let mut last = 0;
    while let Some(field) = input.field(&mut last)? {
        match field.0 {
            1 => {
                expect(field, LIST)?;
                let count = structures(input, CHUNKS, "columns")?;
                *chunks += count;
                if *chunks > CHUNKS {
                    return Err(format!("its row groups have more than {CHUNKS} columns together"));
                }
                (0..count).try_for_each(|_| chunk(input))?;
            }
            2 | 3 | 5 | 6 => expect(field, I64).and_then(|()| input.skip(I64))?,
            _ => input.skip(field.1)?,
        }
    }
    Ok(())
}

fn chunk(input: &mut Thrift<&[u8]>) -> Outcome<()> {
    let mut last = 0;
    while let Some(field) = input.field(&mut last)? {
        let kind = match field.0 {
            1 | 9 => BINARY,
            2 | 4 | 6 => I64,
            5 | 7 => I32,
            3 | 8 => STRUCT,
            _ => field.1,
        };
        expect(field, kind)?;
        if field.0 == 3 { meta_data(input)? } else { input.skip(field.1)? }
    }
    Ok(())
}

fn meta_data(input: &mut Thrift<&[u8]>) -> Outcome<()> {
    let mut last = 0;
    while let Some(field) = input.field(&mut last)? {
        let kind = match field.0 {
            1 | 4 | 15 => I32,
            2 | 3 | 8 | 13 => LIST,
            5..=7 | 9..=11 | 14 => I64,
            12 | 16 | 17 => STRUCT,
            _ => field.1,
        };
        expect(field, kind).and_then(|()| input.skip(kind))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Field 2, a list of structures, of which each is `element`.
    fn footer(count: u32, element: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc];
        let mut left = count;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes.extend(element.repeat(count as usize));
        bytes.push(0);
        bytes
    }

    #[test]
    fn columns_that_lie_too_deep_or_claim_more_than_there_are_are_refused() {
        // Field 5, the number of children: one, or a million.
        assert!(walk(&footer(30, &[0x55, 2, 0])).is_ok());
        let error = walk(&footer(100_000, &[0x55, 2, 0])).unwrap_err();
        assert!(error.contains("columns, more than"), "{error}");
        let error = walk(&footer(40, &[0x55, 2, 0])).unwrap_err();
        assert!(error.contains("deep"), "{error}");
        let error = walk(&footer(1, &[0x55, 0x80, 0x89, 0x7a, 0])).unwrap_err();
        assert!(error.contains("others in it"), "{error}");
        // A list of two billion, and none of them there.
        let error = walk(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 7]).unwrap_err();
        assert!(error.contains("more elements than bytes"), "{error}");
    }

    #[test]
    fn fields_out_of_order_or_of_another_type_are_refused() {
        assert!(walk(&[0x15, 2, 0]).is_ok());
        for wrong in [&[0x15, 2, 0x05, 2, 2, 0][..], &[0x18, 1, 0, 0], &[0x15], &[0x2b, 0]] {
            assert!(walk(wrong).is_err(), "{wrong:?}");
        }
    }
}
