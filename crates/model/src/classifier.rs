pub(crate) use compute::Pool;

use crate::{
    layers::{Linear, Norm},
    ops::Activation,
};

/// From a text's tokens to logits, as the family's class for sequence classification in Transformers has it. All of it is in
/// `f32` and always learns.
pub(crate) struct Classifier {
    /// Which tokens of a text it reads.
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
