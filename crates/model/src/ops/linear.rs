use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, backend::BackendStorage, bail,
};
use half::bf16;
use rayon::prelude::*;

use super::element::{Element, narrowed, slice, tensor, widened, widened_slice, with_slice};

/// `x wᵀ + b`, as PyTorch's `nn.Linear`.
///
/// Shapes: x `[n, in]`, w `[out, in]`, b `[out]` in `f32`, result `[n, out]` in the precision of w,
/// which is that of x or `f32`; sums are in `f32`. With the gradient g of the result: ∂x = g w,
/// ∂w = gᵀ x, ∂b = 1ᵀ g. What leads to no weight that learns gets no gradient computed.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let x = x.contiguous()?;
    match b {
        Some(b) => x.apply_op3(w, b, Linear),
        None => x.apply_op2(w, Linear),
    }
}

/// Elements of a weight held in bf16 that are widened at a time, which bounds the memory for it.
const STRIP: usize = 1 << 22;

struct Linear;

/// Rows of a weight `[_, k]` that are worked on at a time.
fn strip_rows(k: usize) -> usize {
    (STRIP / k.max(1)).max(1)
}

/// `x wᵀ` in the precision of w.
pub(super) fn product(
    (x, x_layout): (&CpuStorage, &Layout),
    (w, w_layout): (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let (n, k) = x_layout.shape().dims2()?;
    let (out, w_in) = w_layout.shape().dims2()?;
    if w_in != k {
        bail!("a linear layer reads {w_in} features and is given {k}");
    }
    let (Some((x_from, x_to)), Some((w_from, _))) =
        (x_layout.contiguous_offsets(), w_layout.contiguous_offsets())
    else {
        bail!("an operand is not contiguous")
    };
    let wide;
    let (x, x_layout) = match (x.dtype(), w.dtype()) {
        (DType::F32, DType::F32) => (x, x_layout.clone()),
        (DType::BF16, DType::F32 | DType::BF16) => {
            wide = CpuStorage::F32(widened(x, x_from, x_to)?);
            (&wide, Layout::contiguous((n, k)))
        }
        (x, w) => bail!("a linear layer of {w:?} is given {x:?}"),
    };
    if w.dtype() == DType::F32 {
        let y = x.matmul(w, (1, n, out, k), &x_layout, &w_layout.transpose(0, 1)?)?;
        return Ok((y, (n, out).into()));
    }
    let mut y = vec![bf16::ZERO; n * out];
    for first in (0..out).step_by(strip_rows(k)) {
        let width = strip_rows(k).min(out - first);
        let strip = CpuStorage::F32(widened(w, w_from + first * k, w_from + (first + width) * k)?);
        let strip_layout = Layout::contiguous((width, k)).transpose(0, 1)?;
        let part = x.matmul(&strip, (1, n, width, k), &x_layout, &strip_layout)?;
        let part = part.as_slice::<f32>()?;
        y.par_chunks_mut(out).zip(part.par_chunks(width)).with_min_len(8).for_each(|(y, part)| {
            y[first..first + width].iter_mut().zip(part).for_each(|(y, &part)| *y = Element::narrow(part));
        });
    }
    Ok((CpuStorage::BF16(y), (n, out).into()))
}

/// `g w`, the gradient of x, in the precision of x; g in `f32`.
pub(super) fn gradient_of_x(grad: &Tensor, w: &Tensor, x: DType) -> Result<Tensor> {
    if w.dtype() == DType::F32 {
        return grad.matmul(&w.detach())?.to_dtype(x);
    }
    let ((n, out), k) = (grad.dims2()?, w.dim(1)?);
    let sum = Tensor::zeros((n, k), DType::F32, grad.device())?;
    for first in (0..out).step_by(strip_rows(k)) {
        let width = strip_rows(k).min(out - first);
        let strip = with_slice::<bf16, _>(&w.detach().narrow(0, first, width)?, |strip| {
            tensor(widened_slice(strip), (width, k))
        })?;
        super::add_into(&sum, &grad.narrow(1, first, width)?.matmul(&strip)?)?;
    }
    sum.to_dtype(x)
}

/// `gᵀ x`, the gradient of w, in the precision of w; g in `f32`.
pub(super) fn gradient_of_w(x: &Tensor, grad: &Tensor, w: DType) -> Result<Tensor> {
    let x = x.detach().to_dtype(DType::F32)?;
    if w == DType::F32 {
        return grad.t()?.matmul(&x);
    }
    let (out, k) = (grad.dim(1)?, x.dim(1)?);
    let mut result = vec![bf16::ZERO; out * k];
    for first in (0..out).step_by(strip_rows(k)) {
        let width = strip_rows(k).min(out - first);
        let strip = grad.narrow(1, first, width)?.t()?.matmul(&x)?;
        with_slice::<f32, _>(&strip, |strip| {
            result[first * k..(first + width) * k].copy_from_slice(&narrowed::<bf16>(strip));
            Ok(())
        })?;
    }
    tensor(result, (out, k))
}

/// The gradient of a result as its products are made with it: widened once for all of them.
pub(super) fn wide_gradient(grad: &Tensor) -> Result<Tensor> {
    grad.contiguous()?.to_dtype(DType::F32)
}

/// The gradients of x and w, each where it is wanted; g in `f32`.
fn backward(x: &Tensor, w: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let dx = x.track_op().then(|| gradient_of_x(grad, w, x.dtype())).transpose()?;
    let dw = w.track_op().then(|| gradient_of_w(x, grad, w.dtype())).transpose()?;
    Ok((dx, dw))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        product((x, x_layout), (w, w_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        backward(x, w, &wide_gradient(grad)?)
    }
}

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
        let (mut y, shape) = product((x, x_layout), (w, w_layout))?;
        let b = slice::<f32>(b, b_layout)?;
        add_bias(&mut y, b)?;
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = wide_gradient(grad)?;
        let (dx, dw) = backward(x, w, &grad)?;
        // A product with ones is many times faster than candle's sum over the rows.
        let db = b
            .track_op()
            .then(|| Tensor::ones((1, grad.dim(0)?), DType::F32, grad.device())?.matmul(&grad)?.squeeze(0))
            .transpose()?;
        Ok((dx, dw, db))
    }
}

