use candle_core::{DType, Result, Tensor};

/// A matrix of weights `[out, in]` as a device holds it.
#[derive(Debug, Clone)]
pub enum Held {
    /// In `f32` or bf16.
    Plain(Tensor),
}

impl Held {
    /// Rows and columns.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Held::Plain(tensor) => tensor.dims2(),
        }
    }

    /// Its numbers in `f32`.
    pub fn values(&self) -> Result<Tensor> {
        match self {
            Held::Plain(tensor) => tensor.to_dtype(DType::F32),
        }
    }
}

impl From<Tensor> for Held {
    fn from(tensor: Tensor) -> Held {
        Held::Plain(tensor)
    }
}
