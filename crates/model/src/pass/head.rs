//! The last norm, pooling and the classifier, by candle and its graph: they work on a row a text.

use std::sync::Arc;

use candle_core::{Result, Tensor, Var};
use compute::{Backend, Matrix};

use crate::{
    Mode,
    callbacks::Loss,
    classifier::Pool,
    error,
    gradients::{Gradients, zeros},
    packed::Packed,
    transformer::Transformer,
    weights::Parameter,
};

/// The rows that the head reads; none for all.
fn rows_of(transformer: &Transformer, packed: &Packed) -> Option<Arc<[u32]>> {
    transformer.classifier.pool.rows(&packed.offsets)
}

/// What the head reads of x `[total, hidden]`.
fn read<B: Backend>(backend: &B, x: &Matrix<B>, rows: Option<&Arc<[u32]>>) -> Result<Tensor> {
    let Some(rows) = rows else { return backend.to_tensor(x) };
    let mut picked = Matrix::new(backend, rows.len(), x.cols)?;
    backend.gather_rows(picked.all_mut().values, x.all(), &backend.ids(rows)?)?;
    backend.to_tensor(&picked)
}

/// Logits `[texts, outputs]` of what the head reads.
fn logits(transformer: &Transformer, read: &Tensor, packed: &Packed, mode: Mode) -> error::Result<Tensor> {
    // A norm works on each token alone, so that only the tokens that are read need one.
    let normed = match &transformer.final_norm {
        Some(norm) => norm.forward(read, mode)?,
        None => read.clone(),
    };
    let pooled = match transformer.classifier.pool {
        Pool::Mean => crate::ops::mean(&normed, packed.offsets.clone())?,
        Pool::First | Pool::Last => normed,
    };
    transformer.classifier.forward(&pooled, mode)
}

/// Logits `[texts, outputs]`, without a graph.
pub(super) fn forward<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    x: &Matrix<B>,
    packed: &Packed,
    mode: Mode,
) -> error::Result<Tensor> {
    let rows = rows_of(transformer, packed);
    logits(transformer, &read(backend, x, rows.as_ref())?, packed, mode)
}

/// The loss, and the gradient of x where it is wanted; those of the head's weights go to where they are summed.
#[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
pub(super) fn learn<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    x: Matrix<B>,
    packed: &Packed,
    mode: Mode,
    wanted: bool,
    loss: &Loss,
    parameters: &[Parameter],
    gradients: &mut Gradients<B>,
) -> error::Result<(Tensor, Option<Matrix<B>>)> {
    let rows = rows_of(transformer, packed);
    let (total, hidden) = (x.rows, x.cols);
    let read = read(backend, &x, rows.as_ref())?;
    drop(x);
    // A leaf of the graph where its gradient is wanted for what is below.
    let leaf = wanted.then(|| Var::from_tensor(&read)).transpose()?;
    let read = leaf.as_ref().map_or(&read, Var::as_tensor);
    let found = loss(&logits(transformer, read, packed, mode)?)?;
    let mut grads = found.backward()?;
    let to_read = leaf.and_then(|leaf| grads.remove(leaf.as_tensor()));
    gradients.add_store(parameters, grads)?;
    let Some(to_read) = to_read else { return Ok((found.detach(), None)) };
    let to_read = backend.to_matrix(&to_read)?;
    let Some(rows) = rows else { return Ok((found.detach(), Some(to_read))) };
    let mut to_x = zeros(backend, total, hidden)?;
    backend.scatter(to_x.all_mut(), &backend.ids(&rows)?, to_read.all().values)?;
    Ok((found.detach(), Some(to_x)))
}
