use std::collections::BTreeMap;

use mbti::{Axis, Letter};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a file of texts is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum SourceFormat {
    /// A table of text: CSV, TSV or alike.
    Delimited,
    JsonLines,
    Parquet,
}

/// What texts can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ExportFormat {
    Csv,
    Jsonl,
    Parquet,
}

/// Which column of a source holds what, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ColumnMapping {
    pub text: String,
    pub author: Option<String>,
    /// The column of the type, such as INFP.
    pub mbti: Option<String>,
    /// Columns of single axes; without a column of types all four are needed.
    pub axes: BTreeMap<Axis, AxisColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AxisColumn {
    pub column: String,
    /// The letter that 1 or true stands for, where the cells are no letters.
    pub one: Option<Letter>,
}

impl ColumnMapping {
    /// Whether it has a way to the type of a row.
    pub fn tells_the_type(&self) -> bool {
        self.mbti.is_some() || self.axes.len() == Axis::ALL.len()
    }

    /// Reads what is written in a terminal: `text=body,author=user,type=mbti,E-I=introvert:1=I`.
    pub fn parse(text: &str) -> Result<ColumnMapping, String> {
        let mut mapping = ColumnMapping::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (what, column) = part.split_once('=').ok_or_else(|| format!("{part} is not WHAT=COLUMN"))?;
            let (what, column) = (what.trim(), column.trim().to_owned());
            match what.to_lowercase().as_str() {
                "text" | "body" | "posts" => mapping.text = column,
                "author" => mapping.author = Some(column),
                "type" | "mbti" => mapping.mbti = Some(column),
                _ => {
                    let axis: Axis = what
                        .parse()
                        .map_err(|_| format!("{what} is none of text, author, type, E-I, N-S, F-T, J-P"))?;
                    let (column, one) = match column.rsplit_once(":1=") {
                        Some((column, letter)) => {
                            let letter = Letter::on_axis(axis, letter).map_err(|error| error.to_string())?;
                            (column.to_owned(), Some(letter))
                        }
                        None => (column, None),
                    };
                    mapping.axes.insert(axis, AxisColumn { column, one });
                }
            }
        }
        if mapping.text.is_empty() {
            return Err("text=COLUMN is missing".to_owned());
        }
        if !mapping.tells_the_type() {
            return Err("type=COLUMN is missing, or a column for each of E-I, N-S, F-T and J-P".to_owned());
        }
        Ok(mapping)
    }
}

/// A source before it is taken in, for the user to see whether it is understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ImportPreview {
    /// How many files there are; what follows is of the first.
    pub files: i64,
    pub format: SourceFormat,
    /// The encoding's name in the Encoding Standard, such as UTF-8 or gb18030.
    pub encoding: String,
    /// What stands between cells.
    pub delimiter: Option<String>,
    pub columns: Vec<String>,
    /// The first rows, long cells cut short.
    pub rows: Vec<Vec<String>>,
    /// What the columns seem to be; null where it cannot be guessed.
    pub mapping: Option<ColumnMapping>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mapping_is_read_as_it_is_written_in_a_terminal() {
        let found = ColumnMapping::parse("text=body, author=user,type=kind,E-I=intro:1=I").unwrap();
        assert_eq!((found.text.as_str(), found.author.as_deref()), ("body", Some("user")));
        assert_eq!(found.mbti.as_deref(), Some("kind"));
        let axis = &found.axes[&Axis::ExtraversionIntroversion];
        assert_eq!((axis.column.as_str(), axis.one), ("intro", Some(Letter::I)));
        for wrong in ["", "text", "text=a", "type=b", "text=a,type=b,colour=c", "text=a,type=b,E-I=c:1=T"] {
            assert!(ColumnMapping::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ColumnMapping::parse("text=a,EI=b,NS=c,FT=d,JP=e").is_ok());
    }
}
