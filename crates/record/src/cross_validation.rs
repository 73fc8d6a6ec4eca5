use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{AxisMetrics, JudgedTexts, Level, Metric};

/// What a cross-validation found: every text was judged once, by a model that learned from no text of its author (or not
/// from this text, where no author is kept together).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct CrossValidation {
    /// The run that is the cross-validation.
    pub run: i64,
    /// The judgement on the answers of all folds together, and that of the bags of words that learned from the same texts.
    pub pooled: JudgedTexts,
    /// By their numbers.
    pub folds: Vec<FoldJudgement>,
    /// How far the figures of the folds lie apart, by text.
    #[ts(
        type = "{ [key in import(\"./Axis\").Axis]?: { [key in import(\"./Metric\").Metric]?: import(\"./Spread\").Spread } }"
    )]
    pub by_text: FoldSpread,
    /// The same by author; null where no authors are named.
    #[ts(
        type = "{ [key in import(\"./Axis\").Axis]?: { [key in import(\"./Metric\").Metric]?: import(\"./Spread\").Spread } } | null"
    )]
    pub by_author: Option<FoldSpread>,
}

/// What one fold's own run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FoldJudgement {
    /// From 1.
    pub fold: u32,
    pub run: i64,
    pub by_text: FoldFigures,
    /// Null where no authors are named.
    pub by_author: Option<FoldFigures>,
}

/// The metrics of one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FoldFigures {
    /// Texts or authors that were judged.
    pub units: u32,
    pub axes: BTreeMap<Axis, AxisMetrics>,
}

impl From<&Level> for FoldFigures {
    fn from(level: &Level) -> FoldFigures {
        let axes = level.axes.iter().map(|(&axis, found)| (axis, found.metrics)).collect();
        FoldFigures { units: level.units, axes }
    }
}

/// For each axis and metric how far the figures of the folds lie apart; a metric that no fold has is absent.
pub type FoldSpread = BTreeMap<Axis, BTreeMap<Metric, Spread>>;

/// How far some figures lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Spread {
    /// Figures that there are: a fold whose texts have only one letter has no balanced accuracy, for example.
    pub count: u32,
    pub mean: f64,
    /// Of a sample, with n − 1 in the denominator; null for one figure.
    pub standard_deviation: Option<f64>,
    pub lowest: f64,
    pub highest: f64,
}
