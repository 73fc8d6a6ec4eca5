use std::collections::BTreeMap;

use mbti::{Axis, Letter};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a model says of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Prediction {
    /// The type, with a hyphen in place of each letter whose axis the model was not trained on.
    #[serde(rename = "type")]
    pub mbti: String,
    pub axes: BTreeMap<Axis, AxisPrediction>,
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
    /// Its probability, from 0.5 to 1.
    pub probability: f64,
}
