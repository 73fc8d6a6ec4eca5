/// The part of resamples in which a metric may have no value and still has an interval.
const MOST_MISSING: f64 = 0.05;

/// The percentile of rising values at a fraction from 0 to 1, interpolated linearly between the
/// two nearest as numpy does by default (Hyndman and Fan's definition 7); none of no values.
pub(crate) fn percentile(rising: &[f64], fraction: f64) -> Option<f64> {
    let last = rising.len().checked_sub(1)?;
    let place = last as f64 * fraction.clamp(0.0, 1.0);
    let below = place.floor() as usize;
    let (low, high) = (*rising.get(below)?, *rising.get((below + 1).min(last))?);
    Some(low + (high - low) * (place - below as f64))
}

/// The 95 % percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, 13.3) of
/// what a statistic is in all resamples. Where it has no value in more than 5 % of them, there
/// is none, for the others are no fair sample.
pub(crate) fn interval(resampled: impl Iterator<Item = Option<f64>>) -> Option<[f64; 2]> {
    let mut all = 0usize;
    let mut values: Vec<f64> = resampled.inspect(|_| all += 1).flatten().collect();
    if ((all - values.len()) as f64) > MOST_MISSING * all as f64 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some([percentile(&values, 0.025)?, percentile(&values, 0.975)?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 4, 8, 16], [0, 2.5, 50, 97.5, 100])
        let rising = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (fraction, expected) in [(0.0, 1.0), (0.025, 1.1), (0.5, 4.0), (0.975, 15.2), (1.0, 16.0)] {
            assert!((percentile(&rising, fraction).unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3.0], 0.975), Some(3.0));
    }

    #[test]
    fn a_metric_that_too_many_resamples_lack_has_no_interval() {
        let with_missing = |missing| interval((0..100).map(|i| if i < missing { None } else { Some(1.0) }));
        assert_eq!(with_missing(5), Some([1.0, 1.0]));
        assert_eq!(with_missing(6), None);
        assert_eq!(interval(std::iter::empty()), None);
    }
}
