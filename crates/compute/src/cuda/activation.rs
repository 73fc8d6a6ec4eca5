//! Activations, forward and backward.

use candle_core::Result;

use super::{
    buffer::PartMut,
    device::{Cuda, Grid, THREADS, args},
    factor::Factor,
    low_rank::low_rank,
    rows::ROWS,
};
use crate::{Activation, LowRank};

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

/// A thread for each column of some rows.
fn grid(rows: usize, d: usize) -> Grid {
    Grid::blocks((d as u32).div_ceil(THREADS), rows.div_ceil(ROWS) as u32)
}

pub(super) fn forward(
    cuda: &Cuda,
    activation: Activation,
    gated: bool,
    y: &PartMut,
    (u, added): (&PartMut, Option<LowRank<Cuda>>),
    d: usize,
) -> Result<()> {
    let rows = y.len / d.max(1);
    let low_rank = low_rank(cuda, Factor::rows(u.address, rows, if gated { 2 * d } else { d }), added)?;
    let before = args![y.address, y.rounded_beside(), u.address];
    let after = args![rows as u32, d as u32, number(activation), gated];
    cuda.launch("activation_forward", grid(rows, d), &[&before[..], &[low_rank], &after[..]].concat())
}

pub(super) fn backward(
    cuda: &Cuda,
    activation: Activation,
    gated: bool,
    u: &PartMut,
    (g, added): (&PartMut, Option<LowRank<Cuda>>),
    d: usize,
) -> Result<()> {
    let rows = g.len / d.max(1);
    let low_rank = low_rank(cuda, Factor::rows(g.address, rows, d), added)?;
    let before = args![u.address, u.rounded_beside(), g.address];
    let after = args![rows as u32, d as u32, number(activation), gated];
    cuda.launch("activation_backward", grid(rows, d), &[&before[..], &[low_rank], &after[..]].concat())
}
