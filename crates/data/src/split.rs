use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use record::{SplitBy, SplitMethod, SplitSummary, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{Error, Labels, error::Result};

/// Which examples are learned from and which judge what was learned, by their places in the
/// data set. With a validation set of its own, `valid` counts in that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub summary: SplitSummary,
    pub train: Vec<u32>,
    pub valid: Vec<u32>,
    /// The [fingerprints](crate::fingerprint()) of the data set and of the validation set of its own, where they are known.
    #[serde(default)]
    pub fingerprints: [Option<String>; 2],
}

/// Parts the examples so that no author stands on both sides and each type has its share.
///
/// The unit is the author, or the single text where no author is named. Units are grouped by
/// type (an author's commonest), shuffled by the seed, and `fraction` of all units is taken for
/// validation, shared out over the types by the largest remainder, so that no type is off its
/// proportion by a whole unit. The same seed gives the same split on every machine.
///
/// With [`SplitBy::Text`] the unit is the single text also where authors are named.
pub fn split(labels: &Labels, fraction: f64, by: SplitBy, seed: u32) -> Result<Split> {
    let rows: Vec<u32> = (0..labels.len() as u32).collect();
    split_rows(labels, &rows, fraction, by, seed)
}

/// The parts of a data set that a run's settings ask for: a sample of its texts, where not all
/// are wanted, parted into those to learn from and those to validate with, or with a validation
/// set of its own. Of a cross-validation it is the split of its first fold.
pub fn split_for(labels: &Labels, valid: Option<&Labels>, config: &TrainConfig) -> Result<Split> {
    let rows = sample(labels, config.sample_fraction, config.seed);
    match (valid, config.folds) {
        (Some(valid), _) => split_rows_given(labels, &rows, valid, config.seed),
        (None, Some(_)) => split_fold(labels, &rows, config),
        (None, None) => split_rows(labels, &rows, config.validation_fraction, config.split_by, config.seed),
    }
}

fn split_fold(labels: &Labels, rows: &[u32], config: &TrainConfig) -> Result<Split> {
    let count = config.folds.unwrap_or(1) as usize;
    let mut folds = folds(labels, rows, count, config.split_by, config.seed)?;
    let place = (config.fold.unwrap_or(1) as usize).clamp(1, count) - 1;
    let valid = folds.swap_remove(place);
    let train = rest(rows, &valid);
    let method = method(labels, rows, config.split_by);
    let summary = summary(method, config.seed, (labels, &train), (labels, &valid));
    Ok(Split { summary, train, valid, fingerprints: [None, None] })
}

/// Refuses a cross-validation that has fewer authors, or texts where no author is kept together, of some letter of its
/// axes than folds: a fold would have none to be judged by.
pub fn check_folds(labels: &Labels, config: &TrainConfig) -> Result<()> {
    let Some(count) = config.folds.map(|count| count as usize) else { return Ok(()) };
    let rows = sample(labels, config.sample_fraction, config.seed);
    folds(labels, &rows, count, config.split_by, config.seed)?;
    let units = units(labels, &rows, config.split_by);
    for &axis in &config.axes {
        for letter in axis.letters() {
            let has = |&row: &u32| labels.types[row as usize].letter(axis) == letter;
            let found = units.iter().filter(|unit| unit.iter().any(has)).count();
            if found < count {
                let by_author = method(labels, &rows, config.split_by) == SplitMethod::ByAuthor;
                return Err(Error::TooFewOfLetter { axis, letter, count: found, by_author, folds: count });
            }
        }
    }
    Ok(())
}

