//! Activations, forward and backward.

use candle_core::Result;

use super::{
    buffer::{Part, PartMut},
    device::{Cuda, Grid, args},
};
use crate::Activation;

/// Its number in the kernels.
fn number(activation: Activation) -> u32 {
    match activation {
        Activation::Gelu => 0,
        Activation::GeluTanh => 1,
        Activation::Silu => 2,
        Activation::Relu => 3,
        Activation::Tanh => 4,
    }
}

pub(super) fn forward(
    cuda: &Cuda,
    activation: Activation,
    gated: bool,
    y: &PartMut,
    u: Part,
    d: usize,
) -> Result<()> {
    let args = args![y.address, u, y.len, d as u32, number(activation), gated];
    cuda.launch("activation_forward", Grid::of(y.len), args)
}

pub(super) fn backward(
    cuda: &Cuda,
    activation: Activation,
    gated: bool,
    u: &PartMut,
    g: &PartMut,
    d: usize,
) -> Result<()> {
    let args = args![u.address, g.address, g.len, d as u32, number(activation), gated];
    cuda.launch("activation_backward", Grid::of(g.len), args)
}
