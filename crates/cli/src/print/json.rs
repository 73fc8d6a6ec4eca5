//! JSON that a terminal can show: what it would obey is escaped, which every reader of JSON turns back.

use std::io::{Result as IoResult, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::error::Result;

/// One value as JSON on a line of its own, at once.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = to_bytes(value)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// The same on standard error. When nobody reads it the work itself need not end.
pub fn json_beside(value: &impl Serialize) {
    let written = to_bytes(value).map(|text| std::io::stderr().write_all(&text));
    drop(written);
}

/// Made as a whole before any of it is written: an error of the writing is then one, and not one of JSON.
fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Escaping))?;
    text.push(b'\n');
    Ok(text)
}

/// Compact JSON in which no character acts on a terminal. JSON itself has C0 escaped, and neither DEL, C1, separators
/// of lines nor what turns the direction of writing.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> IoResult<()> {
        let mut rest = fragment;
        while let Some((at, letter)) = rest.char_indices().find(|&(_, letter)| record::is_unprintable(letter))
        {
            let (before, after) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            // All of them are in the basic plane; of another it would take two.
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = after.get(letter.len_utf8()..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn json_has_nothing_that_a_terminal_obeys_and_reads_back_as_it_was() {
        let all: String = (0..0x3000).filter_map(char::from_u32).chain("😀".chars()).collect();
        let value = BTreeMap::from([(all.clone(), vec![all, "plain".to_owned()])]);
        let bytes = to_bytes(&value).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.trim_end_matches('\n').chars().all(|letter| !record::is_unprintable(letter)));
        assert!(text.contains(r"\u009b") && text.contains(r"\u202e") && text.contains("é"));
        assert_eq!(serde_json::from_str::<BTreeMap<String, Vec<String>>>(text).unwrap(), value);
    }
}
