use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::{
    element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices},
    math::{dot, sum_of_parts, sum_of_squares},
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

/// 1 / √(mean(x²) + ε) of a row.
#[inline(always)]
fn scale<T: Element>(row: &[T], eps: f32) -> f32 {
    1.0 / (sum_of_squares(row) / row.len() as f32 + eps).sqrt()
}

/// y of every row, for x and y `[n, d]` and w `[d]`.
pub(crate) fn rms_norm_forward<T: Element>(x: &[T], w: &[f32], eps: f32, y: &mut [T]) {
    let piece = w.len().max(1) * ROWS;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
        forward_rows(x, w, eps, y);
    });
}

crate::vectorised! {
    fn forward_rows<'a; T: [Element]>(x: &'a [T], w: &'a [f32], eps: f32, y: &'a mut [T]) {
        let d = w.len().max(1);
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let scale = scale(x, eps);
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = T::narrow(x.widen() * scale * w);
            }
        }
    }
}

/// The gradient of x into dx, and for every piece of rows its part of that of w, `[d]`.
pub(crate) fn rms_norm_backward<T: Element>(
    x: &[T],
    w: &[f32],
    g: &[T],
    eps: f32,
    dx: &mut [T],
) -> Vec<Vec<f32>> {
    let d = w.len().max(1);
    let pieces = (dx.par_chunks_mut(d * ROWS), x.par_chunks(d * ROWS), g.par_chunks(d * ROWS));
    let of_piece = |(dx, x, g): (&mut [T], &[T], &[T])| {
        let mut dw = vec![0f32; d];
        let (mut normed, mut h) = (vec![0f32; d], vec![0f32; d]);
        backward_rows(x, w, g, eps, dx, &mut dw, [&mut normed, &mut h]);
        dw
    };
    pieces.into_par_iter().map(of_piece).collect()
}

crate::vectorised! {
    fn backward_rows<'a; T: [Element]>(
        x: &'a [T],
        w: &'a [f32],
        g: &'a [T],
        eps: f32,
        dx: &'a mut [T],
        dw: &'a mut [f32],
        room: [&'a mut [f32]; 2],
    ) {
        let [normed, h] = room;
        let d = w.len().max(1);
        for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
            let scale = scale(x, eps);
            let (normed, h, w) = (&mut normed[..d], &mut h[..d], &w[..d]);
            let (x, g, dw) = (&x[..d], &g[..d], &mut dw[..d]);
            for index in 0..d {
                let g = g[index].widen();
                normed[index] = x[index].widen() * scale;
                h[index] = g * w[index];
                dw[index] += g * normed[index];
            }
            let mean = dot(h, normed) / d as f32;
            for ((dx, h), normed) in dx.iter_mut().zip(h).zip(normed) {
                *dx = T::narrow(scale * (*h - *normed * mean));
            }
        }
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