/// Adds a bias to every row.
pub(super) fn add_bias(y: &mut CpuStorage, b: &[f32]) -> Result<()> {
    fn add<T: Element>(y: &mut [T], b: &[f32]) {
        y.par_chunks_mut(b.len().max(1)).with_min_len(64).for_each(|row| {
            row.iter_mut().zip(b).for_each(|(y, b)| *y = T::narrow(y.widen() + b));
        });
    }
    match y {
        CpuStorage::F32(y) => add(y, b),
        CpuStorage::BF16(y) => add(y, b),
        _ => bail!("a linear layer computes f32 or bf16"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    #[test]
    fn the_result_is_that_of_a_matmul_and_an_addition() {
        let (x, w, b) = (random(&[5, 7], 1), random(&[3, 7], 2), random(&[3], 3));
        let plain = x.matmul(&w.t().unwrap()).unwrap();
        let difference = |a: Tensor, b: Tensor| {
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert!(difference(linear(&x, &w, None).unwrap(), plain.clone()) < 1e-6);
        let plain = plain.broadcast_add(&b).unwrap();
        assert!(difference(linear(&x, &w, Some(&b)).unwrap(), plain) < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let inputs = [random(&[5, 7], 1), random(&[3, 7], 2), random(&[3], 3)];
        check(&inputs, |v| linear(&v[0], &v[1], Some(&v[2])));
        check(&inputs[..2], |v| linear(&v[0], &v[1], None));
        check_bf16(&inputs, &[true, true, false], |v| linear(&v[0], &v[1], Some(&v[2])));
        // What reads bf16 by a weight in f32 gives f32.
        let rounded = |v: &Tensor| v.to_dtype(DType::BF16);
        check_bf16(&inputs[..2], &[true, false], |v| linear(&v[0], &v[1], None).and_then(|y| rounded(&y)));
    }

    #[test]
    fn a_frozen_weight_gets_no_gradient_and_passes_that_of_its_input_on() {
        let x = candle_core::Var::from_tensor(&random(&[5, 7], 1)).unwrap();
        let (w, b) = (random(&[3, 7], 2), random(&[3], 3));
        let grads = linear(&x, &w, Some(&b)).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&w).is_none() && grads.get(&b).is_none());
        let expected =
            Tensor::ones((5, 3), DType::F32, &candle_core::Device::Cpu).unwrap().matmul(&w).unwrap();
        let found = grads.get(&x).unwrap();
        assert_eq!(found.to_vec2::<f32>().unwrap(), expected.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn operands_that_do_not_fit_are_an_error_and_no_panic() {
        let w = random(&[3, 7], 2);
        assert!(linear(&random(&[5, 6], 1), &w, None).is_err());
        assert!(linear(&random(&[5, 7], 1), &w.to_dtype(DType::BF16).unwrap(), None).is_err());
    }
}
