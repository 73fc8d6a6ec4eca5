use std::collections::{BTreeMap, BTreeSet};

use mbti::Axis;

use crate::Example;

/// What can be counted of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    pub examples: i64,
    /// `None` where no text names its author.
    pub authors: Option<i64>,
    pub types: BTreeMap<String, i64>,
    /// Texts of class 0 and of class 1 on each axis.
    pub axes: BTreeMap<Axis, [i64; 2]>,
    /// Lengths in characters: the 10th, 50th and 90th percentile.
    pub length_percentiles: [i64; 3],
}

pub fn statistics(examples: &[Example]) -> Statistics {
    let mut types = BTreeMap::new();
    let mut axes: BTreeMap<Axis, [i64; 2]> = Axis::ALL.map(|axis| (axis, [0, 0])).into();
    let mut authors = BTreeSet::new();
    let mut lengths: Vec<i64> = Vec::with_capacity(examples.len());
    for example in examples {
        *types.entry(example.mbti.to_string()).or_default() += 1;
        for (axis, counts) in &mut axes {
            counts[usize::from(example.mbti.class(*axis))] += 1;
        }
        authors.extend(example.author.as_deref());
        lengths.push(example.text.chars().count() as i64);
    }
    lengths.sort_unstable();
    // The nearest rank: the smallest length that at least so many hundredths do not exceed.
    let percentile = |hundredths: usize| {
        let rank = (lengths.len() * hundredths).div_ceil(100).max(1);
        lengths.get(rank - 1).copied().unwrap_or(0)
    };
    Statistics {
        examples: examples.len() as i64,
        authors: (!authors.is_empty()).then_some(authors.len() as i64),
        types,
        axes,
        length_percentiles: [percentile(10), percentile(50), percentile(90)],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_by_type_axis_and_author_are_those_of_the_texts() {
        let example = |author: &str, length: usize, mbti: &str| Example {
            author: Some(author.to_owned()),
            text: "字".repeat(length),
            mbti: mbti.parse().unwrap(),
        };
        let found = statistics(&[example("a", 1, "INFP"), example("a", 5, "INFP"), example("b", 9, "ESTP")]);
        assert_eq!((found.examples, found.authors), (3, Some(2)));
        assert_eq!(found.types, [("ESTP".to_owned(), 1), ("INFP".to_owned(), 2)].into());
        assert_eq!(found.axes[&Axis::ExtraversionIntroversion], [1, 2]);
        assert_eq!(found.axes[&Axis::JudgingPerceiving], [0, 3]);
        assert_eq!(found.length_percentiles, [1, 5, 9]);
        assert_eq!(statistics(&[]).length_percentiles, [0, 0, 0]);
    }
}
