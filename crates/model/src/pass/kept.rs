//! What a pass through a block gives and keeps.

use compute::{Backend, Matrix};

use super::linear::Lows;

/// What the backward needs of the forward, each `[total, …]`.
pub(super) struct Kept<B: Backend> {
    pub(super) qkv: Matrix<B>,
    /// Queries and keys before the norms over their heads, where there are any.
    pub(super) before_norms: Option<[Matrix<B>; 2]>,
    /// Of the softmax of attention.
    pub(super) softmax: B::Buffer,
    /// What attention gives, before its output layer.
    pub(super) attended: Matrix<B>,
    /// After attention and its residual, before any norm of it.
    pub(super) middle: Matrix<B>,
    /// Before the activation.
    pub(super) inner: Matrix<B>,
    /// After the feed-forward block and its residual, where a norm follows.
    pub(super) last: Option<Matrix<B>>,
    pub(super) lows: LowsOfBlock<B>,
}

/// What LoRA has in its midst.
pub(super) struct LowsOfBlock<B: Backend> {
    pub(super) projections: Lows<B>,
    pub(super) attention_output: Option<Matrix<B>>,
    pub(super) mlp_inputs: Lows<B>,
    pub(super) mlp_output: Option<Matrix<B>>,
}

/// What a norm gives, and what LoRA has in its midst of the layers that read it.
pub(super) struct Normed<B: Backend> {
    pub(super) values: Matrix<B>,
    pub(super) lows: Lows<B>,
}

impl<B: Backend> Normed<B> {
    /// Both, where there is a norm.
    pub(super) fn parts(normed: Option<Normed<B>>) -> (Option<Matrix<B>>, Option<Lows<B>>) {
        normed.map_or((None, None), |Normed { values, lows }| (Some(values), Some(lows)))
    }
}

/// What a forward gives.
pub(super) struct Forward<B: Backend> {
    /// `[total, hidden]`
    pub(super) result: Matrix<B>,
    /// Its norm, where the next block begins with one.
    pub(super) normed: Option<Normed<B>>,
    pub(super) kept: Kept<B>,
}

/// What the last layer of a half of a block gives.
pub(super) struct Closed<B: Backend> {
    pub(super) out: Matrix<B>,
    pub(super) normed: Option<Normed<B>>,
    /// What LoRA has in its midst.
    pub(super) low: Option<Matrix<B>>,
}
