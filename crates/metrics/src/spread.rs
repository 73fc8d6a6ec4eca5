use std::collections::BTreeMap;

use mbti::Axis;
use record::{FoldFigures, FoldSpread, Metric, Spread};

/// How far the figures of folds lie apart: of each axis and metric that at least one of them has.
pub fn spread_of_folds(folds: &[&FoldFigures]) -> FoldSpread {
    let axes: std::collections::BTreeSet<Axis> =
        folds.iter().flat_map(|fold| fold.axes.keys().copied()).collect();
    let of = |axis: Axis, metric: Metric| {
        let values = folds.iter().filter_map(|fold| fold.axes.get(&axis)?.get(metric));
        Some((metric, spread(&values.collect::<Vec<f64>>())?))
    };
    axes.into_iter()
        .map(|axis| {
            (axis, Metric::ALL.iter().filter_map(|&metric| of(axis, metric)).collect::<BTreeMap<_, _>>())
        })
        .collect()
}

/// The mean of some figures, the standard deviation of a sample, and their ends; none of no figures.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(Spread {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        mean,
        standard_deviation: (count > 1).then(|| (squares / (count as f64 - 1.0)).sqrt()),
        lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
        highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use record::AxisMetrics;

    use super::*;

    #[test]
    fn the_spread_is_the_mean_and_the_deviation_of_a_sample() {
        // numpy.std([2, 4, 4, 4, 5, 5, 7, 9], ddof=1) is 2.138089935299395.
        let found = spread(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((found.count, found.mean, found.lowest, found.highest), (8, 5.0, 2.0, 9.0));
        assert!((found.standard_deviation.unwrap() - 2.138_089_935_299_395).abs() < 1e-12);
        assert_eq!(spread(&[0.5]).unwrap().standard_deviation, None);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_fold_without_a_value_is_not_counted_and_a_metric_that_none_has_is_absent() {
        let axis = Axis::JudgingPerceiving;
        let figures = |accuracy, balanced_accuracy| FoldFigures {
            units: 3,
            axes: BTreeMap::from([(
                axis,
                AxisMetrics { accuracy, balanced_accuracy, ..AxisMetrics::default() },
            )]),
        };
        let folds = [figures(Some(0.5), None), figures(Some(1.0), Some(0.75))];
        let found = &spread_of_folds(&folds.iter().collect::<Vec<_>>())[&axis];
        assert_eq!((found[&Metric::Accuracy].count, found[&Metric::Accuracy].mean), (2, 0.75));
        assert_eq!(found[&Metric::BalancedAccuracy].count, 1);
        assert!(!found.contains_key(&Metric::Mcc));
    }
}
