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