/// The places of a part of the texts, each type in proportion, decided by the seed alone.
pub fn sample(labels: &Labels, fraction: f64, seed: u32) -> Vec<u32> {
    let mut strata: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (row, mbti) in labels.types.iter().enumerate() {
        strata.entry(mbti.index()).or_default().push(row as u32);
    }
    // As scikit-learn and `datasets` round the part that is trained on.
    let wanted = ((labels.len() as f64 * fraction).floor() as usize).min(labels.len());
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

fn split_rows(labels: &Labels, rows: &[u32], fraction: f64, by: SplitBy, seed: u32) -> Result<Split> {
    let [train, valid, _] = parts(labels, rows, [fraction, 0.0], by, seed)?;
    let method = method(labels, rows, by);
    let summary = summary(method, seed, (labels, &train), (labels, &valid));
    Ok(Split { summary, train, valid, fingerprints: [None, None] })
}

/// What is kept together, which needs authors that are named.
fn method(labels: &Labels, rows: &[u32], by: SplitBy) -> SplitMethod {
    let named = rows.iter().any(|&row| labels.authors[row as usize].is_some());
    if named && by == SplitBy::Author { SplitMethod::ByAuthor } else { SplitMethod::ByText }
}

/// The rows that are not among those of a fold, both in rising order: what the fold's model learns from.
pub fn rest(rows: &[u32], fold: &[u32]) -> Vec<u32> {
    rows.iter().copied().filter(|row| fold.binary_search(row).is_err()).collect()
}

/// The rows to learn from, to validate with and to test with, in rising order; the fractions are those of
/// the second and the third part. Without a third part this is [`split`].
pub fn parts(
    labels: &Labels,
    rows: &[u32],
    [valid_fraction, test_fraction]: [f64; 2],
    by: SplitBy,
    seed: u32,
) -> Result<[Vec<u32>; 3]> {
    let strata = strata(labels, rows, by, seed);
    let sizes: Vec<usize> = strata.iter().map(Vec::len).collect();
    let count: usize = sizes.iter().sum();
    let wanted = |fraction: f64, most: usize| match by {
        _ if fraction <= 0.0 => 0,
        // As scikit-learn and `datasets` round the part that is held out.
        SplitBy::Text => ((count as f64 * fraction).ceil() as usize).clamp(1, most.max(1)),
        SplitBy::Author => ((count as f64 * fraction).round() as usize).clamp(1, most.max(1)),
    };
    let for_test = wanted(test_fraction, count.saturating_sub(2));
    let for_valid = wanted(valid_fraction, count.saturating_sub(1 + for_test));
    let test_shares = largest_remainder(&sizes, for_test.min(count));
    let rest: Vec<usize> = sizes.iter().zip(&test_shares).map(|(size, share)| size - share).collect();
    let valid_shares = largest_remainder(&rest, for_valid.min(rest.iter().sum()));
    let [mut train, mut valid, mut test] = [(); 3].map(|()| Vec::new());
    for (units, (for_valid, for_test)) in strata.iter().zip(valid_shares.into_iter().zip(test_shares)) {
        for (place, unit) in units.iter().enumerate() {
            let part = match place {
                place if place < for_valid => &mut valid,
                place if place < for_valid + for_test => &mut test,
                _ => &mut train,
            };
            part.extend_from_slice(unit);
        }
    }
    let all =
        [("training", &train, true), ("validation", &valid, true), ("testing", &test, test_fraction > 0.0)];
    for (part, rows, wanted) in all {
        if wanted && rows.is_empty() {
            return Err(Error::TooFew { part, texts: 0 });
        }
    }
    let mut parts = [train, valid, test];
    parts.iter_mut().for_each(|rows| rows.sort_unstable());
    Ok(parts)
}

/// The rows of each of `count` parts of which every one in turn validates what was learned from all
/// others: no author in two of them, each type in proportion, sizes alike within one author.
pub fn folds(labels: &Labels, rows: &[u32], count: usize, by: SplitBy, seed: u32) -> Result<Vec<Vec<u32>>> {
    let mut folds = vec![Vec::new(); count.max(1)];
    let mut next = 0;
    for unit in strata(labels, rows, by, seed).into_iter().flatten() {
        // Dealt out like cards, one stratum behind another.
        let place = next % folds.len();
        folds[place].extend_from_slice(&unit);
        next += 1;
    }
    if next < count && count >= 2 && method(labels, rows, by) == SplitMethod::ByAuthor {
        return Err(Error::TooFewAuthors { authors: next, folds: count });
    }
    if next < count || count < 2 {
        return Err(Error::TooFew { part: "folds", texts: next });
    }
    folds.iter_mut().for_each(|rows| rows.sort_unstable());
    Ok(folds)
}

/// The units of each type that has any, a unit being the rows of an author or a single row, in an order
/// that the seed decides.
fn strata(labels: &Labels, rows: &[u32], by: SplitBy, seed: u32) -> Vec<Vec<Vec<u32>>> {
    let mut strata: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
    for unit in units(labels, rows, by) {
        strata.entry(commonest_type(labels, &unit)).or_default().push(unit);
    }
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(seed));
    strata.values_mut().for_each(|units| units.shuffle(&mut random));
    strata.into_values().collect()
}

