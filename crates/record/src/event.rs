use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Assessment, AxisMetrics, Baseline, CrossValidation, Estimate, Problem};

/// What a run tells while it goes on: a line of `mbti train --json`, and a row of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
#[ts(export)]
pub enum Event {
    Estimate(Estimate),
    Baseline(Baseline),
    Step(Step),
    Evaluation(Evaluation),
    Notice(Notice),
    Assessment(Assessment),
    CrossValidation(Box<CrossValidation>),
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
    /// Loss of the texts of this step; the mean over the steps since the last one that was told.
    pub loss: f64,
    pub learning_rate: f64,
    /// Norm of all gradients together, before it is limited.
    pub grad_norm: Option<f64>,
    /// Texts a second, over the training loop since the run began.
    pub samples_per_second: f64,
    /// Real tokens a second; there is no padding to count.
    pub tokens_per_second: f64,
    /// Seconds until the last step, evaluations included as far as their length is known.
    pub seconds_left: f64,
    /// Memory that the engine holds now, in MiB; null where the system does not tell.
    pub memory_mib: Option<f64>,
}

/// Something that the user should know and that does not end the run, such as a micro-batch that
/// was halved for want of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Notice {
    /// Optimizer steps done.
    pub step: u32,
    pub problem: Problem,
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
    /// Memory of the optimizer's state, in MiB.
    pub optimizer_mib: f64,
    /// The step whose weights were kept as the best, where they are not the last ones.
    pub best_step: Option<u32>,
    /// Whether the run ended early because its evaluations became no better.
    pub stopped_early: bool,
    pub axes: BTreeMap<Axis, AxisMetrics>,
}
