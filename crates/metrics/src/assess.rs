use record::{Assessment, Judgement, Level};

use crate::{
    Judged,
    bootstrap::RESAMPLES,
    calibration::calibrations,
    compare::mean_balanced_accuracy,
    conformal::sets,
    level::level,
    sample::{Sample, by_author, by_text},
    units::{Units, units},
};

/// Everything that is told of a model after its last step: the metrics by text and by author with
/// their intervals, the calibration, and sets of answers with their coverage. The same for the same seed, however many threads.
pub fn assess(judged: &Judged, step: u32, seed: u64) -> Assessment {
    assess_with(judged, step, seed, RESAMPLES)
}

/// The same with another number of resamples for the intervals.
pub fn assess_with(judged: &Judged, step: u32, seed: u64, resamples: u32) -> Assessment {
    let units = units(judged.authors, judged.texts());
    let texts = by_text(judged, &units);
    // Where no author is named, the units are the texts, and both samples are the same.
    let authors = by_author(judged, &units);
    let (by_text, by_author) = levels(&texts, &authors, &units, seed, resamples);
    let calibration = calibrations(&texts, &authors, &units, seed).collect();
    let sets = sets(&texts, &units, seed, resamples);
    Assessment { step, by_text, by_author, calibration, sets }
}

/// The metrics of a model on texts of another source: those of an assessment, with no calibration, which was the
/// run's own to fit, and with the mean of the balanced accuracies.
pub fn judge(judged: &Judged, seed: u64) -> Judgement {
    let units = units(judged.authors, judged.texts());
    let texts = by_text(judged, &units);
    let authors = by_author(judged, &units);
    let (by_text, by_author) = levels(&texts, &authors, &units, seed, RESAMPLES);
    let mean_balanced_accuracy = mean_balanced_accuracy(&texts, &units, seed);
    Judgement { mean_balanced_accuracy, by_text, by_author }
}

