use std::collections::HashMap;

use mbti::Type;

use crate::Example;

/// Who wrote each text of a data set and of which type they are: all that splitting needs, in seven
/// bytes or so a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    pub types: Vec<Type>,
    /// Each text's author as a number, in the order of first appearance.
    pub authors: Vec<Option<u32>>,
    /// The authors' names by their numbers.
    pub names: Vec<String>,
}

impl Labels {
    pub fn of(examples: &[Example]) -> Labels {
        let mut labels = LabelsBuilder::default();
        examples.iter().for_each(|example| labels.push(example.author.as_deref(), example.mbti));
        labels.finish()
    }

    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    pub fn author(&self, row: usize) -> Option<&str> {
        self.authors
            .get(row)
            .copied()
            .flatten()
            .and_then(|author| self.names.get(author as usize))
            .map(String::as_str)
    }
}

/// Labels as they come, text by text.
#[derive(Default)]
pub(crate) struct LabelsBuilder {
    labels: Labels,
    numbers: HashMap<String, u32>,
}

impl LabelsBuilder {
    pub(crate) fn push(&mut self, author: Option<&str>, mbti: Type) {
        let number = author.map(|name| match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = self.labels.names.len() as u32;
                self.labels.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), number);
                number
            }
        });
        self.labels.types.push(mbti);
        self.labels.authors.push(number);
    }

    pub(crate) fn finish(self) -> Labels {
        self.labels
    }
}
