use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::Origin;

/// A model that a run can start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Model {
    pub name: String,
    /// `model_type` of its config.json: `phi3`, `llama`, `mistral`, `qwen2`, `qwen3`, `bert`,
    /// `roberta`, `xlm-roberta`, `distilbert`, `modernbert`, or `words` for the built-in bag of
    /// words.
    pub family: String,
    /// Number of weights; null for `words`, which starts empty.
    pub parameters: Option<i64>,
    pub bytes: i64,
    pub folder: String,
    /// Whether it comes with the program and cannot be removed.
    pub built_in: bool,
    pub created_at: String,
    /// Where on the Hub it is from; null of a folder.
    pub origin: Option<Origin>,
}
