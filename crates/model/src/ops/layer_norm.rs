use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::math::{dot, sum};

/// Rows that one task works on. It is fixed, so that sums over rows are made in the same order
/// on any number of threads.
const ROWS: usize = 64;

/// Layer normalisation over the last dimension (Ba et al., arXiv 1607.06450), as PyTorch's.
///
/// Shapes: x `[n, d]`, w and b `[d]`. y = w x̂ + b with x̂ = (x − μ) / √(σ² + ε) per row.
/// With h = g w: ∂x = (h − mean(h) − x̂ mean(h x̂)) / √(σ² + ε), ∂w = Σ g x̂, ∂b = Σ g.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op3(w, b, LayerNorm { eps: eps as f32 })
}

struct LayerNorm {
    eps: f32,
}

/// Mean and reciprocal standard deviation of a row.
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    let variance = {
        let mut lanes = [0f32; 8];
        let chunks = row.chunks_exact(8);
        let tail: f32 = chunks.remainder().iter().map(|x| (x - mean) * (x - mean)).sum();
        for chunk in chunks {
            for lane in 0..8 {
                let centred = chunk[lane] - mean;
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
        let d = w_layout.shape().elem_count();
        let (x, w, b) = (super::slice(x, x_layout)?, super::slice(w, w_layout)?, super::slice(b, b_layout)?);
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(d * ROWS).zip(x.par_chunks(d * ROWS)).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                let (mean, scale) = moments(x, self.eps);
                for ((y, x), (w, b)) in y.iter_mut().zip(x).zip(w.iter().zip(b)) {
                    *y = (x - mean) * scale * w + b;
                }
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
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
        let (dx, partial) =
            super::with_slices(x, grad, |x, g| super::with_slice(w, |w| Ok(self.backward(x, w, g, d))))?;
        let mut dw = vec![0f32; d];
        let mut db = vec![0f32; d];
        for part in partial {
            dw.iter_mut().zip(&part[..d]).for_each(|(sum, part)| *sum += part);
            db.iter_mut().zip(&part[d..]).for_each(|(sum, part)| *sum += part);
        }
        let tensor = |values, shape: &Shape| Tensor::from_vec(values, shape, x.device());
        let dx = x.track_op().then(|| tensor(dx, x.shape())).transpose()?;
        let dw = w.track_op().then(|| tensor(dw, w.shape())).transpose()?;
        let db = b.track_op().then(|| tensor(db, b.shape())).transpose()?;
        Ok((dx, dw, db))
    }
}

impl LayerNorm {
    /// The gradient of x, and for every piece of rows its part of the gradients of w and b.
    fn backward(&self, x: &[f32], w: &[f32], g: &[f32], d: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
        let mut dx = vec![0f32; x.len()];
        let pieces = (dx.par_chunks_mut(d * ROWS), x.par_chunks(d * ROWS), g.par_chunks(d * ROWS));
        let partial = pieces
            .into_par_iter()
            .map(|(dx, x, g)| {
                let mut part = vec![0f32; 2 * d];
                let (dw, db) = part.split_at_mut(d);
                let mut normed = vec![0f32; d];
                for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
                    let (mean, scale) = moments(x, self.eps);
                    for index in 0..d {
                        normed[index] = (x[index] - mean) * scale;
                        dx[index] = g[index] * w[index];
                        dw[index] += g[index] * normed[index];
                        db[index] += g[index];
                    }
                    let mean_h = sum(dx) / d as f32;
                    let mean_hx = dot(dx, &normed) / d as f32;
                    for (dx, normed) in dx.iter_mut().zip(&normed) {
                        *dx = scale * (*dx - mean_h - normed * mean_hx);
                    }
                }
                part
            })
            .collect();
        (dx, partial)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, random};

    #[test]
    fn every_row_has_mean_zero_and_deviation_one_before_weight_and_bias() {
        let (x, w, b) = (
            random(&[3, 20], 1),
            Tensor::ones(20, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
            random(&[20], 3),
        );
        let y = layer_norm(&x, &w, &(b * 0.0).unwrap(), 1e-12).unwrap();
        for row in y.to_vec2::<f32>().unwrap() {
            let (mean, scale) = moments(&row, 0.0);
            assert!(mean.abs() < 1e-6 && (scale - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        check(&[random(&[4, 9], 1), random(&[9], 2), random(&[9], 3)], |v| {
            layer_norm(&v[0], &v[1], &v[2], 1e-5)
        });
    }

    #[test]
    fn rows_past_one_piece_are_normalised_too() {
        let x = random(&[ROWS + 3, 8], 5);
        let (w, b) = (random(&[8], 2), random(&[8], 3));
        let all = layer_norm(&x, &w, &b, 1e-5).unwrap().to_vec2::<f32>().unwrap();
        let last =
            layer_norm(&x.narrow(0, ROWS + 2, 1).unwrap(), &w, &b, 1e-5).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(all[ROWS + 2], last[0]);
    }
}
