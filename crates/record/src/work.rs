use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::TransferProgress;

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[ts(export)]
pub enum WorkProgress {
    /// Of a source that is read: bytes of how many, and the texts that were kept so far.
    Bytes { done: i64, total: i64, texts: i64 },
    /// Of a data set: texts of how many.
    Texts { done: i64, total: i64 },
    /// Of a download or an upload.
    Transfer(TransferProgress),
}