/// All of one data set to learn from and all of another to validate with, as the user chose.
pub fn split_given(train: &Labels, valid: &Labels, seed: u32) -> Result<Split> {
    split_rows_given(train, &(0..train.len() as u32).collect::<Vec<_>>(), valid, seed)
}

fn split_rows_given(train: &Labels, rows: &[u32], valid: &Labels, seed: u32) -> Result<Split> {
    for (part, texts) in [("training", rows.len()), ("validation", valid.len())] {
        if texts == 0 {
            return Err(Error::TooFew { part, texts });
        }
    }
    let valid_rows: Vec<u32> = (0..valid.len() as u32).collect();
    let summary = summary(SplitMethod::Given, seed, (train, rows), (valid, &valid_rows));
    Ok(Split { summary, train: rows.to_vec(), valid: valid_rows, fingerprints: [None, None] })
}

/// The rows of each author, in the order of first appearance; a text without author is a unit.
fn units(labels: &Labels, rows: &[u32], by: SplitBy) -> Vec<Vec<u32>> {
    let mut place_of: HashMap<u32, usize> = HashMap::new();
    let mut units: Vec<Vec<u32>> = Vec::new();
    for &row in rows {
        let place = match labels.authors[row as usize] {
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

fn commonest_type(labels: &Labels, unit: &[u32]) -> usize {
    let mut counts = [0usize; 16];
    for &row in unit {
        counts[labels.types[row as usize].index()] += 1;
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

/// Of two parts, each the labels of a data set and some of its rows.
fn summary(
    method: SplitMethod,
    seed: u32,
    train: (&Labels, &[u32]),
    valid: (&Labels, &[u32]),
) -> SplitSummary {
    fn authors<'a>((labels, rows): (&'a Labels, &[u32])) -> BTreeSet<&'a str> {
        let numbers: BTreeSet<u32> = rows.iter().filter_map(|&row| labels.authors[row as usize]).collect();
        numbers.into_iter().map(|author| labels.names[author as usize].as_str()).collect()
    }
    let (train_authors, valid_authors) = (authors(train), authors(valid));
    let count = |set: &BTreeSet<&str>| (!set.is_empty()).then_some(set.len() as i64);
    SplitSummary {
        method,
        seed,
        train_examples: train.1.len() as i64,
        valid_examples: valid.1.len() as i64,
        train_authors: count(&train_authors),
        valid_authors: count(&valid_authors),
        shared_authors: train_authors.intersection(&valid_authors).count() as i64,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Example;
    use mbti::{Axis, Type};
    use proptest::prelude::*;

    fn labels(authors: &[(Option<u8>, usize)]) -> Labels {
        let example = |&(author, index): &(Option<u8>, usize)| Example {
            author: author.map(|a| format!("a{a}")),
            text: "x".into(),
            mbti: Type::all().nth(index).unwrap(),
        };
        Labels::of(&authors.iter().map(example).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn a_split_parts_all_texts_and_no_author_stands_on_both_sides(
            rows in proptest::collection::vec((proptest::option::of(0u8..12), 0..16usize), 2..80),
            fraction in 0.05f64..0.95, seed: u32,
        ) {
            let labels = labels(&rows);
            if let Ok(split) = split(&labels, fraction, SplitBy::Author, seed) {
                let mut all: Vec<u32> = split.train.iter().chain(&split.valid).copied().collect();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len() as u32).collect::<Vec<_>>());
                prop_assert_eq!(split.summary.shared_authors, 0);
                prop_assert!(!split.train.is_empty() && !split.valid.is_empty());
            }
        }

        #[test]
        fn three_parts_and_folds_part_all_texts_and_share_no_author(
            rows in proptest::collection::vec((proptest::option::of(0u8..30), 0..16usize), 3..120),
            fractions in (0.05f64..0.5, 0.05f64..0.4), count in 2usize..6, seed: u32,
        ) {
            let labels = labels(&rows);
            let all: Vec<u32> = (0..labels.len() as u32).collect();
            let check = |parts: &[Vec<u32>]| {
                let mut together = parts.concat();
                together.sort_unstable();
                prop_assert_eq!(&together, &all);
                let mut seen: HashMap<u32, usize> = HashMap::new();
                for (place, part) in parts.iter().enumerate() {
                    prop_assert!(part.is_sorted());
                    for author in part.iter().filter_map(|&row| labels.authors[row as usize]) {
                        prop_assert_eq!(*seen.entry(author).or_insert(place), place);
                    }
                }
                Ok(())
            };
            if let Ok(parts) = parts(&labels, &all, fractions.into(), SplitBy::Author, seed) {
                check(&parts)?;
                prop_assert!(parts.iter().all(|part| !part.is_empty()));
            }
            if let Ok(folds) = folds(&labels, &all, count, SplitBy::Author, seed) {
                check(&folds)?;
            }
            if let Ok(folds) = folds(&labels, &all, count, SplitBy::Text, seed) {
                let sizes: Vec<usize> = folds.iter().map(Vec::len).collect();
                prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            }
        }

        #[test]
        fn each_type_has_its_proportion_within_one_text(
            sizes in proptest::collection::vec(1usize..40, 1..16), fraction in 0.1f64..0.9, seed: u32,
        ) {
            let rows: Vec<_> = sizes.iter().enumerate().flat_map(|(t, &n)| vec![(None, t); n]).collect();
            let labels = labels(&rows);
            prop_assume!(labels.len() > 2);
            let split = split(&labels, fraction, SplitBy::Author, seed).unwrap();
            let part = split.valid.len() as f64 / labels.len() as f64;
            for (index, &size) in sizes.iter().enumerate() {
                let taken = split.valid.iter().filter(|&&row| labels.types[row as usize].index() == index).count();
                prop_assert!((taken as f64 - part * size as f64).abs() < 1.0);
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let rows: Vec<_> = (0..60).map(|n| (Some(n % 20), (n % 16) as usize)).collect();
        let labels = labels(&rows);
        assert_eq!(
            split(&labels, 0.2, SplitBy::Author, 7).unwrap(),
            split(&labels, 0.2, SplitBy::Author, 7).unwrap()
        );
        assert_ne!(
            split(&labels, 0.2, SplitBy::Author, 7).unwrap().valid,
            split(&labels, 0.2, SplitBy::Author, 8).unwrap().valid
        );
        assert_eq!(split(&labels, 0.2, SplitBy::Author, 7).unwrap().summary.valid_authors, Some(4));
    }

    #[test]
    fn too_few_for_folds_are_called_what_they_are() {
        let named: Vec<_> = (0..10).map(|text| (Some(text % 2), 0)).collect();
        let unnamed = [(None, 0), (None, 0)];
        for (labels, by, is_of_authors) in [
            (labels(&named), SplitBy::Author, true),
            (labels(&unnamed), SplitBy::Author, false),
            (labels(&unnamed), SplitBy::Text, false),
        ] {
            let rows: Vec<u32> = (0..labels.len() as u32).collect();
            let error = folds(&labels, &rows, 3, by, 0).unwrap_err();
            assert_eq!(
                matches!(error, Error::TooFewAuthors { authors: 2, folds: 3 }),
                is_of_authors,
                "{error}"
            );
            assert_eq!(matches!(error, Error::TooFew { texts: 2, .. }), !is_of_authors, "{error}");
        }
    }

    #[test]
    fn the_folds_of_a_cross_validation_are_those_of_the_data_set_and_each_text_validates_once() {
        let rows: Vec<_> = (0..90u8).map(|n| (Some(n % 23), (n % 23 % 16) as usize)).collect();
        let labels = labels(&rows);
        let all: Vec<u32> = (0..90).collect();
        let config = TrainConfig { folds: Some(4), seed: 3, ..TrainConfig::default() };
        let folds = folds(&labels, &all, 4, SplitBy::Author, 3).unwrap();
        let mut validated = Vec::new();
        for (fold, rows) in (1..).zip(&folds) {
            let split = split_for(&labels, None, &config.of_fold(fold)).unwrap();
            assert_eq!((&split.valid, split.summary.method), (rows, SplitMethod::ByAuthor));
            assert_eq!((split.train.len() + split.valid.len(), split.summary.shared_authors), (90, 0));
            validated.extend(split.valid);
        }
        validated.sort_unstable();
        assert_eq!(validated, all);
        let whole = split_for(&labels, None, &config).unwrap();
        assert_eq!(whole, split_for(&labels, None, &config.of_fold(1)).unwrap());
        let half = TrainConfig { sample_fraction: 0.5, ..config };
        let of = |fold| split_for(&labels, None, &half.of_fold(fold)).unwrap().valid;
        assert_eq!((1..=4).map(|fold| of(fold).len()).sum::<usize>(), 45);
    }

    #[test]
    fn more_folds_than_authors_of_a_letter_are_refused_and_axes_that_are_not_learned_do_not_count() {
        // Twelve authors with two texts each, of whom three have the P of INFP and the others the J of INFJ.
        let [infj, infp] = ["INFJ", "INFP"].map(|name| name.parse::<Type>().unwrap().index());
        let rows: Vec<_> = (0..24u8).map(|n| (Some(n / 2), if n / 2 < 3 { infp } else { infj })).collect();
        let labels = labels(&rows);
        let check = |folds, axis| {
            let config = TrainConfig { folds: Some(folds), axes: vec![axis], ..TrainConfig::default() };
            check_folds(&labels, &config)
        };
        check(3, Axis::JudgingPerceiving).unwrap();
        let error = check(4, Axis::JudgingPerceiving).unwrap_err();
        assert!(
            matches!(error, Error::TooFewOfLetter { count: 3, folds: 4, by_author: true, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("only 3 authors with P"), "{error}");
        assert!(check(2, Axis::ExtraversionIntroversion).is_err(), "all have an I");
        assert!(matches!(check(13, Axis::JudgingPerceiving), Err(Error::TooFewAuthors { .. })));
        check_folds(&labels, &TrainConfig::default()).unwrap();
    }

    #[test]
    fn one_author_alone_cannot_be_parted() {
        let error = split(&labels(&[(Some(1), 0), (Some(1), 0)]), 0.2, SplitBy::Author, 0).unwrap_err();
        assert!(matches!(error, Error::TooFew { .. }), "{error}");
        assert!(matches!(split(&Labels::default(), 0.2, SplitBy::Author, 0), Err(Error::TooFew { .. })));
    }

    #[test]
    fn authors_that_a_given_validation_set_shares_are_counted() {
        let (train, valid) = (labels(&[(Some(1), 0), (Some(2), 1)]), labels(&[(Some(2), 1), (Some(3), 1)]));
        assert_eq!(split_given(&train, &valid, 0).unwrap().summary.shared_authors, 1);
    }

    #[test]
    fn a_sample_has_each_type_in_proportion_and_a_split_by_text_parts_authors() {
        let rows: Vec<_> = (0..400).map(|n| (Some(n as u8 % 5), usize::from(n % 4 == 0))).collect();
        let labels = labels(&rows);
        let taken = sample(&labels, 0.1, 3);
        assert_eq!(taken.len(), 40);
        let of_type =
            |index| taken.iter().filter(|&&row| labels.types[row as usize].index() == index).count();
        assert_eq!((of_type(0), of_type(1)), (30, 10));
        assert_ne!(taken, sample(&labels, 0.1, 4));

        let config = TrainConfig { sample_fraction: 0.1, split_by: SplitBy::Text, ..Default::default() };
        let split = split_for(&labels, None, &config).unwrap();
        assert_eq!((split.train.len(), split.valid.len()), (32, 8));
        assert_eq!(split.summary.method, SplitMethod::ByText);
        assert!(split.summary.shared_authors > 0);
    }
}
