use mbti::Axis;
use record::{Calibration, RefusedTemperature, WhyRefused};

use crate::{
    axis_metrics,
    halves::halves,
    platt::Points,
    probability::probability,
    sample::{AxisSample, Sample},
    significance::is_above_zero,
    temperature::{self, loss},
    uncertainty_band::band,
    units::Units,
};

/// A temperature outside of these is refused. Those of fine-tuned classifiers lie between about 0.8 and
/// 3 (Guo et al., arXiv 1706.04599; Desai and Durrett, arXiv 2003.07892); by 10 a network that is 99 %
/// sure is said to be 61 % sure, so that what it gave was no probability to begin with.
const REASONABLE: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// Parts of the units by which a temperature is judged on texts that it was not fitted on.
const FOLDS: usize = 5;

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
    let fitted_temperature = temperature::fit(&fit.logits, &fit.classes);
    let refused = why_refused(&fit, fitted_temperature)
        .map(|why| RefusedTemperature { temperature: fitted_temperature, why });
    let judged = |temperature| {
        let probabilities: Vec<f64> =
            judge.logits.iter().map(|&logit| probability(logit, temperature)).collect();
        axis_metrics(&judge.classes, &probabilities)
    };
    let (as_given, calibrated) = (judged(1.0), judged(fitted_temperature));
    let lowest = axis.logits.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = axis.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let points = Points::new(&fit.logits, &fit.classes, &fit.units);
    Some(Calibration {
        temperature: if refused.is_some() { 1.0 } else { fitted_temperature },
        at_limit: temperature::BOUNDS.contains(&fitted_temperature),
        refused,
        fitted_texts: u32::try_from(fit.logits.len()).unwrap_or(u32::MAX),
        judged_texts: u32::try_from(judge.logits.len()).unwrap_or(u32::MAX),
        log_loss: as_given.log_loss,
        calibrated_log_loss: calibrated.log_loss,
        expected_calibration_error: as_given.expected_calibration_error,
        calibrated_expected_calibration_error: calibrated.expected_calibration_error,
        band: band(&points, fit.count, [lowest, highest], axis.axis.index(), seed),
    })
}

/// Why a temperature that was fitted on these texts is not to be applied, if anything speaks against
/// it. Everything is judged by the half that it is from, so that the other one stays unseen.
fn why_refused(fit: &Half, temperature: f64) -> Option<WhyRefused> {
    let letters = fit.logits.iter().filter(|logit| **logit > 0.0).count();
    let one_letter = letters == 0 || letters == fit.logits.len();
    // Where each text gets the same letter, a temperature below 1 lowers the loss by what it makes of
    // the mean logit: it comes nearer to the letters' shares, and tells no text from another.
    if !is_above_zero(&scores(fit)) || one_letter && temperature < 1.0 {
        return Some(WhyRefused::NothingTold);
    }
    if !REASONABLE.contains(&temperature) {
        return Some(WhyRefused::OutOfRange);
    }
    (!is_above_zero(&gains(fit))).then_some(WhyRefused::NoBetter)
}

/// What each unit adds to the score of a logistic regression on the logit at a slope of 0,
/// Σ (logit − mean) (class − share): above 0 on average where higher logits go with class 1, whatever
/// the scale and the offset of the logits: [units].
fn scores(half: &Half) -> Vec<f64> {
    let texts = half.logits.len().max(1) as f64;
    let mean = half.logits.iter().sum::<f64>() / texts;
    let share = half.classes.iter().filter(|class| **class).count() as f64 / texts;
    let mut scores = vec![0.0; half.count];
    for ((&logit, &class), &unit) in half.logits.iter().zip(&half.classes).zip(&half.units) {
        scores[unit] += (logit - mean) * (f64::from(class) - share);
    }
    scores
}

