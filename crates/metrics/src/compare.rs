//! Whether one model is better than another on the same texts, by their balanced accuracies.

use std::collections::BTreeMap;

use mbti::Axis;
use rayon::prelude::*;
use record::{Comparison, Estimated};

use crate::{
    Judged,
    bootstrap::{RESAMPLES, resample},
    level::scored_axis,
    percentile,
    sample::{Sample, by_text},
    scored::{self, Scored},
    units::{Units, units},
};

/// How much better the first of two models tells the same texts than the second: the difference of their balanced
/// accuracies, on each axis that both were judged on and in the mean, with 95 % bootstrap intervals. Resampled are
/// authors, or texts where no author is named, the same ones for both models (the paired bootstrap: Efron and
/// Tibshirani, An Introduction to the Bootstrap, 8.3; Koehn, EMNLP 2004). The same for the same seed.
pub fn compare(first: &Judged, second: &Judged, seed: u64) -> Comparison {
    let units = units(first.authors, texts_of_both(first, second));
    compare_by(first, second, &resamples(&units, seed))
}

/// The same by given resamples, each of which says how often a unit is drawn: [resamples][units].
pub fn compare_by(first: &Judged, second: &Judged, resamples: &[Vec<u32>]) -> Comparison {
    let texts = texts_of_both(first, second);
    let units = units(first.authors, texts);
    let axes: Vec<Axis> = first.axes.iter().copied().filter(|axis| second.axes.contains(axis)).collect();
    let [first, second] =
        [first, second].map(|judged| BalancedAccuracies::new(&by_text(judged, &units), &axes));
    let differences = |counts: &[u32]| -> Vec<Option<f64>> {
        let both = first.at(counts).into_iter().zip(second.at(counts));
        both.map(|(first, second)| Some(first? - second?)).collect()
    };
    let found = Resampled::new(differences, units.count, resamples);
    Comparison {
        texts: i64::try_from(texts).unwrap_or(i64::MAX),
        units: u32::try_from(units.count).unwrap_or(u32::MAX),
        authors: units.authors,
        axes: axes.iter().enumerate().map(|(place, &axis)| (axis, found.one(place))).collect(),
        mean: found.mean(),
    }
}

/// The mean of the balanced accuracies of all axes of a sample, with its interval. An axis on which the sample has only one
/// letter has none and is left out.
pub(crate) fn mean_balanced_accuracy(sample: &Sample, units: &Units, seed: u64) -> Estimated {
    let axes: Vec<Axis> = sample.axes.iter().map(|axis| axis.axis).collect();
    let accuracies = BalancedAccuracies::new(sample, &axes);
    Resampled::new(|counts| accuracies.at(counts), units.count, &resamples(units, seed)).mean()
}

fn texts_of_both(first: &Judged, second: &Judged) -> usize {
    first.texts().min(second.texts())
}

/// How often each unit is drawn in each resample: [resamples][units]. A single unit cannot be resampled into anything else.
fn resamples(units: &Units, seed: u64) -> Vec<Vec<u32>> {
    let count = if units.count < 2 { 0 } else { RESAMPLES };
    (0..count).into_par_iter().map(|replicate| resample(seed, replicate, units.count)).collect()
}

/// Some axes of one model, ready to be resampled.
struct BalancedAccuracies(Vec<Scored>);

impl BalancedAccuracies {
    fn new(sample: &Sample, axes: &[Axis]) -> BalancedAccuracies {
        let mut of: BTreeMap<Axis, Scored> =
            sample.axes.iter().map(|axis| (axis.axis, scored_axis(axis, &sample.units))).collect();
        BalancedAccuracies(axes.iter().filter_map(|axis| of.remove(axis)).collect())
    }

    /// That of each axis, every text counting as often as its unit is drawn: [axes].
    fn at(&self, counts: &[u32]) -> Vec<Option<f64>> {
        self.0.iter().map(|axis| scored::metrics(axis, counts).balanced_accuracy).collect()
    }
}

/// A number for each axis, as it is and in all resamples.
struct Resampled {
    /// [axes]
    whole: Vec<Option<f64>>,
    /// [resamples][axes]
    resampled: Vec<Vec<Option<f64>>>,
}

impl Resampled {
    fn new(
        of: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
        units: usize,
        resamples: &[Vec<u32>],
    ) -> Resampled {
        let whole = of(&vec![1; units]);
        Resampled { whole, resampled: resamples.par_iter().map(|counts| of(counts)).collect() }
    }

    fn one(&self, place: usize) -> Estimated {
        let at = |values: &[Option<f64>]| values.get(place).copied().flatten();
        self.estimated(at)
    }

    /// The mean over the axes that have a value; a resample in which one of these has none has no mean.
    fn mean(&self) -> Estimated {
        let known: Vec<usize> = (0..self.whole.len()).filter(|&place| self.whole[place].is_some()).collect();
        self.estimated(|values| {
            let sum: Option<f64> = known.iter().map(|&place| values.get(place).copied().flatten()).sum();
            sum.filter(|_| !known.is_empty()).map(|sum| sum / known.len() as f64)
        })
    }

