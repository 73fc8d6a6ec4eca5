use std::collections::{BTreeMap, HashMap};

use mbti::{Axis, Type};
use serde::{Deserialize, Serialize};

use crate::Example;

/// What can be counted of a data set while it is read once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub examples: i64,
    /// `None` where no text names its author.
    pub authors: Option<i64>,
    /// Texts of each type that occurs.
    pub types: BTreeMap<String, i64>,
    /// Authors of each type, by the commonest of their texts.
    pub author_types: BTreeMap<String, i64>,
    /// Authors who have texts of more than one type.
    pub authors_of_several_types: i64,
    /// Texts of class 0 and of class 1 on each axis.
    pub axes: BTreeMap<Axis, [i64; 2]>,
    /// Lengths in characters: the 10th, 50th and 90th percentile.
    pub length_percentiles: [i64; 3],
    /// How many texts have a length from 2^n up to below 2^(n + 1) characters, at place n; those without
    /// a character are in the first.
    pub lengths: Vec<i64>,
    /// Texts an author: the 10th, 50th and 90th percentile, and the most.
    pub texts_an_author: Option<[i64; 4]>,
    /// Bytes of all texts in UTF-8.
    pub bytes: i64,
}

/// Counts texts as they come.
#[derive(Debug, Default)]
pub struct Counts {
    types: [i64; 16],
    authors: HashMap<String, [u32; 16]>,
    lengths: Vec<u32>,
    bytes: i64,
}

impl Counts {
    pub fn push(&mut self, example: &Example) {
        let index = example.mbti.index();
        self.types[index] += 1;
        self.bytes += example.text.len() as i64;
        self.lengths.push(u32::try_from(example.text.chars().count()).unwrap_or(u32::MAX));
        let Some(author) = example.author.as_deref() else { return };
        match self.authors.get_mut(author) {
            Some(counts) => counts[index] += 1,
            None => self.authors.entry(author.to_owned()).or_default()[index] = 1,
        }
    }

    /// All that was counted, without the authors where they mean nothing.
    pub fn finish(mut self, has_authors: bool) -> Statistics {
        if !has_authors {
            self.authors.clear();
        }
        let by_name = |counts: [i64; 16]| {
            let named = Type::all().zip(counts).filter(|(_, count)| *count > 0);
            named.map(|(mbti, count)| (mbti.to_string(), count)).collect()
        };
        let axes = Axis::ALL.map(|axis| {
            let of = |class| Type::all().filter(move |mbti| mbti.class(axis) == class);
            let count = |class| of(class).map(|mbti| self.types[mbti.index()]).sum();
            (axis, [count(false), count(true)])
        });
        let mut author_types = [0; 16];
        let mut texts_an_author: Vec<u32> = Vec::with_capacity(self.authors.len());
        let mut authors_of_several_types = 0;
        for counts in self.authors.values() {
            let commonest = (0..16).max_by_key(|&index| (counts[index], 16 - index)).unwrap_or(0);
            author_types[commonest] += 1;
            authors_of_several_types += i64::from(counts.iter().filter(|&&count| count > 0).count() > 1);
            texts_an_author.push(counts.iter().sum());
        }
        texts_an_author.sort_unstable();
        self.lengths.sort_unstable();
        let mut lengths = Vec::new();
        for &length in &self.lengths {
            let place = length.max(1).ilog2() as usize;
            if lengths.len() <= place {
                lengths.resize(place + 1, 0);
            }
            lengths[place] += 1;
        }
        let most = texts_an_author.last().map(|&most| i64::from(most));
        Statistics {
            examples: self.lengths.len() as i64,
            authors: (!self.authors.is_empty()).then_some(self.authors.len() as i64),
            types: by_name(self.types),
            author_types: by_name(author_types),
            authors_of_several_types,
            axes: axes.into(),
            length_percentiles: percentiles(&self.lengths),
            lengths,
            texts_an_author: most.map(|most| {
                let [p10, p50, p90] = percentiles(&texts_an_author);
                [p10, p50, p90, most]
            }),
            bytes: self.bytes,
        }
    }
}

/// The 10th, 50th and 90th by the nearest rank: the smallest that at least so many hundredths of them do
/// not exceed.
fn percentiles(sorted: &[u32]) -> [i64; 3] {
    [10, 50, 90].map(|hundredths: usize| {
        let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
        sorted.get(rank - 1).map_or(0, |&value| i64::from(value))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counted(examples: &[(&str, usize, &str)], has_authors: bool) -> Statistics {
        let mut counts = Counts::default();
        for (author, length, mbti) in examples {
            counts.push(&Example {
                author: (!author.is_empty()).then(|| (*author).to_owned()),
                text: "字".repeat(*length),
                mbti: mbti.parse().unwrap(),
            });
        }
        counts.finish(has_authors)
    }

    #[test]
    fn counts_by_type_axis_and_author_are_those_of_the_texts() {
        let examples =
            [("a", 1, "INFP"), ("a", 5, "INFP"), ("a", 4, "ENFP"), ("b", 9, "ESTP"), ("", 3, "ESTP")];
        let found = counted(&examples, true);
        assert_eq!((found.examples, found.authors, found.bytes), (5, Some(2), 66));
        assert_eq!(found.types, [("ENFP".into(), 1), ("ESTP".into(), 2), ("INFP".into(), 2)].into());
        assert_eq!(found.author_types, [("ESTP".into(), 1), ("INFP".into(), 1)].into());
        assert_eq!(found.authors_of_several_types, 1);
        assert_eq!(found.axes[&Axis::ExtraversionIntroversion], [3, 2]);
        assert_eq!(found.axes[&Axis::JudgingPerceiving], [0, 5]);
        assert_eq!(found.length_percentiles, [1, 4, 9]);
        assert_eq!(found.lengths, [1, 1, 2, 1]);
        assert_eq!(found.texts_an_author, Some([1, 1, 3, 3]));
    }

    #[test]
    fn authors_that_mean_nothing_are_not_counted_and_no_text_has_no_length() {
        let found = counted(&[("row-1", 2, "INFP"), ("row-2", 0, "INFP")], false);
        assert_eq!((found.authors, found.texts_an_author, found.author_types.len()), (None, None, 0));
        assert_eq!(found.lengths, [1, 1]);
        assert_eq!(counted(&[], true).length_percentiles, [0, 0, 0]);
    }
}
