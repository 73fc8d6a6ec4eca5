use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{AxisMetrics, Metric};

/// The whole judgement of a model on the validation texts, made once, at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Assessment {
    /// Optimizer steps that the judged weights had learned.
    pub step: u32,
    /// Every text counts as one.
    pub by_text: Level,
    /// Every author counts as one, judged by the mean of the logits of their texts, and known by
    /// the type that most of their texts have; null where no authors are named.
    pub by_author: Option<Level>,
    /// How far the probabilities can be trusted; an axis is absent where nothing could be fitted,
    /// as when the validation texts have only one of its letters.
    pub calibration: BTreeMap<Axis, Calibration>,
    /// Sets of answers with a promised coverage; null for a run from before there were any, and
    /// where nothing was judged.
    #[serde(default)]
    pub sets: Option<PredictionSets>,
}

/// The metrics over texts or over authors, with intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Level {
    /// Texts or authors that were judged.
    pub units: u32,
    pub axes: BTreeMap<Axis, AxisAssessment>,
    /// How often every letter is right: of the 16 types where all four axes were learned.
    pub exact_match: Estimated,
    /// Mean number of right letters, of as many as there are axes.
    pub right_letters: Estimated,
    /// The mean number of right letters of always answering the commoner ones.
    pub majority_right_letters: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AxisAssessment {
    pub metrics: AxisMetrics,
    /// 95 % bootstrap intervals over authors (over texts where no authors are named), from 1,000
    /// resamples; a metric is absent where it has no value in too many of them.
    #[ts(type = "{ [key in import(\"./Metric\").Metric]?: [number, number] }")]
    pub intervals: BTreeMap<Metric, [f64; 2]>,
}

/// A number with its 95 % interval; both null where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Estimated {
    pub value: Option<f64>,
    pub interval: Option<[f64; 2]>,
}

/// What is known of an axis' probabilities. Fitted on one half of the validation authors (of the
/// texts where none are named), and judged on the other half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Calibration {
    /// Logits are divided by this before they become probabilities; 1 where the one that was
    /// fitted is refused.
    pub temperature: f64,
    /// Whether the fitted one is the highest or the lowest which is looked for: the best would be
    /// infinite, as the logits tell nothing or the opposite, or 0, as they tell everything.
    #[serde(default)]
    pub at_limit: bool,
    /// The fitted temperature, where it is refused, and why; null where it is applied.
    #[serde(default)]
    pub refused: Option<RefusedTemperature>,
    /// Texts that it was fitted on, and texts that judge it.
    pub fitted_texts: u32,
    pub judged_texts: u32,
    /// On the texts that judge: with the probabilities as the network gives them, and with the
    /// fitted temperature, also where it is refused.
    pub log_loss: Option<f64>,
    pub calibrated_log_loss: Option<f64>,
    pub expected_calibration_error: Option<f64>,
    pub calibrated_expected_calibration_error: Option<f64>,
    pub band: UncertaintyBand,
}

/// A temperature that was fitted and is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RefusedTemperature {
    pub temperature: f64,
    pub why: WhyRefused,
}

/// Why a fitted temperature is not applied; the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum WhyRefused {
    /// The logits do not tell the letters apart by more than chance, or the network gives every
    /// text the same letter and the temperature would only make it surer of that.
    NothingTold,
    /// It is below 1/10 or above 10.
    OutOfRange,
    /// On texts that it was not fitted on, it does not lower the log loss by more than the error
    /// of that difference.
    NoBetter,
}

/// Sets of answers by split-conformal prediction: of a text by an author whom nobody has seen, the
/// right answer is in the set with at least the promised probability, on average over authors and
/// over which of them were calibrated on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct PredictionSets {
    /// The promised probability.
    pub coverage: f64,
    /// Authors that the thresholds are from, and others whom the coverage was measured on; texts
    /// where no authors are named.
    pub calibration_units: u32,
    pub judged_units: u32,
    /// With fewer of the former nothing is promised.
    pub least_units: u32,
    /// Of the two letters of each axis; empty where nothing is promised.
    pub axes: BTreeMap<Axis, SetThreshold>,
    /// Of all types that the learned axes make; null where nothing is promised, and for one axis.
    pub types: Option<SetThreshold>,
}

/// What belongs to a set, and what such sets were like on authors that they were not made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SetThreshold {
    /// The highest score of an answer in the set; an answer's score is minus the natural logarithm
    /// of the probability that the network gives it, without a temperature.
    pub threshold: f64,
    /// The part of the texts whose set holds the right answer, each author counting as one.
    pub coverage: Estimated,
    /// Mean number of answers in a set, each author counting as one.
    pub mean_size: Option<f64>,
}

/// For rising logits of class 1, as the network gives them, the 95 % interval of the probability
/// of class 1, from refitting on resampled authors. Between two logits it is interpolated; beyond
/// the ends the end counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct UncertaintyBand {
    pub logits: Vec<f64>,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
}

/// What the bag of words made of the same split, so that every run shows whether the language
/// model is worth it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Baseline {
    /// Seconds that it took to learn and to be judged.
    pub seconds: f64,
    pub assessment: Assessment,
}
