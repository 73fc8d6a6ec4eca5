use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::{
    element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices},
    math::{dot, sum_of_squares},
};

/// Rows that one task works on. It is fixed, so that sums over rows are made in the same order
/// on any number of threads.
const ROWS: usize = 64;

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

impl RmsNorm {
    fn scale<T: Element>(&self, row: &[T]) -> f32 {
        1.0 / (sum_of_squares(row) / row.len() as f32 + self.eps).sqrt()
    }

    fn forward<T: Element>(&self, x: &[T], w: &[f32]) -> Vec<T> {
        let d = w.len();
        let mut y = vec![T::narrow(0.0); x.len()];
        y.par_chunks_mut(d * ROWS).zip(x.par_chunks(d * ROWS)).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                let scale = self.scale(x);
                for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                    *y = T::narrow(x.widen() * scale * w);
                }
            }
        });
        y
    }

    /// The gradient of x, and for every piece of rows its part of the gradient of w.
    fn backward<T: Element>(&self, x: &[T], w: &[f32], g: &[T]) -> (Vec<T>, Vec<Vec<f32>>) {
        let d = w.len();
        let mut dx = vec![T::narrow(0.0); x.len()];
        let pieces = (dx.par_chunks_mut(d * ROWS), x.par_chunks(d * ROWS), g.par_chunks(d * ROWS));
        let partial = pieces
            .into_par_iter()
            .map(|(dx, x, g)| {
                let mut dw = vec![0f32; d];
                let (mut normed, mut h) = (vec![0f32; d], vec![0f32; d]);
                for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
                    let scale = self.scale(x);
                    for index in 0..d {
                        let g = g[index].widen();
                        normed[index] = x[index].widen() * scale;
                        h[index] = g * w[index];
                        dw[index] += g * normed[index];
                    }
                    let mean = dot(&h, &normed) / d as f32;
                    for ((dx, h), normed) in dx.iter_mut().zip(&h).zip(&normed) {
                        *dx = T::narrow(scale * (h - normed * mean));
                    }
                }
                dw
            })
            .collect();
        (dx, partial)
    }
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
            let y = self.forward::<T>(slice(x, x_layout)?, w);
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
                with_slice::<f32, _>(w, |w| Ok(self.backward(x, w, g)))
            })?;
            let dx = x.track_op().then(|| tensor(dx, x.shape())).transpose()?;
            let [dw] = super::math::sum_of_parts(&partial, w.elem_count());
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
