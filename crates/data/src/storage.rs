use std::{
    collections::BTreeMap,
    io::BufReader,
    path::{Path, PathBuf},
};

use files::{Access, Replacement};
use record::{CleaningReport, Recipe, SkipReason, SkippedRow};
use serde::{Deserialize, Serialize};

use crate::{
    Counts, Error, Example, Statistics,
    error::Result,
    parquet_file::{Packing, Writer},
};

/// The examples of a data set's folder, and what is known of them.
const EXAMPLES: &str = "examples.parquet";
const ABOUT: &str = "about.json";
/// How examples were stored once.
const FORMER_EXAMPLES: &str = "examples.csv";

/// What stands in a data set's folder beside its examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub has_authors: bool,
    pub rows: i64,
    pub skipped_by_reason: BTreeMap<SkipReason, i64>,
    pub skipped: Vec<SkippedRow>,
    /// What was counted while the texts were written; none by former versions.
    #[serde(default)]
    pub statistics: Option<Statistics>,
    /// How it was made; none by former versions.
    #[serde(default)]
    pub recipe: Option<Recipe>,
    /// What cleaning did, where it was made by that.
    #[serde(default)]
    pub cleaning: Option<CleaningReport>,
}

/// Writes examples into `folder` as they come: `fill` is handed a function that takes one
/// example at a time, and gives back what to say of the whole. Everything is synced to the disk
/// before this returns, so that the caller can rename the folder to its place.
pub fn save(
    folder: &Path,
    fill: impl FnOnce(&mut dyn FnMut(Example) -> Result<()>) -> Result<Stored>,
) -> Result<Stored> {
    let examples = folder.join(EXAMPLES);
    let mut writer = Writer::begin(&examples, Access::Owner, Packing::Zstd)?;
    let mut counts = Counts::default();
    let mut stored = fill(&mut |example| {
        counts.push(&example);
        writer.push(&example)
    })?;
    writer.finish()?.put().map_err(|error| Error::write(&examples, error))?;
    stored.statistics = Some(counts.finish(stored.has_authors));
    let about = folder.join(ABOUT);
    let text = serde_json::to_vec_pretty(&stored).map_err(|error| Error::write(&about, error.into()))?;
    files::replace(&about, &text, Access::Owner).map_err(|error| Error::write(&about, error))?;
    Ok(stored)
}

/// What the import of a stored data set said.
pub fn stored(folder: &Path) -> Result<Stored> {
    let path = folder.join(ABOUT);
    let text = files::read_limited(&path, files::JSON_LIMIT).map_err(|error| Error::read(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::Damaged {
        path,
        line: error.line() as u64,
        reason: error.to_string(),
    })
}

/// The file with the examples; one of a former version, in CSV, is first written anew beside it.
pub(crate) fn examples(folder: &Path) -> Result<PathBuf> {
    let (path, former) = (folder.join(EXAMPLES), folder.join(FORMER_EXAMPLES));
    if !path.exists() && former.exists() {
        convert(&former, &path)?.put().map_err(|error| Error::write(&path, error))?;
        files::remove_file_if_there(&former).map_err(|error| Error::write(&former, error))?;
    }
    Ok(path)
}

fn convert(former: &Path, place: &Path) -> Result<Replacement> {
    let damaged = |line, reason: String| Error::Damaged { path: former.to_owned(), line, reason };
    let file = files::open_regular(former).map_err(|error| Error::read(former, error))?;
    let mut writer = Writer::begin(place, Access::Owner, Packing::Zstd)?;
    for row in csv::Reader::from_reader(BufReader::new(file)).into_records() {
        let row =
            row.map_err(|error| damaged(error.position().map_or(0, csv::Position::line), error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let (Some(author), Some(text), Some(mbti)) = (row.get(0), row.get(1), row.get(2)) else {
            return Err(damaged(line, "a cell is missing".to_owned()));
        };
        let mbti = mbti.parse().map_err(|error: mbti::Error| damaged(line, error.to_string()))?;
        let author = (!author.is_empty()).then(|| author.to_owned());
        writer.push(&Example { author, text: text.to_owned(), mbti })?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Table;

    fn about(folder: &Path) {
        let stored = Stored { has_authors: true, ..Stored::default() };
        std::fs::write(folder.join(ABOUT), serde_json::to_vec(&stored).unwrap()).unwrap();
    }

    #[test]
    fn a_data_set_that_a_former_version_stored_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        about(folder.path());
        let former = folder.path().join(FORMER_EXAMPLES);
        std::fs::write(&former, "author,body,mbti\nann,\"x, y\nz\",INFP\n,w,ESTJ\n").unwrap();
        for _ in 0..2 {
            let table = Table::open(folder.path()).unwrap();
            let texts: Vec<String> =
                table.examples(&table.rows()).unwrap().into_iter().map(|example| example.text).collect();
            assert_eq!(texts, ["x, y\nz", "w"]);
            assert_eq!((table.labels.author(0), table.labels.author(1)), (Some("ann"), None));
            assert!(!former.exists());
        }
    }

    #[test]
    fn a_damaged_copy_is_an_error_with_its_path_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        about(folder.path());
        let path = folder.path().join(EXAMPLES);
        std::fs::write(&path, "this is no parquet file, whatever its name").unwrap();
        assert!(matches!(Table::open(folder.path()), Err(Error::Damaged { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Table::open(folder.path()), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_former_copy_that_is_damaged_stays_and_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        about(folder.path());
        std::fs::write(folder.path().join(FORMER_EXAMPLES), "author,body,mbti\n,x,INFP\n,y,WHAT\n").unwrap();
        assert!(matches!(Table::open(folder.path()), Err(Error::Damaged { line: 3, .. })));
        assert!(folder.path().join(FORMER_EXAMPLES).exists());
    }
}
