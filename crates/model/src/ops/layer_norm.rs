use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::{
    element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices},
    math::{dot, sum, sum_of_parts},
};

/// Rows that one task works on. It is fixed, so that sums over rows are made in the same order
/// on any number of threads.
const ROWS: usize = 64;

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

/// Mean and reciprocal standard deviation of a row.
#[inline(always)]
fn moments<T: Element>(row: &[T], eps: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    let variance = {
        let mut lanes = [0f32; 8];
        let chunks = row.chunks_exact(8);
        let tail: f32 = chunks.remainder().iter().map(|x| (x.widen() - mean).powi(2)).sum();
        for chunk in chunks {
            for lane in 0..8 {
                let centred = chunk[lane].widen() - mean;
                lanes[lane] += centred * centred;
            }
        }
        (lanes.iter().sum::<f32>() + tail) / count
    };
    (mean, 1.0 / (variance + eps).sqrt())
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

/// y of every row, for x and y `[n, d]`, w and b `[d]`.
pub(crate) fn layer_norm_forward<T: Element>(x: &[T], w: &[f32], b: &[f32], eps: f32, y: &mut [T]) {
    let piece = w.len().max(1) * ROWS;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
        forward_rows(x, w, b, eps, y);
    });
}

crate::vectorised! {
    fn forward_rows<'a; T: [Element]>(x: &'a [T], w: &'a [f32], b: &'a [f32], eps: f32, y: &'a mut [T]) {
        let d = w.len().max(1);
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let (mean, scale) = moments(x, eps);
            for ((y, x), (w, b)) in y.iter_mut().zip(x).zip(w.iter().zip(b)) {
                *y = T::narrow((x.widen() - mean) * scale * w + b);
            }
        }
    }
}

/// The gradient of x into dx, and for every piece of rows its part of those of w and b, `[2 d]`.
pub(crate) fn layer_norm_backward<T: Element>(
    x: &[T],
    w: &[f32],
    g: &[T],
    eps: f32,
    dx: &mut [T],
) -> Vec<Vec<f32>> {
    let d = w.len().max(1);
    let pieces = (dx.par_chunks_mut(d * ROWS), x.par_chunks(d * ROWS), g.par_chunks(d * ROWS));
    let of_piece = |(dx, x, g): (&mut [T], &[T], &[T])| {
        let mut part = vec![0f32; 2 * d];
        let (mut normed, mut h) = (vec![0f32; d], vec![0f32; d]);
        backward_rows(x, w, g, eps, dx, &mut part, [&mut normed, &mut h]);
        part
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
        part: &'a mut [f32],
        room: [&'a mut [f32]; 2],
    ) {
        let [normed, h] = room;
        let d = w.len().max(1);
        let (dw, db) = part.split_at_mut(d);
        for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
            let (mean, scale) = moments(x, eps);
            let (normed, h, w) = (&mut normed[..d], &mut h[..d], &w[..d]);
            let (x, g, dw, db) = (&x[..d], &g[..d], &mut dw[..d], &mut db[..d]);
            for index in 0..d {
                let g = g[index].widen();
                normed[index] = (x[index].widen() - mean) * scale;
                h[index] = g * w[index];
                dw[index] += g * normed[index];
                db[index] += g;
            }
            let mean_h = sum(h) / d as f32;
            let mean_hx = dot(h, normed) / d as f32;
            for ((dx, h), normed) in dx.iter_mut().zip(h).zip(normed) {
                *dx = T::narrow(scale * (*h - mean_h - *normed * mean_hx));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

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
