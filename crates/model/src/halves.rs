use candle_core::{DType, Device, Tensor};
use compute::halves::split;
use half::bf16;
use rayon::prelude::*;

use crate::error::Result;

/// A tensor of `f32` as one of bf16 and what its elements lack.
pub(crate) fn split_tensor(tensor: &Tensor) -> Result<(Tensor, Vec<i16>)> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let (upper, remainder): (Vec<bf16>, Vec<i16>) = values.into_par_iter().map(split).unzip();
    Ok((Tensor::from_vec(upper, tensor.shape(), &Device::Cpu)?, remainder))
}
