use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType};
use compute::{
    cpu::norm::{layer_norm_backward, layer_norm_forward},
    math::sum_of_parts,
};

use super::element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices};

/// Layer normalisation over the last dimension (Ba et al., arXiv 1607.06450), as PyTorch's.
///
/// Shapes: x `[n, d]`, w and b `[d]` in `f32`, b absent for none. y = w x̂ + b with x̂ = (x − μ) / √(σ² + ε) per row.
/// With h = g w: ∂x = (h − mean(h) − x̂ mean(h x̂)) / √(σ² + ε), ∂w = Σ g x̂, ∂b = Σ g.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let x = x.contiguous()?;
    let norm = LayerNorm { eps: eps as f32 };
    match b {
        Some(b) => x.apply_op3(w, b, norm),
        None => x.apply_op3(w, &Tensor::zeros(w.shape(), DType::F32, w.device())?, norm),
    }
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (w, b) = (slice::<f32>(w, w_layout)?, slice::<f32>(b, b_layout)?);
        by_dtype!(storage_dtype(x), T => {
            let x = slice::<T>(x, x_layout)?;
            let mut y = vec![T::narrow(0.0); x.len()];
            layer_norm_forward(x, w, b, self.eps, &mut y);
            Ok((<T as WithDType>::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let d = w.elem_count();
        by_dtype!(x.dtype(), T => {
            let (dx, partial) = with_slices::<T, T, _>(x, grad, |x, g| {
                with_slice::<f32, _>(w, |w| {
                    let mut dx = vec![T::narrow(0.0); x.len()];
                    let partial = layer_norm_backward(x, w, g, self.eps, &mut dx);
                    Ok((dx, partial))
                })
            })?;
            let dx = x.track_op().then(|| tensor(dx, x.shape())).transpose()?;
            let summed = |of: &Tensor, from: usize| {
                let mut sum = vec![0f32; d];
                sum_of_parts(&partial, from, &mut sum, false);
                of.track_op().then(|| tensor(sum, of.shape())).transpose()
            };
            let (dw, db) = (summed(w, 0)?, summed(b, d)?);
            Ok((dx, dw, db))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};
    use compute::cpu::norm::{ROWS, moments};

    #[test]
    fn every_row_has_mean_zero_and_deviation_one_before_weight_and_bias() {
        let (x, w) = (random(&[3, 20], 1), Tensor::ones(20, DType::F32, &candle_core::Device::Cpu).unwrap());
        let y = layer_norm(&x, &w, None, 1e-12).unwrap();
        for row in y.to_vec2::<f32>().unwrap() {
            let (mean, scale) = moments(&row, 0.0);
            assert!(mean.abs() < 1e-6 && (scale - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let inputs = [random(&[4, 9], 1), random(&[9], 2), random(&[9], 3)];
        check(&inputs, |v| layer_norm(&v[0], &v[1], Some(&v[2]), 1e-5));
        check(&inputs[..2], |v| layer_norm(&v[0], &v[1], None, 1e-5));
        check_bf16(&inputs, &[true, false, false], |v| layer_norm(&v[0], &v[1], Some(&v[2]), 1e-5));
    }

    #[test]
    fn rows_past_one_piece_are_normalised_too() {
        let x = random(&[ROWS + 3, 8], 5);
        let (w, b) = (random(&[8], 2), random(&[8], 3));
        let all = layer_norm(&x, &w, Some(&b), 1e-5).unwrap().to_vec2::<f32>().unwrap();
        let last = layer_norm(&x.narrow(0, ROWS + 2, 1).unwrap(), &w, Some(&b), 1e-5)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        assert_eq!(all[ROWS + 2], last[0]);
    }
}
