use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage};
use rayon::prelude::*;

/// `x wᵀ + b`, as PyTorch's `nn.Linear`.
///
/// Shapes: x `[n, in]`, w `[out, in]`, b `[out]`, result `[n, out]`. With the gradient g of the
/// result: ∂x = g w, ∂w = gᵀ x, ∂b = 1ᵀ g. A frozen weight or bias gets no gradient computed.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(w, b, Linear)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let (n, k) = x_layout.shape().dims2()?;
        let out = w_layout.shape().dims2()?.0;
        let mut y = x.matmul(w, (1, n, out, k), x_layout, &w_layout.transpose(0, 1)?)?;
        let b = super::slice(b, b_layout)?;
        if let CpuStorage::F32(y) = &mut y {
            y.par_chunks_mut(out).with_min_len(64).for_each(|row| {
                row.iter_mut().zip(b).for_each(|(y, b)| *y += b);
            });
        }
        Ok((y, (n, out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dx = x.track_op().then(|| grad.matmul(&w.detach())).transpose()?;
        let dw = w.track_op().then(|| grad.t()?.matmul(&x.detach())).transpose()?;
        let db = b
            .track_op()
            .then(|| {
                let ones = Tensor::ones((1, grad.dim(0)?), grad.dtype(), grad.device())?;
                ones.matmul(&grad)?.squeeze(0)
            })
            .transpose()?;
        Ok((dx, dw, db))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, random};

    #[test]
    fn the_result_is_that_of_a_matmul_and_an_addition() {
        let (x, w, b) = (random(&[5, 7], 1), random(&[3, 7], 2), random(&[3], 3));
        let plain = x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&b).unwrap();
        let difference = (linear(&x, &w, &b).unwrap() - plain).unwrap().abs().unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        check(&[random(&[5, 7], 1), random(&[3, 7], 2), random(&[3], 3)], |v| linear(&v[0], &v[1], &v[2]));
    }
}
