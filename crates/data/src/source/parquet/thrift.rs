//! Thrift's compact protocol, in which Parquet's footer and page headers are written, as far as it takes to look at
//! them before the format's own crate does. What no writer writes is refused rather than guessed, so that both read
//! the same out of the same bytes.

use std::io::Read;

/// What is wrong, to complete "cannot be read as Parquet: …".
pub(super) type Outcome<T> = Result<T, String>;

pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// How deep structures may lie in one another. Parquet's go to six.
const DEPTH: u32 = 16;

/// Reads from the input and counts what it has read; no more than `left` bytes.
pub(super) struct Thrift<R> {
    pub(super) input: R,
    pub(super) read: u64,
    pub(super) left: u64,
}

/// The number and the type of a field.
pub(super) type Field = (i16, u8);

impl<R: Read> Thrift<R> {
    pub(super) fn new(input: R, left: u64) -> Thrift<R> {
        Thrift { input, read: 0, left }
    }

    fn count(&mut self, bytes: u64) -> Outcome<()> {
        self.left = self.left.checked_sub(bytes).ok_or("it ends in the middle of a header")?;
        self.read += bytes;
        Ok(())
    }

    fn byte(&mut self) -> Outcome<u8> {
        self.count(1)?;
        let mut byte = [0];
        self.input.read_exact(&mut byte).map_err(|error| error.to_string())?;
        Ok(byte[0])
    }

    fn skip_bytes(&mut self, count: u64) -> Outcome<()> {
        self.count(count)?;
        let skipped = std::io::copy(&mut (&mut self.input).take(count), &mut std::io::sink());
        if skipped.map_err(|error| error.to_string())? == count {
            Ok(())
        } else {
            Err("it ends in the middle of a header".to_owned())
        }
    }

    /// A number of at most 64 bits.
    fn varint(&mut self) -> Outcome<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number in a header has no end".to_owned())
    }

    pub(super) fn i64(&mut self) -> Outcome<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn i32(&mut self) -> Outcome<i32> {
        i32::try_from(self.i64()?).map_err(|_| "a number in a header is too large".to_owned())
    }

    /// One that counts something.
    pub(super) fn count_of(&mut self) -> Outcome<u64> {
        u64::try_from(self.i32()?).map_err(|_| "a count in a header is negative".to_owned())
    }

    /// The next field of a structure, whose numbers rise; none at its end.
    pub(super) fn field(&mut self, last: &mut i16) -> Outcome<Option<Field>> {
        let byte = self.byte()?;
        let (delta, kind) = (i16::from(byte >> 4), byte & 0x0f);
        if kind == 0 {
            return Ok(None);
        }
        let number = match delta {
            0 => i16::try_from(self.i64()?).unwrap_or(-1),
            delta => last.checked_add(delta).unwrap_or(-1),
        };
        if number <= *last {
            return Err("the fields of a header are not in their order".to_owned());
        }
        *last = number;
        Ok(Some((number, kind)))
    }

    /// The beginning of a list: how many elements of which type.
    pub(super) fn list(&mut self) -> Outcome<(u64, u8)> {
        let byte = self.byte()?;
        // Some write nothing of the type where there are no elements.
        if byte == 0 {
            return Ok((0, I32));
        }
        let count = match byte >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // Each takes a byte at least.
        if count > self.left {
            return Err("a list in a header has more elements than bytes".to_owned());
        }
        Ok((count, byte & 0x0f))
    }

    pub(super) fn skip(&mut self, kind: u8) -> Outcome<()> {
        self.skip_to(kind, DEPTH)
    }

    fn skip_to(&mut self, kind: u8, depth: u32) -> Outcome<()> {
        let depth = depth.checked_sub(1).ok_or("a header is too deep")?;
        match kind {
            // The type of a field that is true or false is its value.
            1 | 2 => Ok(()),
            3 => self.skip_bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip_bytes(8),
            BINARY => {
                let count = self.varint()?;
                self.skip_bytes(count)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                if count > 0 && kind < 3 {
                    return Err("a header has a list that none has".to_owned());
                }
                (0..count).try_for_each(|_| self.skip_to(kind, depth))
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_to(kind, depth)?;
                }
                Ok(())
            }
            13 => self.skip_bytes(16),
            _ => Err("a header has a field of a type that none has".to_owned()),
        }
    }
}

/// Refuses a field of another type than the format says.
pub(super) fn expect(field: Field, kind: u8) -> Outcome<()> {
    let is_truth = |kind| kind == 1 || kind == 2;
    if field.1 == kind || is_truth(field.1) && is_truth(kind) {
        Ok(())
    } else {
        Err(format!("field {} of a header has a wrong type", field.0))
    }
}
