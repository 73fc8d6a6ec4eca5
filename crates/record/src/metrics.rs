use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How well one axis is told on the validation texts. A metric that has no value, such as the
/// MCC of one class only, is null and never 0 or NaN. Class 1, the positive class of `f1`, is
/// the second letter of the axis in the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AxisMetrics {
    pub accuracy: Option<f64>,
    pub f1: Option<f64>,
    pub macro_f1: Option<f64>,
    pub balanced_accuracy: Option<f64>,
    pub mcc: Option<f64>,
    /// The accuracy of always answering the commoner letter: what a model must beat.
    pub majority_accuracy: Option<f64>,
    /// Texts by true class, then predicted class: `[[0→0, 0→1], [1→0, 1→1]]`.
    pub confusion: [[u32; 2]; 2],
}
