//! Products of a norm's result with thin matrices, in the kernel that makes the result.

use candle_core::{DType, Result};

use super::{
    buffer::{PartMut, tensor},
    device::{Arg, Cuda},
    rows::dropout_numbers,
};
use crate::{Held, In, Thin, backend::same};

/// As many of them as a kernel makes: of queries, keys and values.
const AT_ONCE: usize = 3;
/// The most rows of a thin matrix. A block reads the matrix for 4 rows of y, which with 16 of them are about as many bytes
/// as if a product by itself read y once more.
const MOST: usize = 16;

/// What a kernel makes, and what is left to products of their own, for y of rows of `d` numbers.
pub(super) struct Split<'out, 'a> {
    /// The structures `Thin` of the kernel.
    pub args: [Arg; AT_ONCE],
    pub any: bool,
    rest: Vec<Thin<'out, 'a, Cuda>>,
}

/// The structure `Thin` of the kernels; none where no kernel makes it.
fn arg(cuda: &Cuda, thin: &Thin<Cuda>, d: usize) -> Result<Option<Arg>> {
    let Thin { out, a, scale, dropout, .. } = thin;
    let (rank, cols) = a.dims()?;
    let Held::Plain(held) = a else { return Ok(None) };
    if held.dtype() != DType::F32 || cols != d || rank > MOST {
        return Ok(None);
    }
    let (seed, threshold, factor) = dropout_numbers(*dropout);
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Some(Arg::U64x5([
        out.address,
        tensor(cuda, held, DType::F32)?,
        seed,
        pair(rank as u32, scale.to_bits()),
        pair(threshold, factor.to_bits()),
    ])))
}

impl<'out, 'a> Split<'out, 'a> {
    pub(super) fn new(
        cuda: &Cuda,
        thin: Vec<Thin<'out, 'a, Cuda>>,
        rows: usize,
        d: usize,
    ) -> Result<Split<'out, 'a>> {
        let mut split = Split { args: [Arg::U64x5([0; 5]); AT_ONCE], any: false, rest: Vec::new() };
        let mut free = split.args.iter_mut();
        for thin in thin {
            same(thin.out.len, rows * thin.a.dims()?.0)?;
            match arg(cuda, &thin, d)?.and_then(|arg| Some((arg, free.next()?))) {
                Some((arg, place)) => (*place, split.any) = (arg, true),
                None => split.rest.push(thin),
            }
        }
        Ok(split)
    }

    /// Makes what no kernel has made, after y was written.
    pub(super) fn rest(self, cuda: &Cuda, y: &PartMut, d: usize) -> Result<()> {
        self.rest.into_iter().try_for_each(|thin| thin.of(cuda, In::rows(y.written(), d)))
    }
}
