//! Sets of answers that hold the right one with a promised probability, by split-conformal
//! prediction (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005). Texts of an author are no
//! independent draws, so that calibration authors, not texts, count as one each: hierarchical
//! conformal prediction (Lee, Barber and Willett, arXiv 2306.06342), whose promise holds for a text by
//! an author of whom nothing is known, if authors are exchangeable.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use record::{Estimated, PredictionSets, SetThreshold};

use crate::{
    bootstrap::{Purpose, draw, random},
    percentile,
    probability::tame,
    sample::{AxisSample, Sample},
    temperature::loss,
    units::Units,
};

/// The promised probability.
pub const COVERAGE: f64 = 0.9;

/// With fewer calibration units no promise is made. From 9 on the threshold is finite. What the sets
/// of one calibration cover in truth varies around the promise, as Beta(n + 1 − l, l) with
/// l = ⌊(n + 1) / 10⌋ (Vovk, arXiv 1209.2673); from 11 on it is below 80 % in less than one of ten.
pub const LEAST_UNITS: usize = 11;

/// Rounding of the sum of the weights, against the promise.
const ROUNDING: f64 = 1e-9;

/// The sets of a judged model: thresholds from one half of the units, drawn by chance alone, and
/// what such sets were like on the other half. None where nothing was judged.
pub fn sets(texts: &Sample, units: &Units, seed: u64, resamples: u32) -> Option<PredictionSets> {
    if texts.axes.is_empty() || units.count == 0 {
        return None;
    }
    let calibrating = calibrating(units.count, seed);
    let calibration_units = calibrating.iter().filter(|calibrates| **calibrates).count();
    let judged_units = units.count - calibration_units;
    let promised = calibration_units >= LEAST_UNITS && judged_units > 0;
    let of = |axes: &[&AxisSample]| {
        let split = Split { units, calibrating: &calibrating };
        promised
            .then(|| split.threshold(axes))
            .flatten()
            .map(|threshold| SetThreshold { threshold, ..split.judged(axes, threshold, seed, resamples) })
    };
    let all: Vec<&AxisSample> = texts.axes.iter().collect();
    let axes: BTreeMap<_, _> = all.iter().filter_map(|axis| Some((axis.axis, of(&[*axis])?))).collect();
    Some(PredictionSets {
        coverage: COVERAGE,
        calibration_units: u32::try_from(calibration_units).unwrap_or(u32::MAX),
        judged_units: u32::try_from(judged_units).unwrap_or(u32::MAX),
        least_units: LEAST_UNITS as u32,
        axes,
        types: if all.len() > 1 { of(&all) } else { None },
    })
}

/// Whether each unit is calibrated on, the others being judged: half of them by chance, so that
/// every unit is as likely to be either: [units].
pub fn calibrating(units: usize, seed: u64) -> Vec<bool> {
    let mut calibrating: Vec<bool> = (0..units).map(|unit| unit % 2 == 0).collect();
    calibrating.shuffle(&mut random(seed, Purpose::Sets, 0));
    calibrating
}

/// The classes on each axis of all answers that belong to the set of a text, by falling
/// probability; the likeliest is always one of them. `logits`: of class 1, by axis.
pub fn answers(threshold: f64, logits: &[f64]) -> Vec<Vec<bool>> {
    let all = 0..1u32 << logits.len().min(16);
    let classes = |answer: u32| (0..logits.len()).map(move |axis| answer >> axis & 1 == 1);
    let mut scored: Vec<(f64, Vec<bool>)> =
        all.map(|answer| (score(logits, classes(answer)), classes(answer).collect())).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let within = scored.iter().filter(|(score, _)| *score <= threshold).count().max(1);
    scored.truncate(within);
    scored.into_iter().map(|(_, classes)| classes).collect()
}

