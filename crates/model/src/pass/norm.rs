//! Norms, of every row or of every head where rows have several.

use candle_core::Result;
use compute::{Backend, Matrix, NormGradients};

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

fn kind_of(norm: &Norm) -> (compute::NormKind, Option<&crate::weights::Weight>) {
    match &norm.kind {
        NormKind::Layer { bias } => (compute::NormKind::Layer, bias.as_ref()),
        NormKind::RootMeanSquare => (compute::NormKind::RootMeanSquare, None),
    }
}

/// The norm of every row, or of every head where rows have several.
pub(super) fn forward<B: Backend>(backend: &B, norm: &Norm, x: &Matrix<B>, y: &mut Matrix<B>) -> Result<()> {
    let (kind, bias) = kind_of(norm);
    let (weight, bias) = (norm.weight.values()?, bias.map(|bias| bias.values()).transpose()?);
    backend.norm(kind, y.all_mut().values, x.all().values, &weight, bias.as_ref(), norm.eps as f32)
}

/// The gradient of x into dx; those of the weights to where they are summed.
pub(super) fn backward<B: Backend>(
    backend: &B,
    norm: &Norm,
    x: &Matrix<B>,
    g: &Matrix<B>,
    dx: &mut Matrix<B>,
    gradients: &mut Gradients<B>,
) -> Result<()> {
    let (kind, bias) = kind_of(norm);
    let places = [norm.weight.place(), bias.and_then(|bias| bias.place())];
    let [weight, bias] = gradients.sums(places)?;
    let (values, g) = (x.all().values, g.all().values);
    let (w, eps) = (norm.weight.values()?, norm.eps as f32);
    let gradients = NormGradients { weight, bias };
    backend.norm_backward(kind, dx.all_mut().values, values, g, &w, eps, gradients)
}
