use std::collections::{BTreeMap, BTreeSet};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use record::{SplitBy, SplitMethod, SplitSummary, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{Error, Example, error::Result};

/// Which examples are learned from and which judge what was learned, by their places in the
/// data set. With a validation set of its own, `valid` counts in that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub summary: SplitSummary,
    pub train: Vec<u32>,
    pub valid: Vec<u32>,
}

/// Parts the examples so that no author stands on both sides and each type has its share.
///
/// The unit is the author, or the single text where no author is named. Units are grouped by
/// type (an author's commonest), shuffled by the seed, and `fraction` of all units is taken for
/// validation, shared out over the types by the largest remainder, so that no type is off its
/// proportion by a whole unit. The same seed gives the same split on every machine.
///
/// With [`SplitBy::Text`] the unit is the single text also where authors are named.
pub fn split(examples: &[Example], fraction: f64, by: SplitBy, seed: u32) -> Result<Split> {
    let rows: Vec<u32> = (0..examples.len() as u32).collect();
    split_rows(examples, &rows, fraction, by, seed)
}

/// The parts of a data set that a run's settings ask for: a sample of its texts, where not all
/// are wanted, parted into those to learn from and those to validate with, or with a validation
/// set of its own.
pub fn split_for(examples: &[Example], valid: Option<&[Example]>, config: &TrainConfig) -> Result<Split> {
    let rows = sample(examples, config.sample_fraction, config.seed);
    match valid {
        Some(valid) => split_rows_given(examples, &rows, valid, config.seed),
        None => split_rows(examples, &rows, config.validation_fraction, config.split_by, config.seed),
    }
}

/// The places of a part of the texts, each type in proportion, decided by the seed alone.
pub fn sample(examples: &[Example], fraction: f64, seed: u32) -> Vec<u32> {
    let mut strata: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (row, example) in examples.iter().enumerate() {
        strata.entry(example.mbti.index()).or_default().push(row as u32);
    }
    let wanted = ((examples.len() as f64 * fraction).round() as usize).min(examples.len());
    let shares = largest_remainder(&strata.values().map(Vec::len).collect::<Vec<_>>(), wanted);
    let mut random = ChaCha8Rng::seed_from_u64(1 << 32 | u64::from(seed));
    let mut rows = Vec::with_capacity(wanted);
    for (mut stratum, share) in strata.into_values().zip(shares) {
        stratum.shuffle(&mut random);
        rows.extend_from_slice(&stratum[..share]);
    }
    rows.sort_unstable();
    rows
}

fn split_rows(examples: &[Example], rows: &[u32], fraction: f64, by: SplitBy, seed: u32) -> Result<Split> {
    let units = units(examples, rows, by);
    let mut strata: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, unit) in units.iter().enumerate() {
        strata.entry(commonest_type(examples, unit)).or_default().push(index);
    }
    let wanted = (units.len() as f64 * fraction).round() as usize;
    let wanted = wanted.clamp(1, units.len().saturating_sub(1).max(1));
    let shares = largest_remainder(&strata.values().map(Vec::len).collect::<Vec<_>>(), wanted);

    let mut random = ChaCha8Rng::seed_from_u64(u64::from(seed));
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    for (mut stratum, share) in strata.into_values().zip(shares) {
        stratum.shuffle(&mut random);
        for (place, unit) in stratum.into_iter().enumerate() {
            let part = if place < share { &mut valid } else { &mut train };
            part.extend_from_slice(&units[unit]);
        }
    }
    train.sort_unstable();
    valid.sort_unstable();
    for (part, texts) in [("training", train.len()), ("validation", valid.len())] {
        if texts == 0 {
            return Err(Error::TooFew { part, texts });
        }
    }
    let named = rows.iter().any(|&row| examples[row as usize].author.is_some());
    let of = |part: &[u32]| part.iter().map(|&row| &examples[row as usize]).collect::<Vec<_>>();
    let method = if named && by == SplitBy::Author { SplitMethod::ByAuthor } else { SplitMethod::ByText };
    Ok(Split { summary: summary(method, seed, &of(&train), &of(&valid)), train, valid })
}

/// All of one data set to learn from and all of another to validate with, as the user chose.
pub fn split_given(train: &[Example], valid: &[Example], seed: u32) -> Result<Split> {
    split_rows_given(train, &(0..train.len() as u32).collect::<Vec<_>>(), valid, seed)
}

fn split_rows_given(train: &[Example], rows: &[u32], valid: &[Example], seed: u32) -> Result<Split> {
    for (part, texts) in [("training", rows.len()), ("validation", valid.len())] {
        if texts == 0 {
            return Err(Error::TooFew { part, texts });
        }
    }
    let summary = summary(
        SplitMethod::Given,
        seed,
        &rows.iter().map(|&row| &train[row as usize]).collect::<Vec<_>>(),
        &valid.iter().collect::<Vec<_>>(),
    );
    Ok(Split { summary, train: rows.to_vec(), valid: (0..valid.len() as u32).collect() })
}

/// The rows of each author, in the order of first appearance; a text without author is a unit.
fn units(examples: &[Example], rows: &[u32], by: SplitBy) -> Vec<Vec<u32>> {
    let mut place_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut units: Vec<Vec<u32>> = Vec::new();
    for &row in rows {
        let place = match examples[row as usize].author.as_deref() {
            Some(author) if by == SplitBy::Author => *place_of.entry(author).or_insert(units.len()),
            _ => units.len(),
        };
        if place == units.len() {
            units.push(Vec::new());
        }
        units[place].push(row);
    }
    units
}

fn commonest_type(examples: &[Example], unit: &[u32]) -> usize {
    let mut counts = [0usize; 16];
    for &row in unit {
        counts[examples[row as usize].mbti.index()] += 1;
    }
    (0..16).max_by_key(|&index| (counts[index], 16 - index)).unwrap_or(0)
}

