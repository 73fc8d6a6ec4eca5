use mbti::Axis;
use record::Calibration;

use crate::{
    axis_metrics,
    halves::halves,
    platt::Points,
    probability::probability,
    sample::{AxisSample, Sample},
    temperature,
    uncertainty_band::band,
    units::Units,
};

/// The texts of one half: their logits, classes and units, all [texts]. The units are numbered
/// anew from 0.
struct Half {
    logits: Vec<f64>,
    classes: Vec<bool>,
    units: Vec<usize>,
    count: usize,
}

/// The calibration of every axis on which both halves of the units have two units, both classes
/// and more than one logit. `texts` and `authors` are the samples of both levels; the latter's
/// classes say which units are like one another.
pub(crate) fn calibrations<'a>(
    texts: &'a Sample,
    authors: &'a Sample,
    units: &'a Units,
    seed: u64,
) -> impl Iterator<Item = (Axis, Calibration)> + 'a {
    texts.axes.iter().zip(&authors.axes).filter_map(move |(texts, authors)| {
        let fitted = halves(&authors.classes, texts.axis.index(), seed);
        Some((texts.axis, calibration(texts, units, &fitted, seed)?))
    })
}

fn calibration(axis: &AxisSample, units: &Units, fitted: &[bool], seed: u64) -> Option<Calibration> {
    let fit = half(axis, units, fitted, true)?;
    let judge = half(axis, units, fitted, false)?;
    let temperature = temperature::fit(&fit.logits, &fit.classes);
    let judged = |temperature| {
        let probabilities: Vec<f64> =
            judge.logits.iter().map(|&logit| probability(logit, temperature)).collect();
        axis_metrics(&judge.classes, &probabilities)
    };
    let (as_given, calibrated) = (judged(1.0), judged(temperature));
    let lowest = axis.logits.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = axis.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let points = Points::new(&fit.logits, &fit.classes, &fit.units);
    Some(Calibration {
        temperature,
        at_limit: temperature::BOUNDS.contains(&temperature),
        fitted_texts: u32::try_from(fit.logits.len()).unwrap_or(u32::MAX),
        judged_texts: u32::try_from(judge.logits.len()).unwrap_or(u32::MAX),
        log_loss: as_given.log_loss,
        calibrated_log_loss: calibrated.log_loss,
        expected_calibration_error: as_given.expected_calibration_error,
        calibrated_expected_calibration_error: calibrated.expected_calibration_error,
        band: band(&points, fit.count, [lowest, highest], axis.axis.index(), seed),
    })
}

/// The texts of the units of one half; none where nothing can be fitted on them or judged by them.
fn half(axis: &AxisSample, units: &Units, fitted: &[bool], wanted: bool) -> Option<Half> {
    let mut half = Half { logits: Vec::new(), classes: Vec::new(), units: Vec::new(), count: 0 };
    let mut numbers = vec![None; units.count];
    for ((&logit, &class), &unit) in axis.logits.iter().zip(&axis.classes).zip(&units.of_text) {
        if fitted[unit] != wanted {
            continue;
        }
        let number = *numbers[unit].get_or_insert_with(|| {
            half.count += 1;
            half.count - 1
        });
        half.logits.push(logit);
        half.classes.push(class);
        half.units.push(number);
    }
    let differ = half.logits.windows(2).any(|two| two[0] != two[1]);
    let both_classes = half.classes.windows(2).any(|two| two[0] != two[1]);
    (half.count >= 2 && differ && both_classes).then_some(half)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{interval, units::units};

    const AUTHORS: usize = 60;
    const TEXTS: usize = 20;

    /// The calibration of one axis of so many authors, half of each class, with a logit of
    /// `signal` towards their class, one of the author's own and one of the text's.
    fn of_made_up(signal: f64, seed: u64) -> Option<Calibration> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let (mut logits, mut classes, mut authors) = (Vec::new(), Vec::new(), Vec::new());
        for author in 0..AUTHORS {
            let class = author % 2 == 0;
            let own = noise();
            for _ in 0..TEXTS {
                logits.push(signal * if class { 1.0 } else { -1.0 } + own + noise());
                classes.push(class);
                authors.push(Some(author as u32));
            }
        }
        let units = units(&authors, AUTHORS * TEXTS);
        let fitted = halves(&(0..AUTHORS).map(|author| author % 2 == 0).collect::<Vec<_>>(), 0, seed);
        calibration(
            &AxisSample { axis: Axis::ExtraversionIntroversion, classes, logits },
            &units,
            &fitted,
            seed,
        )
    }

    #[test]
    fn a_model_that_tells_nothing_may_mean_either_class_at_every_logit() {
        let (mut held, mut all) = (0, 0);
        for seed in 0..100 {
            let band = of_made_up(0.0, seed).map(|found| found.band).unwrap_or_default();
            assert_eq!(band.logits.len(), 33);
            held += band
                .lower
                .iter()
                .zip(&band.upper)
                .filter(|(low, high)| **low <= 0.5 && 0.5 <= **high)
                .count();
            all += band.logits.len();
        }
        assert!(held * 10 >= all * 9, "the band holds one half at {held} of {all} logits");
    }

    #[test]
    fn a_model_that_tells_much_is_sure_away_from_0() {
        for seed in 0..10 {
            let band = of_made_up(3.0, seed).map(|found| found.band).unwrap_or_default();
            assert!(interval(&band, 3.0, 0.9)[0] > 0.6, "{band:?}");
            assert!(interval(&band, -3.0, 0.1)[1] < 0.4, "{band:?}");
        }
    }

    #[test]
    fn logits_that_tell_the_opposite_are_said_to_have_no_temperature() {
        for seed in 0..10 {
            let of = |signal| of_made_up(signal, seed).map(|found| (found.at_limit, found.temperature));
            assert_eq!(of(-2.0), Some((true, 100.0)));
            assert!(of(2.0).is_some_and(|(at_limit, _)| !at_limit));
        }
    }

    #[test]
    fn logits_that_are_too_large_are_cooled_and_lose_less() {
        for seed in 0..10 {
            // Two classes at ±1 with a variance of 2 have true log odds of the logit itself, so
            // that at ±0.2 the logits are five times too large.
            let Some(found) = of_made_up(0.2, seed) else { unreachable!("both halves have both classes") };
            assert!(found.temperature > 1.5, "{found:?}");
            assert!(found.calibrated_log_loss < found.log_loss, "{found:?}");
            assert!(
                found.calibrated_expected_calibration_error < found.expected_calibration_error,
                "{found:?}"
            );
            assert_eq!((found.fitted_texts, found.judged_texts), (600, 600));
        }
    }
}