/// −ln of the probability that the logits give to these classes, axes taken one by one. Any score
/// gives the promise; this one gives the smallest sets where the probabilities are right (Sadinle,
/// Lei and Wasserman, JASA 114, 2019).
fn score(logits: &[f64], classes: impl Iterator<Item = bool>) -> f64 {
    logits.iter().zip(classes).map(|(&logit, class)| loss(tame(logit), class, 1.0)).sum()
}

/// The least score by which calibration texts of the weight of the promise have no higher one. Each
/// of K units weighs 1 / (K + 1), shared out evenly among its texts, and what is left is at
/// infinity; none where the promise reaches there. `scores`: unit and score of each text.
fn threshold(mut scores: Vec<(usize, f64)>, coverage: f64) -> Option<f64> {
    let mut texts: BTreeMap<usize, f64> = BTreeMap::new();
    scores.iter().for_each(|(unit, _)| *texts.entry(*unit).or_default() += 1.0);
    let units = texts.len() as f64;
    scores.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut weight = 0.0;
    scores.into_iter().find_map(|(unit, score)| {
        weight += texts.get(&unit).map_or(0.0, |texts| 1.0 / ((units + 1.0) * texts));
        (weight >= coverage - ROUNDING).then_some(score)
    })
}

/// What sets come to for one unit that was not calibrated on.
#[derive(Clone, Copy, Default)]
struct OfUnit {
    texts: f64,
    covered: f64,
    answers: f64,
}

struct Split<'a> {
    units: &'a Units,
    calibrating: &'a [bool],
}

impl Split<'_> {
    fn texts(&self, calibrating: bool) -> impl Iterator<Item = (usize, usize)> + '_ {
        let of_text = self.units.of_text.iter().copied().enumerate();
        of_text.filter(move |(_, unit)| self.calibrating[*unit] == calibrating)
    }

    fn threshold(&self, axes: &[&AxisSample]) -> Option<f64> {
        let scored = |(text, unit)| (unit, score(&logits(axes, text), classes(axes, text)));
        threshold(self.texts(true).map(scored).collect(), COVERAGE)
    }

    fn judged(&self, axes: &[&AxisSample], threshold: f64, seed: u64, resamples: u32) -> SetThreshold {
        let mut of_units: BTreeMap<usize, OfUnit> = BTreeMap::new();
        for (text, unit) in self.texts(false) {
            let set = answers(threshold, &logits(axes, text));
            let truth: Vec<bool> = classes(axes, text).collect();
            let unit = of_units.entry(unit).or_default();
            unit.texts += 1.0;
            unit.covered += f64::from(set.contains(&truth));
            unit.answers += set.len() as f64;
        }
        let of_units: Vec<OfUnit> = of_units.into_values().collect();
        let mean = |part: fn(&OfUnit) -> f64, counts: &[u32]| {
            let sum: f64 = of_units
                .iter()
                .zip(counts)
                .map(|(unit, &count)| f64::from(count) * part(unit) / unit.texts)
                .sum();
            let total = counts.iter().sum::<u32>();
            (total > 0).then(|| sum / f64::from(total))
        };
        let mut counts = vec![1; of_units.len()];
        let (value, mean_size) = (mean(|unit| unit.covered, &counts), mean(|unit| unit.answers, &counts));
        let resamples = if of_units.len() < 2 { 0 } else { resamples };
        let resampled: Vec<Option<f64>> = (1..=resamples)
            .map(|replicate| {
                draw(&mut random(seed, Purpose::Sets, replicate), &mut counts);
                mean(|unit| unit.covered, &counts)
            })
            .collect();
        let interval = percentile::interval(resampled.into_iter());
        SetThreshold { threshold, coverage: Estimated { value, interval }, mean_size }
    }
}

fn logits(axes: &[&AxisSample], text: usize) -> Vec<f64> {
    axes.iter().map(|axis| axis.logits[text]).collect()
}

