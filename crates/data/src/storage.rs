use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{Error, Example, error::Result};

/// The examples of a data set's folder, and what is known of them.
const EXAMPLES: &str = "examples.csv";
const ABOUT: &str = "about.json";

/// What stands in a data set's folder beside its examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub has_authors: bool,
    pub rows: i64,
    pub skipped_by_reason: std::collections::BTreeMap<record::SkipReason, i64>,
    pub skipped: Vec<record::SkippedRow>,
}

/// Writes examples into `folder` as they come: `fill` is handed a function that takes one
/// example at a time, and gives back what to say of the whole. Everything is synced to the disk
/// before this returns, so that the caller can rename the folder to its place.
pub fn save(
    folder: &Path,
    fill: impl FnOnce(&mut dyn FnMut(Example) -> Result<()>) -> Result<Stored>,
) -> Result<Stored> {
    let path = folder.join(EXAMPLES);
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::write(&path, source),
        other => Error::write(&path, std::io::Error::other(format!("{other:?}"))),
    };
    let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    let mut writer = csv::Writer::from_writer(BufWriter::new(file));
    writer.write_record(["author", "body", "mbti"]).map_err(failed)?;
    let stored = fill(&mut |example| {
        let author = example.author.as_deref().unwrap_or("");
        writer.write_record([author, &example.text, &example.mbti.to_string()]).map_err(failed)
    })?;
    let buffer = writer.into_inner().map_err(|error| Error::write(&path, error.into_error()))?;
    let file = buffer.into_inner().map_err(|error| Error::write(&path, error.into_error()))?;
    file.sync_all().map_err(|error| Error::write(&path, error))?;

    let about = folder.join(ABOUT);
    let text = serde_json::to_vec_pretty(&stored).map_err(|error| Error::write(&about, error.into()))?;
    let mut file = File::create(&about).map_err(|error| Error::write(&about, error))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| Error::write(&about, error))?;
    Ok(stored)
}

/// What the import of a stored data set said.
pub fn stored(folder: &Path) -> Result<Stored> {
    let path = folder.join(ABOUT);
    let text = std::fs::read(&path).map_err(|error| Error::read(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::Damaged {
        path,
        line: error.line() as u64,
        reason: error.to_string(),
    })
}

/// Reads the examples of a stored data set, in the order of their source.
pub fn load(folder: &Path) -> Result<Vec<Example>> {
    let has_authors = stored(folder)?.has_authors;
    let path = folder.join(EXAMPLES);
    let damaged = |line, reason: String| Error::Damaged { path: path.clone(), line, reason };
    let file = File::open(&path).map_err(|error| Error::read(&path, error))?;
    let mut reader = csv::Reader::from_reader(BufReader::new(file));
    let mut examples = Vec::new();
    for row in reader.records() {
        let row =
            row.map_err(|error| damaged(error.position().map_or(0, csv::Position::line), error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let (Some(author), Some(text), Some(mbti)) = (row.get(0), row.get(1), row.get(2)) else {
            return Err(damaged(line, "a cell is missing".to_owned()));
        };
        let mbti = mbti.parse().map_err(|error: mbti::Error| damaged(line, error.to_string()))?;
        let author = (has_authors && !author.is_empty()).then(|| author.to_owned());
        examples.push(Example { author, text: text.to_owned(), mbti });
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mbti::Type;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_saved_is_loaded_unchanged(
            rows in proptest::collection::vec((proptest::option::of("[a-z0-9 ,\"]{1,9}"), "\\PC*[\r\n\",]?\\PC+", 0..16usize), 1..20)
        ) {
            let examples: Vec<Example> = rows
                .into_iter()
                .map(|(author, text, index)| Example { author, text, mbti: Type::all().nth(index).unwrap() })
                .collect();
            let folder = tempfile::tempdir().unwrap();
            save(folder.path(), |keep| {
                for example in &examples {
                    keep(example.clone())?;
                }
                Ok(Stored { has_authors: true, rows: 0, skipped_by_reason: Default::default(), skipped: vec![] })
            })
            .unwrap();
            prop_assert_eq!(load(folder.path()).unwrap(), examples);
        }
    }

    #[test]
    fn a_damaged_copy_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), |_| {
            Ok(Stored { has_authors: false, rows: 0, skipped_by_reason: Default::default(), skipped: vec![] })
        })
        .unwrap();
        std::fs::write(folder.path().join(EXAMPLES), "author,body,mbti\n,x,INFP\n,y,WHAT\n").unwrap();
        assert!(matches!(load(folder.path()), Err(Error::Damaged { line: 3, .. })));
    }
}
