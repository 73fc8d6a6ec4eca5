use std::path::{Path, PathBuf};

use crate::{Example, Labels, error::Result, labels::LabelsBuilder, parquet_file, storage};

/// A data set to be read: its labels in memory, its texts where they are.
#[derive(Debug, Clone)]
pub struct Table {
    pub labels: Labels,
    texts: Texts,
}

#[derive(Debug, Clone)]
enum Texts {
    Memory(Vec<String>),
    /// A Parquet file and where each of its row groups begins and ends, `[groups + 1]`.
    File {
        path: PathBuf,
        bounds: Vec<usize>,
    },
}

impl Table {
    /// Opens the data set that lies in this folder. Texts are read when they are wanted, one row group
    /// at a time.
    pub fn open(folder: &Path) -> Result<Table> {
        let has_authors = storage::stored(folder)?.has_authors;
        let path = storage::examples(folder)?;
        let mut labels = LabelsBuilder::default();
        parquet_file::read_labels(&path, |author, mbti| labels.push(author.filter(|_| has_authors), mbti))?;
        let mut bounds = vec![0];
        for size in parquet_file::group_sizes(&path)? {
            bounds.push(bounds.last().copied().unwrap_or(0) + size);
        }
        Ok(Table { labels: labels.finish(), texts: Texts::File { path, bounds } })
    }

    /// A data set that is in memory.
    pub fn of(examples: Vec<Example>) -> Table {
        let labels = Labels::of(&examples);
        Table { labels, texts: Texts::Memory(examples.into_iter().map(|example| example.text).collect()) }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The folder of the data set, where it has one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.texts {
            Texts::Memory(_) => None,
            Texts::File { path, .. } => path.parent(),
        }
    }

    /// Hands the texts of these rows, which must rise, to `keep` with their place among the rows, until
    /// that answers `false`, which this then does too. Of a file no more than a row group is in memory.
    pub fn texts(&self, rows: &[u32], mut keep: impl FnMut(usize, &str) -> Result<bool>) -> Result<bool> {
        let (path, bounds) = match &self.texts {
            Texts::Memory(texts) => {
                for (place, &row) in rows.iter().enumerate() {
                    let Some(text) = texts.get(row as usize) else { return Ok(true) };
                    if !keep(place, text)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            Texts::File { path, bounds } => (path, bounds),
        };
        let mut place = 0;
        for (group, bound) in bounds.windows(2).enumerate() {
            let end = rows.partition_point(|&row| (row as usize) < bound[1]);
            if end <= place {
                continue;
            }
            let goes_on = parquet_file::read_texts(path, group, |at, text| {
                while place < end && rows[place] as usize == bound[0] + at {
                    if !keep(place, text)? {
                        return Ok(false);
                    }
                    place += 1;
                }
                // The rest of the group is not wanted.
                Ok(place < end)
            })?;
            if !goes_on && place < end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All examples of these rows, in memory.
    pub fn examples(&self, rows: &[u32]) -> Result<Vec<Example>> {
        let mut examples = Vec::with_capacity(rows.len());
        self.each(rows, |_, example| {
            examples.push(example);
            Ok(true)
        })?;
        Ok(examples)
    }

    /// Hands the examples of these rows to `keep`, as [`Table::texts`] does their texts.
    pub fn each(&self, rows: &[u32], mut keep: impl FnMut(usize, Example) -> Result<bool>) -> Result<bool> {
        self.texts(rows, |place, text| {
            let row = rows[place] as usize;
            let author = self.labels.author(row).map(str::to_owned);
            keep(place, Example { author, text: text.to_owned(), mbti: self.labels.types[row] })
        })
    }

    /// The numbers of all rows.
    pub fn rows(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Stored, save};
    use mbti::Type;
    use proptest::prelude::*;

    fn examples(count: usize) -> Vec<Example> {
        (0..count)
            .map(|n| Example {
                author: (n % 3 > 0).then(|| format!("a{}", n % 7)),
                text: format!("text {n}"),
                mbti: Type::all().nth(n % 16).unwrap(),
            })
            .collect()
    }

    fn stored(examples: &[Example]) -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), |keep| {
            examples.iter().cloned().try_for_each(keep)?;
            Ok(Stored { has_authors: true, ..Stored::default() })
        })
        .unwrap();
        let table = Table::open(folder.path()).unwrap();
        (folder, table)
    }

    #[test]
    fn texts_of_several_row_groups_are_read_by_their_rows_and_can_be_stopped() {
        let examples = examples(40_000);
        let (_folder, table) = stored(&examples);
        assert!(matches!(&table.texts, Texts::File { bounds, .. } if bounds.len() == 4));
        assert_eq!(table.labels, Labels::of(&examples));
        for rows in [vec![], vec![0], vec![39_999], vec![5, 16_383, 16_384, 20_000, 39_000], table.rows()] {
            let mut read = Vec::new();
            let all = table.texts(&rows, |place, text| {
                read.push((place, text.to_owned()));
                Ok(true)
            });
            assert!(all.unwrap());
            let expected = rows.iter().map(|&row| examples[row as usize].text.clone()).enumerate();
            assert_eq!(read, expected.collect::<Vec<_>>());
        }
        let mut seen = 0;
        let whole = table.texts(&table.rows(), |_, _| {
            seen += 1;
            Ok(seen < 17_000)
        });
        assert!(!whole.unwrap() && seen == 17_000);
    }

    proptest! {
        #[test]
        fn what_is_saved_is_read_unchanged(
            rows in proptest::collection::vec(
                (proptest::option::of("[a-z0-9 ,\"]{1,9}"), "\\PC*[\r\n\",]?\\PC+", 0..16usize), 1..20)
        ) {
            let examples: Vec<Example> = rows
                .into_iter()
                .map(|(author, text, index)| Example { author, text, mbti: Type::all().nth(index).unwrap() })
                .collect();
            let (_folder, table) = stored(&examples);
            prop_assert_eq!(table.examples(&table.rows()).unwrap(), examples.clone());
            let memory = Table::of(examples.clone());
            prop_assert_eq!(memory.examples(&memory.rows()).unwrap(), examples);
        }
    }
}
