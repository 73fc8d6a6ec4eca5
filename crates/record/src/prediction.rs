use std::collections::BTreeMap;

use mbti::{Axis, Letter};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::WhyRefused;

/// What a model says of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Prediction {
    /// The type, with a hyphen in place of each letter whose axis the model was not trained on.
    #[serde(rename = "type")]
    pub mbti: String,
    pub axes: BTreeMap<Axis, AxisPrediction>,
    /// Answers of which one is right with a promised probability; null for a model that was not
    /// judged so.
    #[serde(default)]
    pub sets: Option<AnswerSets>,
    /// Name of the model that the run started from.
    pub model: String,
    pub run: i64,
    /// Time for tokenizing and the forward pass.
    pub milliseconds: f64,
    /// Tokens that were read, and whether the text was longer than the model reads.
    pub tokens: u32,
    pub truncated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AxisPrediction {
    /// The likelier letter.
    pub letter: Letter,
    /// Its probability, from 0.5 to 1, with the temperature that was fitted at the end of the run.
    /// Where that was refused because the logits tell nothing, or for its size, it is no higher
    /// than the upper end of the interval.
    pub probability: f64,
    /// The 95 % interval of this probability, as far as the validation authors tell it; null for a
    /// model that was not calibrated.
    pub interval: Option<[f64; 2]>,
    /// Whether either letter may be the right one: the interval holds 0.5, or the model was found
    /// to tell nothing of this axis.
    pub unsure: bool,
    /// Why the temperature that was fitted is not applied; null where it is applied or none was fitted.
    #[serde(default)]
    pub refused: Option<WhyRefused>,
    /// Whether the temperature that was fitted is the highest or the lowest which is looked for, so that the best one lies
    /// beyond.
    #[serde(default)]
    pub limited: bool,
}

/// Sets of answers with a promised coverage, made from the thresholds of `PredictionSets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AnswerSets {
    /// The probability with which a set holds the right answer.
    pub coverage: f64,
    /// Authors (texts where none are named) that this was calibrated on, and how many it takes.
    pub calibration_units: u32,
    pub least_units: u32,
    /// The letters of each axis, the likelier first; empty where nothing is promised.
    pub axes: BTreeMap<Axis, Vec<Letter>>,
    /// Types, the likeliest first, with a hyphen for each letter that was not learned; empty where
    /// nothing is promised, and for one axis.
    pub types: Vec<String>,
}