fn levels(
    texts: &Sample,
    authors: &Sample,
    units: &Units,
    seed: u64,
    resamples: u32,
) -> (Level, Option<Level>) {
    let by_text = level(texts, units.count, seed, resamples);
    (by_text, units.authors.then(|| level(authors, units.count, seed, resamples)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mbti::{Axis, Type};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use record::{AxisMetrics, Metric};

    use super::*;
    use crate::{axes_metrics, judged::tests::Texts};

    /// Texts of so many authors, with logits that tell something of every axis.
    fn made_up(authors: u32, texts: u32, seed: u64) -> Texts {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let all: Vec<Type> = Type::all().collect();
        let mut made = Texts { logits: Vec::new(), types: Vec::new(), authors: Vec::new() };
        for author in 0..authors {
            let mbti = all[random.random_range(0..16)];
            for _ in 0..texts {
                made.types.push(mbti);
                made.authors.push(Some(author));
                for axis in Axis::ALL {
                    let towards = if mbti.class(axis) { 0.5 } else { -0.5 };
                    made.logits.push(towards + 4.0 * random.random::<f64>() - 2.0);
                }
            }
        }
        made
    }

    fn levels(assessment: &Assessment) -> impl Iterator<Item = &Level> {
        std::iter::once(&assessment.by_text).chain(&assessment.by_author)
    }

    #[test]
    fn an_assessment_is_the_same_on_any_number_of_threads() {
        let texts = made_up(20, 5, 1);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| assess(&texts.judged(), 3, 7))
        };
        let alone = on(1);
        assert_eq!(alone, on(2));
        assert_eq!(alone, on(5));
        assert_ne!(alone, assess(&texts.judged(), 3, 8));
        assert_eq!(alone.step, 3);
    }

    #[test]
    fn intervals_hold_the_value() {
        for seed in 0..10 {
            let texts = made_up(30, 10, seed);
            let found = assess(&texts.judged(), 1, seed);
            assert_eq!((found.by_text.units, found.by_author.as_ref().unwrap().units), (300, 30));
            for level in levels(&found) {
                for axis in level.axes.values() {
                    for (metric, [low, high]) in &axis.intervals {
                        // Resampling adds to how far probabilities are from the frequencies, so
                        // that this interval may well lie above its value.
                        if *metric == Metric::ExpectedCalibrationError {
                            continue;
                        }
                        let value = axis.metrics.get(*metric).unwrap();
                        assert!(*low <= value && value <= *high, "{metric:?} {value} {low} {high}");
                        // Authors may all be told right, and are so in every resample then.
                        assert!(low < high || value == 1.0, "{metric:?} {value} {low} {high}");
                    }
                    assert_eq!(axis.intervals.len(), 8);
                }
                for estimated in [level.exact_match, level.right_letters] {
                    let (value, [low, high]) = (estimated.value.unwrap(), estimated.interval.unwrap());
                    assert!(low <= value && value <= high);
                }
            }
        }
    }

    #[test]
    fn alike_texts_of_an_author_make_no_interval_narrower() {
        // Ten copies of every author's one text are no more evidence than the one.
        let one = made_up(40, 1, 5);
        let copies = Texts {
            logits: one.logits.chunks(4).flat_map(|row| row.repeat(10)).collect(),
            types: one.types.iter().flat_map(|&mbti| [mbti; 10]).collect(),
            authors: one.authors.iter().flat_map(|&author| [author; 10]).collect(),
        };
        let (one, copies) = (assess(&one.judged(), 0, 2), assess(&copies.judged(), 0, 2));
        for axis in Axis::ALL {
            let accuracy = |found: &Assessment| found.by_text.axes[&axis].intervals[&Metric::Accuracy];
            let ([a, b], [c, d]) = (accuracy(&one), accuracy(&copies));
            assert!((a - c).abs() < 1e-12 && (b - d).abs() < 1e-12);
        }
    }

    #[test]
    fn without_authors_texts_are_resampled_and_nothing_is_said_by_author() {
        let mut texts = made_up(30, 4, 2);
        texts.authors.fill(None);
        let found = assess(&texts.judged(), 0, 0);
        assert_eq!(found.by_author, None);
        assert_eq!(found.by_text.units, 120);
        assert_eq!(found.calibration.len(), 4);
        assert!(found.calibration.values().all(|axis| axis.fitted_texts == 60 && axis.judged_texts == 60));
    }

    #[test]
    fn the_evaluation_says_what_the_assessment_says_by_text() {
        let texts = made_up(9, 4, 3);
        let assessed = assess(&texts.judged(), 0, 0).by_text.axes;
        let metrics: Vec<AxisMetrics> = assessed.values().map(|axis| axis.metrics).collect();
        assert_eq!(axes_metrics(&texts.judged()).into_values().collect::<Vec<_>>(), metrics);
    }

    #[test]
    fn a_judgement_has_the_levels_of_the_assessment_and_the_mean_of_its_balanced_accuracies() {
        let texts = made_up(20, 5, 6);
        let (found, assessed) = (judge(&texts.judged(), 4), assess(&texts.judged(), 0, 4));
        assert_eq!((&found.by_text, &found.by_author), (&assessed.by_text, &assessed.by_author));
        let of_axes = found.by_text.axes.values().map(|axis| axis.metrics.balanced_accuracy.unwrap());
        let mean = found.mean_balanced_accuracy;
        assert!((mean.value.unwrap() - of_axes.sum::<f64>() / 4.0).abs() < 1e-12);
        let [low, high] = mean.interval.unwrap();
        assert!(low < mean.value.unwrap() && mean.value.unwrap() < high);
    }

    #[test]
    fn nothing_judged_gives_no_values() {
        for axes in [&Axis::ALL[..], &[]] {
            let found = assess(&Judged { axes, logits: &[], types: &[], authors: &[] }, 0, 0);
            assert_eq!(found.by_text.units, 0);
            assert_eq!(found.by_author, None);
            assert_eq!(found.by_text.right_letters, Default::default());
            assert_eq!(found.by_text.majority_right_letters, None);
            assert!(found.by_text.axes.values().all(|axis| axis.metrics == AxisMetrics::default()));
            assert!(found.calibration.is_empty());
        }
    }

    #[test]
    fn one_author_alone_gives_values_without_intervals() {
        let texts = made_up(1, 10, 4);
        let found = assess(&texts.judged(), 0, 0);
        for level in levels(&found) {
            assert!(
                level.axes.values().all(|axis| axis.intervals.is_empty() && axis.metrics.accuracy.is_some())
            );
            assert!(level.right_letters.value.is_some() && level.right_letters.interval.is_none());
        }
        assert!(found.calibration.is_empty());
    }

    fn all_finite(found: &Assessment) -> bool {
        let mut numbers: Vec<f64> = Vec::new();
        for level in levels(found) {
            for axis in level.axes.values() {
                numbers.extend(Metric::ALL.iter().filter_map(|&metric| axis.metrics.get(metric)));
                numbers.extend(axis.intervals.values().flatten());
            }
            for estimated in [level.exact_match, level.right_letters] {
                numbers.extend(estimated.value);
                numbers.extend(estimated.interval.iter().flatten());
            }
            numbers.extend(level.majority_right_letters);
        }
        for axis in found.calibration.values() {
            numbers.push(axis.temperature);
            numbers.extend(axis.refused.map(|refused| refused.temperature));
            numbers.extend(axis.log_loss);
            numbers.extend(axis.calibrated_log_loss);
            numbers.extend(axis.expected_calibration_error);
            numbers.extend(axis.calibrated_expected_calibration_error);
            numbers.extend(axis.band.logits.iter().chain(&axis.band.lower).chain(&axis.band.upper));
        }
        if let Some(sets) = &found.sets {
            for set in sets.axes.values().chain(&sets.types) {
                numbers.push(set.threshold);
                numbers.extend(set.coverage.value.iter().chain(&set.mean_size));
                numbers.extend(set.coverage.interval.iter().flatten());
            }
        }
        numbers.into_iter().all(f64::is_finite)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_number_is_finite_whatever_was_judged(
            axes in prop::sample::subsequence(Axis::ALL.to_vec(), 0..=4),
            logits in prop::collection::vec(
                prop_oneof![
                    prop::num::f64::ANY,
                    -3.0..3.0f64,
                    Just(0.0),
                    Just(f64::NAN),
                    Just(f64::INFINITY),
                ],
                0..80,
            ),
            types in prop::collection::vec(0usize..16, 0..30),
            authors in prop::collection::vec(prop::option::of(0u32..6), 0..30),
            seed: u64,
        ) {
            let all: Vec<Type> = Type::all().collect();
            let types: Vec<Type> = types.into_iter().map(|index| all[index]).collect();
            let judged = Judged { axes: &axes, logits: &logits, types: &types, authors: &authors };
            let found = assess_with(&judged, 0, seed, 50);
            prop_assert!(all_finite(&found), "{found:?}");
            prop_assert_eq!(found.by_text.units as usize, judged.texts());
        }
    }
}
