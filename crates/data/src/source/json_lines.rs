//! JSON Lines: an object a line, as the Hub and many tools write.

use std::{
    collections::VecDeque,
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
    /// Lines that were read to find the columns.
    ahead: VecDeque<Vec<u8>>,
}

impl<R: Read> JsonLines<R> {
    /// `start` is what the file begins with, in which the columns are looked for.
    pub(crate) fn open(path: &Path, input: R, start: &str) -> Result<JsonLines<R>> {
        let mut columns: Vec<String> = Vec::new();
        start.lines().take(LOOKED_AT).for_each(|line| add_columns(&mut columns, line.as_bytes()));
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut ahead = VecDeque::new();
        let mut bytes = 0;
        // A line may be longer than what was looked at.
        while columns.is_empty() && ahead.len() < LOOKED_AT && bytes <= ROW_BYTES {
            let mut line = Vec::new();
            read_line(&mut input, &mut line).map_err(|error| Error::read(path, error))?;
            if line.is_empty() {
                break;
            }
            bytes += line.len() as u64;
            add_columns(&mut columns, &line);
            ahead.push_back(line);
        }
        if columns.is_empty() {
            let reason = "none of its first lines is an object of JSON".to_owned();
            return Err(Error::Format { path: path.to_owned(), format: "JSON Lines", reason });
        }
        Ok(JsonLines { path: path.to_owned(), input, columns, line: 0, buffer: Vec::new(), ahead })
    }
}

impl<R: Read> Records for JsonLines<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self, record: &mut ByteRecord) -> Result<Next> {
        loop {
            match self.ahead.pop_front() {
                Some(line) => self.buffer = line,
                None => {
                    self.buffer.clear();
                    let read = read_line(&mut self.input, &mut self.buffer);
                    read.map_err(|error| Error::read(&self.path, error))?;
                }
            }
            let read = self.buffer.len();
            if read == 0 {
                return Ok(Next::End);
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

/// Reads a line with its end; nothing at the end of the file.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<()> {
    let read = input.take(ROW_BYTES + 1).read_until(b'\n', line)?;
    if read as u64 > ROW_BYTES { Err(std::io::Error::other(Refusal::LongRow)) } else { Ok(()) }
}

/// Adds the names in a line that are not among the columns yet.
fn add_columns(columns: &mut Vec<String>, line: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
    for name in object.into_iter().map(|(name, _)| name) {
        if !columns.contains(&name) && columns.len() < 1000 {
            columns.push(name);
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