fn classes<'a>(axes: &'a [&AxisSample], text: usize) -> impl Iterator<Item = bool> + 'a {
    axes.iter().map(move |axis| axis.classes[text])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mbti::{Axis, Type};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{judged::tests::Texts, sample::by_text, units::units};

    /// Authors of random types with 1 to 12 texts each, and logits with a part of the author's own.
    fn made_up(authors: u32, signal: f64, seed: u64) -> Texts {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let all: Vec<Type> = Type::all().collect();
        let mut made = Texts { logits: Vec::new(), types: Vec::new(), authors: Vec::new() };
        for author in 0..authors {
            let mbti = all[random.random_range(0..16)];
            let own: [f64; 4] = std::array::from_fn(|_| 3.0 * random.random::<f64>() - 1.5);
            for _ in 0..random.random_range(1..=12) {
                made.types.push(mbti);
                made.authors.push(Some(author));
                for axis in Axis::ALL {
                    let towards = if mbti.class(axis) { signal } else { -signal };
                    made.logits.push(towards + own[axis.index()] + 4.0 * random.random::<f64>() - 2.0);
                }
            }
        }
        made
    }

    fn sets_of(texts: &Texts, seed: u64) -> PredictionSets {
        let units = units(&texts.authors, texts.types.len());
        sets(&by_text(&texts.judged(), &units), &units, seed, 100).unwrap()
    }

    /// The least and the most that so many draws of a chance come to with 99.9 %.
    fn binomial_interval(draws: u32, chance: f64) -> [u32; 2] {
        let mut density = (1.0 - chance).powi(draws as i32);
        let (mut below, mut low, mut high) = (0.0, None, None);
        for count in 0..=draws {
            below += density;
            low = low.or((below > 0.0005).then_some(count));
            high = high.or((below > 0.9995).then_some(count));
            density *= f64::from(draws - count) / f64::from(count + 1) * chance / (1.0 - chance);
        }
        [low.unwrap(), high.unwrap()]
    }

    #[test]
    fn texts_by_new_authors_are_covered_as_often_as_promised_over_200_splits() {
        assert_eq!(binomial_interval(200, 0.9), [165, 192]);
        for signal in [0.0, 0.7] {
            let (mut covered, mut mean) = ([0; 5], [0.0; 5]);
            for seed in 0..200 {
                let texts = made_up(80, signal, seed);
                let found = sets_of(&texts, seed);
                // One text of one author who was not calibrated on, so that the 200 are independent.
                let calibrating = calibrating(80, seed);
                let mut random = ChaCha8Rng::seed_from_u64(1000 + seed);
                let others: Vec<u32> = (0..80).filter(|&author| !calibrating[author as usize]).collect();
                let author = others[random.random_range(0..others.len())];
                let own: Vec<usize> =
                    (0..texts.types.len()).filter(|&text| texts.authors[text] == Some(author)).collect();
                let text = own[random.random_range(0..own.len())];
                let logits = &texts.logits[4 * text..4 * text + 4];
                let truth: Vec<bool> = Axis::ALL.iter().map(|&axis| texts.types[text].class(axis)).collect();
                for axis in Axis::ALL {
                    let place = axis.index();
                    let set = answers(found.axes[&axis].threshold, &logits[place..=place]);
                    covered[place] += u32::from(set.contains(&vec![truth[place]]));
                    mean[place] += found.axes[&axis].coverage.value.unwrap() / 200.0;
                }
                let types = found.types.unwrap();
                covered[4] += u32::from(answers(types.threshold, logits).contains(&truth));
                mean[4] += types.coverage.value.unwrap() / 200.0;
            }
            // No more than 1/41 above the promise, where scores have no ties.
            let ([low, _], [_, high]) =
                (binomial_interval(200, 0.9), binomial_interval(200, 0.9 + 1.0 / 41.0));
            assert!(covered.iter().all(|count| (low..=high).contains(count)), "{signal}: {covered:?}");
            assert!(mean.iter().all(|mean| (0.885..0.94).contains(mean)), "{signal}: {mean:?}");
        }
    }

    #[test]
    fn a_model_that_tells_more_gives_smaller_sets() {
        let size = |signal| {
            let sizes = (0..20)
                .map(|seed| sets_of(&made_up(80, signal, seed), seed).types.unwrap().mean_size.unwrap());
            sizes.sum::<f64>() / 20.0
        };
        let (nothing, something, much) = (size(0.0), size(1.5), size(6.0));
        assert!(nothing > 12.0 && something < nothing - 2.0 && much < 1.5, "{nothing} {something} {much}");
    }

    #[test]
    fn units_weigh_the_same_however_many_texts_they_have() {
        // Nine units of the score 1 with a text each, one of 100 texts of the score 5: the tenth is beyond 9/11.
        let mut scores: Vec<(usize, f64)> = (0..9).map(|unit| (unit, 1.0)).collect();
        scores.extend([(9, 5.0); 100]);
        assert_eq!(threshold(scores.clone(), 0.8), Some(1.0));
        assert_eq!(threshold(scores.clone(), 0.9), Some(5.0));
        // Beyond 10/11 lies infinity.
        assert_eq!(threshold(scores, 0.92), None);
        assert_eq!(threshold(Vec::new(), 0.9), None);
    }

    #[test]
    fn one_text_a_unit_gives_the_usual_order_statistic() {
        for units in 1..60usize {
            let scores = (0..units).map(|unit| (unit, ((unit * 37) % units) as f64 + 1.0)).collect();
            // The ⌈(n + 1) · 0.9⌉-th smallest, where there is one.
            let rank = ((units + 1) * 9).div_ceil(10);
            assert_eq!(threshold(scores, 0.9).is_some(), rank <= units, "{units}");
        }
        let scores = (0..19).map(|unit| (unit, unit as f64)).collect();
        assert_eq!(threshold(scores, 0.9), Some(17.0));
    }

    #[test]
    fn the_fewest_units_are_those_with_which_the_sets_are_rarely_far_below_the_promise() {
        // The chance that sets from n units cover less than 0.8: that of at most l − 1 of n texts being beyond.
        let chance = |units: u32| {
            let beyond = (units + 1) / 10;
            let mut term = 0.8f64.powi(units as i32);
            (0..beyond)
                .map(|count| {
                    let now = term;
                    term *= f64::from(units - count) / f64::from(count + 1) * 0.25;
                    now
                })
                .sum::<f64>()
        };
        assert!(chance(LEAST_UNITS as u32 - 1) > 0.1);
        assert!((LEAST_UNITS as u32..500).all(|units| chance(units) < 0.1));
    }

    #[test]
    fn with_too_few_authors_nothing_is_promised() {
        for authors in 1..26 {
            let found = sets_of(&made_up(authors, 1.0, 3), 0);
            let enough = authors >= 21;
            assert_eq!(
                (found.types.is_some(), found.axes.len()),
                (enough, if enough { 4 } else { 0 }),
                "{authors}"
            );
            assert_eq!(found.calibration_units + found.judged_units, authors);
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_the_likeliest_answer_and_grows_with_its_threshold(
            logits in prop::collection::vec(prop_oneof![prop::num::f64::ANY, -3.0..3.0f64], 1..=4),
            low in -1.0..4.0f64,
            more in 0.0..4.0f64,
        ) {
            let (small, large) = (answers(low, &logits), answers(low + more, &logits));
            let likeliest: Vec<bool> = logits.iter().map(|&logit| tame(logit) > 0.0).collect();
            let tied = logits.iter().any(|&logit| tame(logit) == 0.0 || tame(logit).abs() < 1e-9 || tame(logit).abs() > 30.0);
            prop_assert!(tied || small[0] == likeliest, "{:?} {:?}", small, logits);
            prop_assert!(small.iter().all(|answer| large.contains(answer)));
            prop_assert_eq!(answers(f64::INFINITY, &logits).len(), 1 << logits.len());
        }
    }
}
