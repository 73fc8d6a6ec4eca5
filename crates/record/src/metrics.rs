use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::Metric;

/// How well one axis is told on the validation texts. A metric that has no value, such as the
/// MCC of one class only, is null and never 0 or NaN. Class 1, the positive class, is the second
/// letter of the axis in the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct AxisMetrics {
    pub accuracy: Option<f64>,
    pub f1: Option<f64>,
    pub macro_f1: Option<f64>,
    pub balanced_accuracy: Option<f64>,
    pub mcc: Option<f64>,
    /// Area under the receiver operating characteristic: how often a text of class 1 gets a
    /// higher probability of it than one of class 0, ties counting half.
    pub roc_auc: Option<f64>,
    /// Mean of −ln of the probability that was given to the right letter.
    pub log_loss: Option<f64>,
    /// How far the probabilities are from the frequencies, over 15 bins of equal width
    /// (Guo et al., arXiv 1706.04599).
    pub expected_calibration_error: Option<f64>,
    /// The accuracy of always answering the commoner letter: what a model must beat.
    pub majority_accuracy: Option<f64>,
    /// Texts by true class, then predicted class: `[[0→0, 0→1], [1→0, 1→1]]`.
    pub confusion: [[u32; 2]; 2],
}

impl AxisMetrics {
    /// What always giving the commoner letter reaches, which a model must beat; of the log loss,
    /// what always giving the letters' shares reaches, as a wrong certainty would cost infinitely
    /// much. MCC has no value for a constant answer, F1 depends on which letter is the commoner
    /// one, and a calibration error of 0 is nothing to beat.
    pub fn majority(&self, metric: Metric) -> Option<f64> {
        let share = self.majority_accuracy?;
        let both = self.confusion.iter().all(|[first, second]| first + second > 0);
        match metric {
            Metric::Accuracy => Some(share),
            Metric::BalancedAccuracy | Metric::RocAuc => both.then_some(0.5),
            // The F1 of the commoner letter is 2s/(1 + s), and of the other 0.
            Metric::MacroF1 => both.then_some(share / (1.0 + share)),
            Metric::LogLoss => {
                let part = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
                Some(part(share) + part(1.0 - share))
            }
            Metric::Loss | Metric::F1 | Metric::Mcc | Metric::ExpectedCalibrationError => None,
        }
    }

    /// The value of a metric; none for the loss, which is not an axis' own.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Loss => None,
            Metric::Accuracy => self.accuracy,
            Metric::F1 => self.f1,
            Metric::MacroF1 => self.macro_f1,
            Metric::BalancedAccuracy => self.balanced_accuracy,
            Metric::Mcc => self.mcc,
            Metric::RocAuc => self.roc_auc,
            Metric::LogLoss => self.log_loss,
            Metric::ExpectedCalibrationError => self.expected_calibration_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(majority_accuracy: f64, confusion: [[u32; 2]; 2]) -> AxisMetrics {
        AxisMetrics { majority_accuracy: Some(majority_accuracy), confusion, ..AxisMetrics::default() }
    }

    #[test]
    fn the_majority_line_is_that_of_scikit_learn_for_a_constant_answer() {
        // sklearn 1.9 on 3 texts of class 0 and 1 of class 1, all answered 0 or with their shares:
        // f1_score(average="macro") and log_loss.
        let found = of(0.75, [[1, 2], [1, 0]]);
        let near = |metric, expected: f64| {
            assert!((found.majority(metric).unwrap_or(f64::NAN) - expected).abs() < 1e-12, "{metric:?}");
        };
        near(Metric::Accuracy, 0.75);
        near(Metric::BalancedAccuracy, 0.5);
        near(Metric::RocAuc, 0.5);
        near(Metric::MacroF1, 0.42857142857142855);
        near(Metric::LogLoss, 0.5623351446188083);
        assert_eq!(found.majority(Metric::Mcc), None);
    }

    #[test]
    fn one_class_alone_leaves_nothing_to_beat_but_the_certainty() {
        let found = of(1.0, [[2, 1], [0, 0]]);
        assert_eq!(
            (found.majority(Metric::Accuracy), found.majority(Metric::LogLoss)),
            (Some(1.0), Some(0.0))
        );
        for metric in [Metric::BalancedAccuracy, Metric::RocAuc, Metric::MacroF1] {
            assert_eq!(found.majority(metric), None);
        }
        assert_eq!(AxisMetrics::default().majority(Metric::Accuracy), None);
    }
}