/// Shares `wanted` out in proportion to `sizes`: each gets its proportion rounded down, and what
/// is left goes, one each, to those with the largest remainders (Hamilton's method).
fn largest_remainder(sizes: &[usize], wanted: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    if total == 0 {
        return vec![0; sizes.len()];
    }
    let mut shares: Vec<usize> = sizes.iter().map(|size| size * wanted / total).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(sizes[index] * wanted % total), index));
    let left = wanted - shares.iter().sum::<usize>();
    for &index in order.iter().take(left) {
        shares[index] += 1;
    }
    shares
}

fn summary(method: SplitMethod, seed: u32, train: &[&Example], valid: &[&Example]) -> SplitSummary {
    let authors = |part: &[&Example]| -> BTreeSet<String> {
        part.iter().filter_map(|example| example.author.clone()).collect()
    };
    let (train_authors, valid_authors) = (authors(train), authors(valid));
    let count = |set: &BTreeSet<String>| (!set.is_empty()).then_some(set.len() as i64);
    SplitSummary {
        method,
        seed,
        train_examples: train.len() as i64,
        valid_examples: valid.len() as i64,
        train_authors: count(&train_authors),
        valid_authors: count(&valid_authors),
        shared_authors: train_authors.intersection(&valid_authors).count() as i64,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mbti::Type;
    use proptest::prelude::*;

    fn examples(authors: &[(Option<u8>, usize)]) -> Vec<Example> {
        authors
            .iter()
            .map(|&(author, index)| Example {
                author: author.map(|a| format!("a{a}")),
                text: "x".into(),
                mbti: Type::all().nth(index).unwrap(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_split_parts_all_texts_and_no_author_stands_on_both_sides(
            rows in proptest::collection::vec((proptest::option::of(0u8..12), 0..16usize), 2..80),
            fraction in 0.05f64..0.95, seed: u32,
        ) {
            let examples = examples(&rows);
            if let Ok(split) = split(&examples, fraction, SplitBy::Author, seed) {
                let mut all: Vec<u32> = split.train.iter().chain(&split.valid).copied().collect();
                all.sort_unstable();
                prop_assert_eq!(all, (0..examples.len() as u32).collect::<Vec<_>>());
                prop_assert_eq!(split.summary.shared_authors, 0);
                prop_assert!(!split.train.is_empty() && !split.valid.is_empty());
            }
        }

        #[test]
        fn each_type_has_its_proportion_within_one_text(
            sizes in proptest::collection::vec(1usize..40, 1..16), fraction in 0.1f64..0.9, seed: u32,
        ) {
            let rows: Vec<_> = sizes.iter().enumerate().flat_map(|(t, &n)| vec![(None, t); n]).collect();
            let examples = examples(&rows);
            prop_assume!(examples.len() > 2);
            let split = split(&examples, fraction, SplitBy::Author, seed).unwrap();
            let part = split.valid.len() as f64 / examples.len() as f64;
            for (index, &size) in sizes.iter().enumerate() {
                let taken = split.valid.iter().filter(|&&row| examples[row as usize].mbti.index() == index).count();
                prop_assert!((taken as f64 - part * size as f64).abs() < 1.0);
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let rows: Vec<_> = (0..60).map(|n| (Some(n % 20), (n % 16) as usize)).collect();
        let examples = examples(&rows);
        assert_eq!(
            split(&examples, 0.2, SplitBy::Author, 7).unwrap(),
            split(&examples, 0.2, SplitBy::Author, 7).unwrap()
        );
        assert_ne!(
            split(&examples, 0.2, SplitBy::Author, 7).unwrap().valid,
            split(&examples, 0.2, SplitBy::Author, 8).unwrap().valid
        );
        assert_eq!(split(&examples, 0.2, SplitBy::Author, 7).unwrap().summary.valid_authors, Some(4));
    }

    #[test]
    fn one_author_alone_cannot_be_parted() {
        let error = split(&examples(&[(Some(1), 0), (Some(1), 0)]), 0.2, SplitBy::Author, 0).unwrap_err();
        assert!(matches!(error, Error::TooFew { .. }), "{error}");
        assert!(matches!(split(&[], 0.2, SplitBy::Author, 0), Err(Error::TooFew { .. })));
    }

    #[test]
    fn authors_that_a_given_validation_set_shares_are_counted() {
        let (train, valid) =
            (examples(&[(Some(1), 0), (Some(2), 1)]), examples(&[(Some(2), 1), (Some(3), 1)]));
        assert_eq!(split_given(&train, &valid, 0).unwrap().summary.shared_authors, 1);
    }

    #[test]
    fn a_sample_has_each_type_in_proportion_and_a_split_by_text_parts_authors() {
        let rows: Vec<_> = (0..400).map(|n| (Some(n as u8 % 5), usize::from(n % 4 == 0))).collect();
        let examples = examples(&rows);
        let taken = sample(&examples, 0.1, 3);
        assert_eq!(taken.len(), 40);
        let of_type =
            |index| taken.iter().filter(|&&row| examples[row as usize].mbti.index() == index).count();
        assert_eq!((of_type(0), of_type(1)), (30, 10));
        assert_ne!(taken, sample(&examples, 0.1, 4));

        let config = TrainConfig { sample_fraction: 0.1, split_by: SplitBy::Text, ..Default::default() };
        let split = split_for(&examples, None, &config).unwrap();
        assert_eq!((split.train.len(), split.valid.len()), (32, 8));
        assert_eq!(split.summary.method, SplitMethod::ByText);
        assert!(split.summary.shared_authors > 0);
    }
}
