use record::AxisMetrics;

/// The metrics of one axis from the true class and the predicted class of each text. They are
/// those of scikit-learn, with class 1 as the positive one; where scikit-learn would warn and
/// give 0, there is no value.
pub fn axis_metrics(classes: impl Iterator<Item = (bool, bool)>) -> AxisMetrics {
    let mut confusion = [[0u32; 2]; 2];
    for (actual, predicted) in classes {
        confusion[usize::from(actual)][usize::from(predicted)] += 1;
    }
    let [[tn, fp], [fn_, tp]] = confusion.map(|row| row.map(f64::from));
    let total = tn + fp + fn_ + tp;
    let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let f1 = ratio(2.0 * tp, 2.0 * tp + fp + fn_);
    let f1_of_class_0 = ratio(2.0 * tn, 2.0 * tn + fp + fn_);
    let recalls = ratio(tp, tp + fn_).zip(ratio(tn, tn + fp));
    AxisMetrics {
        accuracy: ratio(tp + tn, total),
        f1,
        macro_f1: f1.zip(f1_of_class_0).map(|(one, zero)| (one + zero) / 2.0),
        balanced_accuracy: recalls.map(|(one, zero)| (one + zero) / 2.0),
        mcc: ratio(tp * tn - fp * fn_, ((tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_)).sqrt()),
        majority_accuracy: ratio((tp + fn_).max(tn + fp), total),
        confusion,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(tn: usize, fp: usize, fn_: usize, tp: usize) -> AxisMetrics {
        let cells = [(false, false, tn), (false, true, fp), (true, false, fn_), (true, true, tp)];
        axis_metrics(
            cells.into_iter().flat_map(|(actual, predicted, count)| vec![(actual, predicted); count]),
        )
    }

    #[test]
    fn metrics_are_those_of_scikit_learn() {
        // scikit-learn 1.x on 20, 5, 7 and 18 texts; see tests/reference/metrics.py.
        let found = of(20, 5, 7, 18);
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}")
        };
        near(found.accuracy, 0.76);
        near(found.f1, 0.75);
        near(found.macro_f1, 0.7596153846153846);
        near(found.balanced_accuracy, 0.76);
        near(found.mcc, 0.5216720300383332);
        near(found.majority_accuracy, 0.5);
    }

    #[test]
    fn what_has_no_value_says_so() {
        let empty = of(0, 0, 0, 0);
        assert_eq!(
            (empty.accuracy, empty.macro_f1, empty.mcc, empty.majority_accuracy),
            (None, None, None, None)
        );
        let one_class = of(3, 0, 0, 0);
        assert_eq!((one_class.accuracy, one_class.majority_accuracy), (Some(1.0), Some(1.0)));
        assert_eq!((one_class.f1, one_class.balanced_accuracy, one_class.mcc), (None, None, None));
    }
}
