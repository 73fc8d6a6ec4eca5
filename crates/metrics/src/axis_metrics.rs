use std::collections::BTreeMap;

use mbti::Axis;
use record::AxisMetrics;

use crate::{
    Judged,
    probability::sigmoid,
    scored::{metrics, scored},
};

/// The metrics of one axis from the true class and the probability of class 1 of each text: both
/// [texts]. Class 1 is predicted where its probability is above one half.
pub fn axis_metrics(classes: &[bool], probabilities: &[f64]) -> AxisMetrics {
    let items = classes.iter().zip(probabilities).map(|(&class, &p)| (0, class, p));
    metrics(&scored(items), &[1])
}

/// The metrics of every axis by text, without intervals: cheap enough for every evaluation.
pub fn axes_metrics(judged: &Judged) -> BTreeMap<Axis, AxisMetrics> {
    let of_axis = |(index, &axis): (usize, &Axis)| {
        let probabilities: Vec<f64> = judged.logits_of(index).into_iter().map(sigmoid).collect();
        (axis, axis_metrics(&judged.classes_on(axis), &probabilities))
    };
    judged.axes.iter().enumerate().map(of_axis).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn of(tn: usize, fp: usize, fn_: usize, tp: usize) -> AxisMetrics {
        let cells = [(false, 0.2, tn), (false, 0.8, fp), (true, 0.2, fn_), (true, 0.8, tp)];
        let (classes, probabilities): (Vec<_>, Vec<_>) =
            cells.into_iter().flat_map(|(class, p, count)| vec![(class, p); count]).unzip();
        axis_metrics(&classes, &probabilities)
    }

    /// The fraction of pairs in the right order, by looking at each.
    fn ordered_pairs(classes: &[bool], probabilities: &[f64]) -> Option<f64> {
        let of_class = |wanted: bool| {
            let both = classes.iter().zip(probabilities);
            both.filter(move |(class, _)| **class == wanted).map(|(_, p)| *p)
        };
        let mut pairs = (0.0, 0.0);
        for one in of_class(true) {
            for zero in of_class(false) {
                pairs.0 += if one > zero { 1.0 } else { f64::from(one == zero) / 2.0 };
                pairs.1 += 1.0;
            }
        }
        (pairs.1 > 0.0).then(|| pairs.0 / pairs.1)
    }

    fn near(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} is not {expected}")
    }

    #[test]
    fn metrics_are_those_of_scikit_learn() {
        // scikit-learn on 20, 5, 7 and 18 texts; see tests/reference/metrics.py.
        let found = of(20, 5, 7, 18);
        near(found.accuracy, 0.76);
        near(found.f1, 0.75);
        near(found.macro_f1, 0.7596153846153846);
        near(found.balanced_accuracy, 0.76);
        near(found.mcc, 0.5216720300383332);
        near(found.majority_accuracy, 0.5);
        // Twelve right by 0.8 and 0.2 are told with a confidence of 0.8 and right in 0.76.
        near(found.expected_calibration_error, 0.04);
        near(found.log_loss, -(38.0 * 0.8f64.ln() + 12.0 * 0.2f64.ln()) / 50.0);
        near(found.roc_auc, (18.0 * 20.0 + 0.5 * (18.0 * 5.0 + 7.0 * 20.0)) / 625.0);
    }

    #[test]
    fn what_has_no_value_says_so() {
        assert_eq!(of(0, 0, 0, 0), AxisMetrics::default());
        let one_class = of(3, 0, 0, 0);
        assert_eq!((one_class.accuracy, one_class.majority_accuracy), (Some(1.0), Some(1.0)));
        assert_eq!((one_class.f1, one_class.balanced_accuracy, one_class.mcc), (None, None, None));
        assert_eq!((one_class.macro_f1, one_class.roc_auc), (None, None));
        near(one_class.log_loss, -0.8f64.ln());
    }

    #[test]
    fn one_half_predicts_class_0() {
        assert_eq!(axis_metrics(&[false, true], &[0.5, 0.5]).confusion, [[1, 0], [1, 0]]);
    }

    #[test]
    fn certainty_in_what_is_wrong_costs_much_but_not_infinitely_much() {
        near(axis_metrics(&[true, false], &[0.0, 1.0]).log_loss, -f64::EPSILON.ln());
    }

    proptest! {
        #[test]
        fn roc_auc_is_the_fraction_of_pairs_in_the_right_order(
            items in prop::collection::vec((any::<bool>(), 0u8..20), 0..60),
        ) {
            let (classes, probabilities): (Vec<bool>, Vec<f64>) =
                items.into_iter().map(|(class, p)| (class, f64::from(p) / 20.0)).unzip();
            let found = axis_metrics(&classes, &probabilities).roc_auc;
            let expected = ordered_pairs(&classes, &probabilities);
            prop_assert_eq!(found.is_some(), expected.is_some());
            prop_assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
        }

        #[test]
        fn metrics_are_in_their_ranges_whatever_is_given(
            classes in prop::collection::vec(any::<bool>(), 0..20),
            probabilities in prop::collection::vec(prop::num::f64::ANY, 0..20),
        ) {
            let found = axis_metrics(&classes, &probabilities);
            let in_range = |value: Option<f64>, low: f64, high: f64| {
                value.is_none_or(|value| (low..=high).contains(&value))
            };
            for value in [found.accuracy, found.f1, found.macro_f1, found.balanced_accuracy,
                found.roc_auc, found.expected_calibration_error, found.majority_accuracy] {
                prop_assert!(in_range(value, 0.0, 1.0 + 1e-12), "{found:?}");
            }
            prop_assert!(in_range(found.mcc, -1.0 - 1e-12, 1.0 + 1e-12));
            prop_assert!(in_range(found.log_loss, 0.0, 37.0));
        }
    }
}
