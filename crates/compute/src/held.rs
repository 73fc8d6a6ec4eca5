use candle_core::{DType, Device, Result, Tensor};

use crate::quantised::{Int8, Nf4};

/// A matrix of weights `[out, in]` as a device holds it.
#[derive(Debug, Clone)]
pub enum Held {
    /// In `f32` or bf16.
    Plain(Tensor),
    /// In 4 bits, by blocks.
    Nf4(Box<Nf4>),
    /// In 8 bits, by rows.
    Int8(Box<Int8>),
}

impl Held {
    /// Rows and columns.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Held::Plain(tensor) => tensor.dims2(),
            Held::Nf4(held) => Ok((held.rows, held.cols)),
            Held::Int8(held) => Ok((held.rows, held.cols)),
        }
    }

    /// Its numbers in `f32`.
    pub fn values(&self) -> Result<Tensor> {
        match self {
            Held::Plain(tensor) => tensor.to_dtype(DType::F32),
            Held::Nf4(held) => held.values(),
            Held::Int8(held) => held.values(),
        }
    }

    /// The same on another device.
    pub fn to_device(&self, device: &Device) -> Result<Held> {
        Ok(match self {
            Held::Plain(tensor) => Held::Plain(tensor.to_device(device)?),
            Held::Nf4(held) => Held::Nf4(held.to_device(device)?.into()),
            Held::Int8(held) => Held::Int8(held.to_device(device)?.into()),
        })
    }

    /// How many numbers it has.
    pub fn count(&self) -> usize {
        match self {
            Held::Plain(tensor) => tensor.elem_count(),
            Held::Nf4(held) => held.rows * held.cols,
            Held::Int8(held) => held.rows * held.cols,
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Held::Plain(tensor) => tensor.elem_count() * tensor.dtype().size_in_bytes(),
            Held::Nf4(held) => held.bytes(),
            Held::Int8(held) => held.bytes(),
        }
    }
}

impl From<Tensor> for Held {
    fn from(tensor: Tensor) -> Held {
        Held::Plain(tensor)
    }
}