    fn estimated(&self, of: impl Fn(&[Option<f64>]) -> Option<f64>) -> Estimated {
        let value = of(&self.whole);
        let interval = percentile::interval(self.resampled.iter().map(|values| of(values)));
        Estimated { value, interval: interval.filter(|_| value.is_some()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mbti::Type;
    use record::Better;

    use super::*;

    const AXES: [Axis; 1] = [Axis::JudgingPerceiving];

    /// Texts of so many authors, two each, of whom every second has the other letter; `wrong` says of which authors the
    /// texts are told wrong.
    fn told(authors: u32, wrong: impl Fn(u32) -> bool) -> (Vec<f64>, Vec<Type>, Vec<Option<u32>>) {
        let (mut logits, mut types, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for author in 0..authors {
            let mbti: Type = if author % 2 == 0 { "INFP" } else { "INFJ" }.parse().unwrap();
            for _ in 0..2 {
                let right = mbti.class(AXES[0]) != wrong(author);
                logits.push(if right { 1.0 } else { -1.0 });
                types.push(mbti);
                of.push(Some(author));
            }
        }
        (logits, types, of)
    }

    fn between(
        first: impl Fn(u32) -> bool,
        second: impl Fn(u32) -> bool,
        authors: u32,
        named: bool,
    ) -> Comparison {
        let (a, types, mut of) = told(authors, first);
        let (b, _, _) = told(authors, second);
        if !named {
            of.fill(None);
        }
        let judged = |logits| Judged { axes: &AXES, logits, types: &types, authors: &of };
        compare(&judged(&a), &judged(&b), 3)
    }

    #[test]
    fn a_model_is_better_only_where_its_interval_excludes_no_difference() {
        let clear = between(|_| false, |author| author % 3 == 0, 60, true);
        assert_eq!((clear.better(), clear.units, clear.authors), (Some(Better::First), 60, true));
        let turned = between(|author| author % 3 == 0, |_| false, 60, true);
        assert_eq!(turned.better(), Some(Better::Second));
        assert!((clear.mean.value.unwrap() + turned.mean.value.unwrap()).abs() < 1e-12);
        // One author of sixty more is nothing that others would confirm.
        let close = between(|author| author % 3 == 0, |author| author % 3 == 0 || author == 1, 60, true);
        assert!(close.mean.value.unwrap() > 0.0);
        assert_eq!(close.better(), None);
    }

    #[test]
    fn alike_models_differ_by_nothing_in_every_resample() {
        let same = between(|author| author % 5 == 0, |author| author % 5 == 0, 40, true);
        assert_eq!(same.mean, Estimated { value: Some(0.0), interval: Some([0.0, 0.0]) });
        assert_eq!(same.axes[&AXES[0]], same.mean);
        assert_eq!(same.better(), None);
    }

    #[test]
    fn an_interval_over_authors_is_wider_than_one_over_their_texts() {
        let by_author = between(|_| false, |author| author % 3 == 0, 30, true).mean.interval.unwrap();
        let by_text = between(|_| false, |author| author % 3 == 0, 30, false).mean.interval.unwrap();
        assert!(by_author[1] - by_author[0] > by_text[1] - by_text[0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_the_resamples_are_those_of_the_metrics() {
        let (a, types, of) = told(20, |author| author % 3 == 0);
        let (b, _, _) = told(20, |author| author % 4 == 0);
        let judged = |logits| Judged { axes: &AXES, logits, types: &types, authors: &of };
        let (a, b) = (judged(&a), judged(&b));
        let resamples: Vec<Vec<u32>> = (0..RESAMPLES).map(|number| resample(9, number, 20)).collect();
        assert_eq!(compare(&a, &b, 9), compare_by(&a, &b, &resamples));
        assert_ne!(compare(&a, &b, 9).mean.interval, compare(&a, &b, 10).mean.interval);
    }

    #[test]
    fn only_axes_that_both_have_are_compared_and_what_cannot_be_compared_has_no_value() {
        let (logits, types, of) = told(10, |_| false);
        let judged = |axes, logits| Judged { axes, logits, types: &types, authors: &of };
        let other = [Axis::FeelingThinking];
        let found = compare(&judged(&AXES, &logits), &judged(&other, &logits), 0);
        assert!(found.axes.is_empty());
        assert_eq!((found.mean, found.better()), (Estimated::default(), None));
        // All are F, so that there is no balanced accuracy.
        let found = compare(&judged(&other, &logits), &judged(&other, &logits), 0);
        assert_eq!((found.axes[&other[0]], found.better()), (Estimated::default(), None));
        let nothing = Judged { axes: &AXES, logits: &[], types: &[], authors: &[] };
        assert_eq!(compare(&nothing, &nothing, 0).mean, Estimated::default());
        let one = between(|_| false, |_| true, 1, true);
        assert_eq!((one.mean.interval, one.better()), (None, None));
    }
}
