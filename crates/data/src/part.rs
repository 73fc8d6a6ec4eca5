use std::collections::HashMap;

use mbti::Type;

use crate::{Labels, Table, labels::LabelsBuilder};

/// Some texts of a data set, by their rows in rising order.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub table: &'a Table,
    pub rows: &'a [u32],
}

impl<'a> Part<'a> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn types(&self) -> Vec<Type> {
        self.rows.iter().map(|&row| self.table.labels.types[row as usize]).collect()
    }

    /// The types and authors of these texts alone, the authors numbered in the order in which they first appear here.
    pub fn labels(&self) -> Labels {
        let mut labels = LabelsBuilder::default();
        for &row in self.rows {
            let row = row as usize;
            labels.push(self.table.labels.author(row), self.table.labels.types[row]);
        }
        labels.finish()
    }

    /// The authors as numbers, in the order in which they first appear here.
    pub fn authors(&self) -> Vec<Option<u32>> {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut number = |author| {
            let next = numbers.len() as u32;
            *numbers.entry(author).or_insert(next)
        };
        self.rows.iter().map(|&row| self.table.labels.authors[row as usize].map(&mut number)).collect()
    }
}
