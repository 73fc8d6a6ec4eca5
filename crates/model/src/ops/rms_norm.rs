use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use compute::{
    cpu::norm::{rms_norm_backward, rms_norm_forward},
    math::sum_of_parts,
};

use super::element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices};

/// Root mean square normalisation over the last dimension (Zhang and Sennrich, arXiv 1910.07467),
/// as Transformers' `LlamaRMSNorm`.
///
/// Shapes: x `[n, d]`, w `[d]` in `f32`. y = w x r with r = 1 / √(mean(x²) + ε) per row. With
/// h = g w: ∂x = r (h − x r² mean(h x)), ∂w = Σ g x r.
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op2(w, RmsNorm { eps: eps as f32 })
}

struct RmsNorm {
    eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let w = slice::<f32>(w, w_layout)?;
        by_dtype!(storage_dtype(x), T => {
            let x = slice::<T>(x, x_layout)?;
            let mut y = vec![T::narrow(0.0); x.len()];
            rms_norm_forward(x, w, self.eps, &mut y);
            Ok((<T as WithDType>::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(x.dtype(), T => {
            let (dx, partial) = with_slices::<T, T, _>(x, grad, |x, g| {
                with_slice::<f32, _>(w, |w| {
                    let mut dx = vec![T::narrow(0.0); x.len()];
                    let partial = rms_norm_backward(x, w, g, self.eps, &mut dx);
                    Ok((dx, partial))
                })
            })?;
            let dx = x.track_op().then(|| tensor(dx, x.shape())).transpose()?;
            let mut dw = vec![0f32; w.elem_count()];
            sum_of_parts(&partial, 0, &mut dw, false);
            let dw = w.track_op().then(|| tensor(dw, w.shape())).transpose()?;
            Ok((dx, dw))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};
    use compute::{cpu::norm::ROWS, math::sum_of_squares};

    #[test]
    fn every_row_has_a_mean_square_of_one_before_the_weight() {
        let w = Tensor::ones(20, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let y = rms_norm(&(random(&[ROWS + 3, 20], 1) * 5.0).unwrap(), &w, 1e-12).unwrap();
        for row in y.to_vec2::<f32>().unwrap() {
            assert!((sum_of_squares(&row) / 20.0 - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let inputs = [random(&[4, 9], 1), random(&[9], 2)];
        check(&inputs, |v| rms_norm(&v[0], &v[1], 1e-5));
        check_bf16(&inputs, &[true, false], |v| rms_norm(&v[0], &v[1], 1e-5));
    }
}
