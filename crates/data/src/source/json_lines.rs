//! JSON Lines: an object a line, as the Hub and many tools write.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, Position};
use record::SkipReason;
use serde_json::{Map, Value};

use super::{
    Next, POST_SEPARATOR, Records,
    guard::{ROW_BYTES, Refusal},
};
use crate::{Error, error::Result};

/// Lines that are looked at for the names of columns.
const LOOKED_AT: usize = 100;

pub(crate) struct JsonLines<R> {
    path: PathBuf,
    input: BufReader<R>,
    columns: Vec<String>,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: Read> JsonLines<R> {
    /// `start` is what the file begins with, in which the columns are looked for.
    pub(crate) fn open(path: &Path, input: R, start: &str) -> Result<JsonLines<R>> {
        let mut columns: Vec<String> = Vec::new();
        for line in start.lines().take(LOOKED_AT) {
            let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) else { continue };
            for name in object.into_iter().map(|(name, _)| name) {
                if !columns.contains(&name) && columns.len() < 1000 {
                    columns.push(name);
                }
            }
        }
        if columns.is_empty() {
            return Err(Error::NotText { path: path.to_owned(), line: 1 });
        }
        let input = BufReader::with_capacity(1 << 18, input);
        Ok(JsonLines { path: path.to_owned(), input, columns, line: 0, buffer: Vec::new() })
    }
}

impl<R: Read> Records for JsonLines<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self, record: &mut ByteRecord) -> Result<Next> {
        loop {
            self.buffer.clear();
            let mut limited = (&mut self.input).take(ROW_BYTES + 1);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| Error::read(&self.path, error))?;
            if read == 0 {
                return Ok(Next::End);
            }
            if read as u64 > ROW_BYTES {
                return Err(Error::read(&self.path, std::io::Error::other(Refusal::LongRow)));
            }
            self.line += 1;
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let Ok(object) = serde_json::from_slice::<Map<String, Value>>(&self.buffer) else {
                let found = String::from_utf8_lossy(&self.buffer[..read.min(200)]).into_owned();
                return Ok(Next::Unusable { line: self.line, reason: SkipReason::NotJson, found });
            };
            record.clear();
            for name in &self.columns {
                match object.get(name) {
                    Some(Value::String(text)) => record.push_field(text.as_bytes()),
                    other => record.push_field(cell(other).as_bytes()),
                }
            }
            let mut position = Position::new();
            position.set_line(self.line);
            record.set_position(Some(position));
            return Ok(Next::Row);
        }
    }
}

/// A value as a cell would have it; several texts as the Kaggle data set has several posts.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| cell(Some(value))).collect::<Vec<_>>().join(POST_SEPARATOR)
        }
        Some(other) => other.to_string(),
    }
}
