use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Cleaning, ColumnMapping, Origin, SplitBy};

/// How a data set was made, so that it can be made again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct Recipe {
    /// The file or folder that its texts are from, or what generated them.
    pub source: String,
    /// Where on the Hub the source is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    pub mapping: Option<ColumnMapping>,
    pub encoding: Option<String>,
    pub delimiter: Option<String>,
    /// What was done after the import, the first first.
    pub steps: Vec<RecipeStep>,
}

/// One data set made out of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[ts(export)]
pub enum RecipeStep {
    /// A part of the texts, each type in proportion.
    Sample {
        fraction: f64,
        seed: u32,
    },
    /// One of the parts `train`, `valid` and `test`.
    Split {
        part: String,
        by: SplitBy,
        valid_fraction: f64,
        test_fraction: f64,
        seed: u32,
    },
    /// What is learned from (`train`) or judged with (`valid`) in one of several rounds, from 1.
    Fold {
        part: String,
        by: SplitBy,
        fold: u32,
        folds: u32,
        seed: u32,
    },
    Clean {
        cleaning: Cleaning,
    },
}
