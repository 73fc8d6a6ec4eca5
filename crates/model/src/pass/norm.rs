//! Norms, of every row or of every head where rows have several.

use candle_core::Result;
use compute::{Backend, LowRank, Matrix, NormGradients, NormOf, Sum, Thin};

use crate::{
    Gradients,
    layers::{Norm, NormKind},
};

/// Whether a norm has a weight that learns.
pub(super) fn learns(norm: &Norm) -> bool {
    let bias = match &norm.kind {
        NormKind::Layer { bias } => bias.as_ref(),
        NormKind::RootMeanSquare => None,
    };
    [Some(&norm.weight), bias].into_iter().flatten().any(|weight| weight.place().is_some())
}

/// Calls `f` with the norm as a device takes it.
pub(super) fn with<R>(norm: &Norm, f: impl FnOnce(NormOf) -> Result<R>) -> Result<R> {
    let (kind, bias) = match &norm.kind {
        NormKind::Layer { bias } => (compute::NormKind::Layer, bias.as_ref()),
        NormKind::RootMeanSquare => (compute::NormKind::RootMeanSquare, None),
    };
    let (weight, bias) = (norm.weight.values()?, bias.map(|bias| bias.values()).transpose()?);
    f(NormOf { kind, weight: &weight, bias: bias.as_ref(), eps: norm.eps as f32 })
}

/// The norm of every row, or of every head where rows have several; and thin products of that.
pub(super) fn forward<B: Backend>(
    backend: &B,
    norm: &Norm,
    x: &Matrix<B>,
    y: &mut Matrix<B>,
    thin: Vec<Thin<B>>,
) -> Result<()> {
    with(norm, |norm| backend.norm(norm, y.all_mut().values, x.all().values, thin))
}

/// The gradient of x into dx, or added to it, by that of the result, g, to which something may have to be added first; those
/// of the weights to where they are summed. With `again` g becomes what the norm gives.
pub(super) fn backward<B: Backend>(
    backend: &B,
    norm: &Norm,
    x: &Matrix<B>,
    (g, added): (&mut Matrix<B>, Option<LowRank<B>>),
    again: bool,
    (dx, add): (&mut Matrix<B>, bool),
    gradients: &mut Gradients<B>,
) -> Result<()> {
    let bias = match &norm.kind {
        NormKind::Layer { bias } => bias.as_ref(),
        NormKind::RootMeanSquare => None,
    };
    let [weight, bias] = gradients.sums([norm.weight.place(), bias.and_then(|bias| bias.place())])?;
    let gradients = NormGradients { weight, bias };
    let dx = Sum { values: dx.all_mut().values, add };
    let (x, g) = (x.all().values, g.all_mut().values);
    with(norm, |norm| backend.norm_backward(norm, dx, x, g, added, again, gradients))
}
