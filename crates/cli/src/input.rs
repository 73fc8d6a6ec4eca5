//! Standard input, which may be without end.

use std::io::{BufRead, Read};

use crate::error::{Error, Result};

/// The longest text that is judged, and the longest line of requests: as long as the longest row of a data set.
pub const LONGEST_TEXT: usize = 16 << 20;
/// The longest line that may be a token.
pub const LONGEST_TOKEN_LINE: usize = 4096;

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Read into the buffer.
    Read,
    /// Longer than the limit. All of it was passed over.
    TooLong,
    /// The input has ended.
    End,
}

/// Reads a line, its end included, into `line`, and never holds more of it than `limit` bytes.
pub fn read_line(input: &mut impl BufRead, limit: usize, line: &mut Vec<u8>) -> std::io::Result<Line> {
    line.clear();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.ends_with(b"\n") || line.len() < limit {
        return Ok(Line::Read);
    }
    line.clear();
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

/// Reads all of an input that may have at most so many bytes.
pub fn read_all(input: &mut impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    input.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(Error::LongText) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_past_the_limit_is_passed_over_and_the_next_one_is_read() {
        let mut input = std::io::BufReader::with_capacity(3, &b"one\nmuch too long\ntwo\n\nlast"[..]);
        let mut line = Vec::new();
        let mut next = || {
            let read = read_line(&mut input, 6, &mut line).unwrap();
            (read, String::from_utf8(line.clone()).unwrap())
        };
        assert_eq!(next(), (Line::Read, "one\n".to_owned()));
        assert_eq!(next(), (Line::TooLong, String::new()));
        assert_eq!(next(), (Line::Read, "two\n".to_owned()));
        assert_eq!(next(), (Line::Read, "\n".to_owned()));
        assert_eq!(next(), (Line::Read, "last".to_owned()));
        assert_eq!(next(), (Line::End, String::new()));
    }

    #[test]
    fn an_endless_input_is_refused_with_no_more_than_the_limit_in_memory() {
        assert_eq!(read_all(&mut &b"abc"[..], 3).unwrap(), b"abc");
        assert!(matches!(read_all(&mut std::io::repeat(b'x'), 1 << 20), Err(Error::LongText)));
    }
}
