//! Tables that kernels read: the code books of moments in 8 bits and of NF4.

use std::sync::Arc;

use candle_core::{
    Result,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaSlice, CudaStream},
    },
};

use crate::{cpu::adamw::CodeBook, quantised::NUMBERS};

/// Tables that kernels read.
pub(super) struct Books {
    /// The numbers of the signed and the unsigned code book, and the limits of each, `[4, 256]`.
    pub(super) moments: CudaSlice<f32>,
    /// The 16 numbers of NF4, and the 256 of its scales.
    pub(super) nf4: CudaSlice<f32>,
}

impl Books {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Books> {
        let (signed, unsigned) = (CodeBook::signed(), CodeBook::unsigned());
        let moments = [&signed.values, &unsigned.values, signed.limits(), unsigned.limits()];
        let moments = stream.clone_htod(&moments.map(|table| *table).concat()).w()?;
        let nf4 = stream.clone_htod(&[&NUMBERS[..], &signed.values[..]].concat()).w()?;
        Ok(Books { moments, nf4 })
    }
}
