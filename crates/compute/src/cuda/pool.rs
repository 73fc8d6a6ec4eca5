//! A row of each text out of those of its tokens.

use candle_core::Result;

use super::{
    buffer::{Part, PartMut},
    device::{Cuda, Grid, THREADS, args},
};
use crate::{Pool, Texts};

/// Columns of a block; as in the kernels.
const COLUMNS: u32 = 32;
/// Rows of which a thread has the same column on the way back; as in the kernels.
const ROWS: u32 = 16;

/// Its number in the kernels.
fn number(pool: Pool) -> u32 {
    match pool {
        Pool::First => 0,
        Pool::Last => 1,
        Pool::Mean => 2,
        Pool::Bag => 3,
    }
}

pub(super) fn forward(cuda: &Cuda, out: &PartMut, x: Part, texts: &Texts<Cuda>, pool: Pool) -> Result<()> {
    let d = texts.width(x.len, out.len)? as u32;
    let grid = Grid::blocks(d.div_ceil(COLUMNS), texts.count() as u32);
    cuda.launch("pool", grid, args![out.address, x, texts.on_device.address(), d, number(pool)])
}

pub(super) fn backward(cuda: &Cuda, dx: &PartMut, g: Part, texts: &Texts<Cuda>, pool: Pool) -> Result<()> {
    let d = texts.width(dx.len, g.len)? as u32;
    let [count, total] = [texts.count(), texts.total()].map(|number| number as u32);
    let grid = Grid::blocks(d.div_ceil(THREADS), total.div_ceil(ROWS));
    let args = args![dx.address, g, texts.on_device.address(), count, total, d, number(pool)];
    cuda.launch("pool_backward", grid, args)
}