/// By how much a temperature that was fitted on the other folds lowers the log loss of each unit's
/// texts against 1, summed: [units].
fn gains(half: &Half) -> Vec<f64> {
    let folds = FOLDS.min(half.count).max(1);
    let mut gains = vec![0.0; half.count];
    for fold in 0..folds {
        let texts = || 0..half.logits.len();
        let (logits, classes): (Vec<f64>, Vec<bool>) = texts()
            .filter(|&text| half.units[text] % folds != fold)
            .map(|text| (half.logits[text], half.classes[text]))
            .unzip();
        let temperature = temperature::fit(&logits, &classes);
        for text in texts().filter(|&text| half.units[text] % folds == fold) {
            let of = |temperature| loss(half.logits[text], half.classes[text], temperature);
            gains[half.units[text]] += of(1.0) - of(temperature);
        }
    }
    gains
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
    /// Draws of made-up log odds; more would take long, for their bands.
    const SEEDS: usize = 30;

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
            let Some(found) = of_made_up(-2.0, seed) else { unreachable!("both halves have both classes") };
            let refused = RefusedTemperature { temperature: 100.0, why: WhyRefused::NothingTold };
            assert_eq!((found.at_limit, found.temperature, found.refused), (true, 1.0, Some(refused)));
            assert!(of_made_up(2.0, seed).is_some_and(|found| !found.at_limit));
        }
    }

    #[test]
    fn logits_that_are_too_large_are_cooled_and_lose_less() {
        for seed in 0..10 {
            // Two classes at ±1 with a variance of 2 have true log odds of the logit itself, so
            // that at ±0.2 the logits are five times too large.
            let Some(found) = of_made_up(0.2, seed) else { unreachable!("both halves have both classes") };
            // Whether so little is more than chance is another question.
            let fitted = found.refused.map_or(found.temperature, |refused| refused.temperature);
            assert!(fitted > 1.5, "{found:?}");
            assert!(found.calibrated_log_loss < found.log_loss, "{found:?}");
            assert!(
                found.calibrated_expected_calibration_error < found.expected_calibration_error,
                "{found:?}"
            );
            assert_eq!((found.fitted_texts, found.judged_texts), (600, 600));
        }
    }

    /// Texts whose classes have the log odds that they are drawn with, by `AUTHORS` authors with a
    /// part of their own in them, and the calibration by logits that are made of these odds.
    fn of_log_odds(logit: impl Fn(f64, f64) -> f64, seed: u64) -> Calibration {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut logits, mut classes, mut authors) = (Vec::new(), Vec::new(), Vec::new());
        for author in 0..AUTHORS {
            let own = 2.0 * random.random::<f64>() - 1.0;
            for _ in 0..TEXTS {
                let odds = own + 4.0 * random.random::<f64>() - 2.0;
                let noise = 2.0 * random.random::<f64>() - 1.0;
                logits.push(logit(odds, noise));
                classes.push(random.random::<f64>() < probability(odds, 1.0));
                authors.push(Some(author as u32));
            }
        }
        let units = units(&authors, AUTHORS * TEXTS);
        let fitted = halves(&(0..AUTHORS).map(|author| author % 2 == 0).collect::<Vec<_>>(), 0, seed);
        let axis = AxisSample { axis: Axis::ExtraversionIntroversion, classes, logits };
        let found = calibration(&axis, &units, &fitted, seed);
        assert!(found.is_some());
        found.unwrap_or_else(|| unreachable!())
    }

    fn of_seeds(logit: impl Fn(f64, f64) -> f64 + Copy) -> Vec<Calibration> {
        (0..SEEDS as u64).map(|seed| of_log_odds(logit, seed)).collect()
    }

    fn refused(found: &[Calibration], why: WhyRefused) -> usize {
        found.iter().filter(|axis| axis.refused.is_some_and(|refused| refused.why == why)).count()
    }

    #[test]
    fn logits_that_are_nearly_constant_have_their_temperature_refused_and_keep_1() {
        for constant in [-0.1, 0.02, 1.5] {
            let found = of_seeds(|_, noise| constant + 0.005 * noise);
            assert!(found.iter().all(|axis| axis.refused.is_some() && axis.temperature == 1.0));
            let nothing = refused(&found, WhyRefused::NothingTold);
            assert!(nothing >= 26, "{constant}: {nothing} of {SEEDS}");
        }
    }

    #[test]
    fn an_offset_that_a_low_temperature_brings_nearer_to_the_letters_shares_is_no_reason_for_it() {
        // A trace of what is true, which a test alone may find, and a mean that is too near to 0.
        let found = of_seeds(|odds, _| 0.05 + 0.01 * odds);
        assert!(found.iter().all(|axis| axis.refused.is_some() && axis.temperature == 1.0));
    }

    #[test]
    fn large_logits_that_tell_nothing_have_their_temperature_refused() {
        let found = of_seeds(|_, noise| 8.0 * noise);
        let nothing = refused(&found, WhyRefused::NothingTold);
        assert!(nothing >= 26, "{nothing} of {SEEDS}");
        assert!(found.iter().all(|axis| axis.temperature == 1.0 || axis.temperature <= 10.0));
    }

    #[test]
    fn logits_five_times_too_large_are_cooled_by_about_five() {
        let found = of_seeds(|odds, _| 5.0 * odds);
        assert!(found.iter().all(|axis| axis.refused.is_none()));
        assert!(found.iter().all(|axis| (3.3..7.5).contains(&axis.temperature)));
        let mean = found.iter().map(|axis| axis.temperature).sum::<f64>() / SEEDS as f64;
        assert!((4.7..5.4).contains(&mean), "{mean}");
    }

    #[test]
    fn logits_five_times_too_small_that_tell_the_letters_apart_are_sharpened() {
        let found = of_seeds(|odds, _| 0.2 * odds);
        assert!(found.iter().all(|axis| axis.refused.is_none()));
        let mean = found.iter().map(|axis| axis.temperature).sum::<f64>() / SEEDS as f64;
        assert!((0.18..0.22).contains(&mean), "{mean}");
    }

    #[test]
    fn well_calibrated_logits_keep_their_probabilities() {
        let found = of_seeds(|odds, _| odds);
        // The test is one-sided at 5 %.
        let no_better = refused(&found, WhyRefused::NoBetter);
        assert!(no_better >= 26, "{no_better} of {SEEDS}");
        assert!(found.iter().all(|axis| (0.6..1.6).contains(&axis.temperature)));
    }

    #[test]
    fn a_temperature_out_of_range_is_refused_even_where_the_letters_are_told_apart() {
        for scale in [0.02, 50.0] {
            let found = of_seeds(|odds, _| scale * odds);
            assert_eq!(refused(&found, WhyRefused::OutOfRange), SEEDS, "{scale}");
        }
    }
}
