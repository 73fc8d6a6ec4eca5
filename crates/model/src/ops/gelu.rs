use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::math::{exp, normal_cdf};

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// The Gaussian error linear unit x Φ(x) (Hendrycks and Gimpel, arXiv 1606.08415), exact by the
/// error function, as PyTorch's `gelu` with `approximate="none"`.
///
/// Any shape. The derivative is Φ(x) + x φ(x).
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = super::slice(x, layout)?;
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * normal_cdf(x);
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        /// 1 / √(2π)
        const DENSITY: f32 = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
        let dx = super::with_slices(x, grad, |x, g| {
            let mut dx = vec![0f32; x.len()];
            let pieces = (dx.par_chunks_mut(PIECE), x.par_chunks(PIECE), g.par_chunks(PIECE));
            pieces.into_par_iter().for_each(|(dx, x, g)| {
                for ((dx, &x), &g) in dx.iter_mut().zip(x).zip(g) {
                    *dx = g * (normal_cdf(x) + x * DENSITY * exp(-0.5 * x * x));
                }
            });
            Ok(dx)
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, random};

    #[test]
    fn values_are_those_of_the_error_function() {
        let x = (random(&[200], 4) * 6.0).unwrap();
        let found = gelu(&x).unwrap().to_vec1::<f32>().unwrap();
        for (x, found) in x.to_vec1::<f32>().unwrap().into_iter().zip(found) {
            let exact = f64::from(x) * 0.5 * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()));
            assert!((f64::from(found) - exact).abs() < 2e-6, "gelu({x})");
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        check(&[(random(&[6, 5], 1) * 3.0).unwrap()], |v| gelu(&v[0]));
    }
}
