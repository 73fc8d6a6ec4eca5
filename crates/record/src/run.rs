use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{
    Assessment, AxisMetrics, Baseline, CrossValidation, Estimate, Evaluation, Notice, Origins, Problem,
    Pushed, Step, TrainConfig, UsedDevice,
};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RunStatus {
    /// Written down, its engine not yet at work.
    Queued,
    Running,
    Finished,
    /// Ended by the user before its last step; what it had learned is kept.
    Stopped,
    /// Its engine went away without a word.
    Interrupted,
    Failed,
}

impl RunStatus {
    pub const ALL: [RunStatus; 6] = [
        RunStatus::Queued,
        RunStatus::Running,
        RunStatus::Finished,
        RunStatus::Stopped,
        RunStatus::Interrupted,
        RunStatus::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Queued => "queued",
            RunStatus::Running => "running",
            RunStatus::Finished => "finished",
            RunStatus::Stopped => "stopped",
            RunStatus::Interrupted => "interrupted",
            RunStatus::Failed => "failed",
        }
    }

    /// Whether an engine works on the run or is about to.
    pub fn is_active(self) -> bool {
        matches!(self, RunStatus::Queued | RunStatus::Running)
    }
}

/// One run of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Run {
    pub id: i64,
    pub status: RunStatus,
    pub config: TrainConfig,
    /// Whether it learned from the made-up sample.
    pub made_up: bool,
    pub split: Option<SplitSummary>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    /// Seconds in the training loop alone.
    pub train_seconds: Option<f64>,
    pub total_steps: Option<u32>,
    /// The newest step that was written down.
    pub last_step: Option<Step>,
    /// The metrics of the weights that were kept, once the run is finished, and before that of the
    /// newest evaluation; empty before the first.
    pub axes: BTreeMap<Axis, AxisMetrics>,
    pub tokens_per_second: Option<f64>,
    pub peak_rss_mib: Option<f64>,
    /// Why it failed.
    pub failure: Option<Problem>,
    /// The folder to predict with, when there is one.
    pub model_folder: Option<String>,
    pub stop_requested: bool,
    /// Whether the user wants the engine to wait.
    pub pause_requested: bool,
    /// Whether the engine waits, with its work saved.
    pub paused: bool,
    /// What it was expected to need, before it began.
    pub estimate: Option<Estimate>,
    /// What the bag of words made of the same split.
    pub baseline: Option<Baseline>,
    /// The whole judgement, once the run has ended.
    pub assessment: Option<Assessment>,
    /// The step whose weights were kept, where they are not the last ones.
    pub best_step: Option<u32>,
    pub optimizer_mib: Option<f64>,
    /// Where its model and its texts are from.
    pub origins: Origins,
    /// Where its model was pushed to last.
    pub pushed: Option<Pushed>,
    /// What it computes on, or did when it was last at work; none before it was.
    pub used_device: Option<UsedDevice>,
    /// The notices by which it goes nowhere, those of `ProblemCode::is_collapse`, the oldest first.
    #[serde(default)]
    pub collapse: Vec<Problem>,
    /// The cross-validation, a run itself, that this run is a fold of.
    pub fold_of: Option<i64>,
    /// What all folds told together, where this is a cross-validation that is finished.
    pub cross_validation: Option<CrossValidation>,
}

/// How the texts were parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum SplitMethod {
    /// No author stands on both sides.
    ByAuthor,
    /// The data set names no authors, so that single texts were parted.
    ByText,
    /// The user named a validation set.
    Given,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SplitSummary {
    pub method: SplitMethod,
    pub seed: u32,
    pub train_examples: i64,
    pub valid_examples: i64,
    pub train_authors: Option<i64>,
    pub valid_authors: Option<i64>,
    /// Authors who stand on both sides: 0 unless the user's own validation set shares some.
    pub shared_authors: i64,
}

/// A run with its curve, as the window follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RunProgress {
    pub run: Run,
    /// The steps after the one that the caller has.
    pub steps: Vec<Step>,
    pub evaluations: Vec<Evaluation>,
    /// Whether the run's model is an adapter, which stands on its base model until it is merged.
    pub adapter: bool,
    /// Whether the run has ended early and has a checkpoint to go on from.
    pub resumable: bool,
    pub notices: Vec<Notice>,
    /// The folds that were begun, by their numbers, where this is a cross-validation.
    pub folds: Vec<FoldProgress>,
}

/// Where one fold of a cross-validation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FoldProgress {
    /// From 1.
    pub fold: u32,
    pub run: i64,
    pub status: RunStatus,
    /// Optimizer steps that were written down.
    pub step: u32,
    /// Null before the fold's engine has planned them.
    pub total_steps: Option<u32>,
}
