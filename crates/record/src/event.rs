use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::AxisMetrics;

/// What a run tells while it goes on: a line of `mbti train --json`, and a row of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
#[ts(export)]
pub enum Event {
    Step(Step),
    Evaluation(Evaluation),
    Finished(Finished),
}

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Step {
    /// Optimizer steps done, from 1.
    pub step: u32,
    /// Passes over the training texts done, as a fraction.
    pub epoch: f64,
    /// Loss of the texts of this step.
    pub loss: f64,
    pub learning_rate: f64,
    /// Texts a second, over the training loop since the run began.
    pub samples_per_second: f64,
    /// Real tokens a second; there is no padding to count.
    pub tokens_per_second: f64,
    /// Seconds until the last step, evaluations included as far as their length is known.
    pub seconds_left: f64,
}

/// The validation texts, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Evaluation {
    pub step: u32,
    /// Loss over the validation texts, with the weights of the training loss.
    pub loss: Option<f64>,
    pub axes: BTreeMap<Axis, AxisMetrics>,
}

/// The end of a run that was finished or stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Finished {
    pub run: i64,
    pub steps: u32,
    /// Whether the run was stopped before its last step.
    pub stopped: bool,
    /// Seconds in the training loop alone.
    pub train_seconds: f64,
    pub tokens_per_second: f64,
    pub samples_per_second: f64,
    /// The most memory the engine held, in MiB; null where the system does not tell.
    pub peak_rss_mib: Option<f64>,
    pub axes: BTreeMap<Axis, AxisMetrics>,
}
