use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::{
    Mode,
    error::Result,
    layers::{Linear, Norm},
    ops::{Activation, activate, dropout},
};

/// Which tokens of a text the head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// The first, `[CLS]`.
    First,
    /// The last, the only one of a decoder that has seen all others.
    Last,
    /// The mean of all.
    Mean,
}

impl Pool {
    /// The row of each text that is read, among the tokens of all texts; none where all are.
    pub(crate) fn rows(self, offsets: &[u32]) -> Option<Arc<[u32]>> {
        match self {
            Pool::Mean => None,
            Pool::First => Some(offsets.iter().take(offsets.len().saturating_sub(1)).copied().collect()),
            Pool::Last => Some(offsets.iter().skip(1).map(|end| end.saturating_sub(1)).collect()),
        }
    }
}

/// From a pooled text to logits, as the family's class for sequence classification in
/// Transformers has it. All of it is in `f32` and always learns.
pub(crate) struct Classifier {
    pub(crate) pool: Pool,
    /// Dropout on what the dense layer reads.
    pub(crate) pooled_dropout: f32,
    pub(crate) dense: Option<Dense>,
    /// Dropout on what the last layer reads.
    pub(crate) dropout: f32,
    pub(crate) output: Linear,
}

/// The layer between pooling and logits, where a family has one.
pub(crate) struct Dense {
    pub(crate) linear: Linear,
    pub(crate) activation: Activation,
    pub(crate) norm: Option<Norm>,
}

impl Classifier {
    /// Logits `[texts, outputs]` of pooled rows `[texts, hidden]`.
    pub(crate) fn forward(&self, pooled: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = dropout(&pooled.to_dtype(DType::F32)?, self.pooled_dropout, mode.at(1))?;
        if let Some(dense) = &self.dense {
            x = activate(&dense.linear.forward(&x, mode)?, dense.activation)?;
            if let Some(norm) = &dense.norm {
                x = norm.forward(&x, mode)?;
            }
        }
        self.output.forward(&dropout(&x, self.dropout, mode.at(2))?, mode)
    }
}
