use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, backend::BackendStorage, bail,
};
use half::bf16;
use rayon::prelude::*;

use super::element::{Element, narrowed, slice, tensor, widened, widened_slice, with_slices};
use compute::{
    Products,
    cpu::{View, ViewMut, buffer, product_in},
};

/// `x wᵀ + b`, as PyTorch's `nn.Linear`.
///
/// Shapes: x `[n, in]`, w `[out, in]`, b `[out]` in `f32`, result `[n, out]` in the precision of w,
/// which is that of x or `f32`; sums are in `f32`. With the gradient g of the result: ∂x = g w,
/// ∂w = gᵀ x, ∂b = 1ᵀ g. What leads to no weight that learns gets no gradient computed.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>, products: Products) -> Result<Tensor> {
    let x = x.contiguous()?;
    match b {
        Some(b) => x.apply_op3(w, b, Linear { products }),
        None => x.apply_op2(w, Linear { products }),
    }
}

/// Elements of a weight held in bf16 that are widened at a time, which bounds the memory for it.
const STRIP: usize = 1 << 22;

struct Linear {
    products: Products,
}

/// Rows of a weight `[_, k]` that are worked on at a time.
fn strip_rows(k: usize) -> usize {
    (STRIP / k.max(1)).max(1)
}

/// `x wᵀ` in the precision of w.
pub(super) fn product(
    (x, x_layout): (&CpuStorage, &Layout),
    (w, w_layout): (&CpuStorage, &Layout),
    products: Products,
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
    let x = match (x.dtype(), w.dtype()) {
        (DType::F32, DType::F32) => slice::<f32>(x, x_layout)?,
        (DType::BF16, DType::F32 | DType::BF16) => {
            wide = widened(x, x_from, x_to)?;
            &wide
        }
        (x, w) => bail!("a linear layer of {w:?} is given {x:?}"),
    };
    let x = View::new(x, k);
    if w.dtype() == DType::F32 {
        let w = View::new(slice::<f32>(w, w_layout)?, k);
        let mut y = vec![0f32; n * out];
        product_in(products, &mut ViewMut::new(&mut y, out), x, w.turned(), 1.0, false)?;
        return Ok((CpuStorage::F32(y), (n, out).into()));
    }
    let mut y = vec![bf16::ZERO; n * out];
    for first in (0..out).step_by(strip_rows(k)) {
        let width = strip_rows(k).min(out - first);
        let strip = widened(w, w_from + first * k, w_from + (first + width) * k)?;
        let mut part = buffer(n * width);
        product_in(
            products,
            &mut ViewMut::new(&mut part, width),
            x,
            View::new(&strip, k).turned(),
            1.0,
            false,
        )?;
        y.par_chunks_mut(out).zip(part.par_chunks(width)).with_min_len(8).for_each(|(y, part)| {
            y[first..first + width].iter_mut().zip(part).for_each(|(y, &part)| *y = Element::narrow(part));
        });
    }
    Ok((CpuStorage::BF16(y), (n, out).into()))
}

/// `g w`, the gradient of x, in the precision of x; g in `f32`.
pub(super) fn gradient_of_x(grad: &Tensor, w: &Tensor, x: DType, products: Products) -> Result<Tensor> {
    let ((n, out), k) = (grad.dims2()?, w.dim(1)?);
    let mut dx = vec![0f32; n * k];
    let w = w.detach();
    if w.dtype() == DType::F32 {
        with_slices::<f32, f32, _>(grad, &w, |grad, w| {
            let (grad, w) = (View::new(grad, out), View::new(w, k));
            product_in(products, &mut ViewMut::new(&mut dx, k), grad, w, 1.0, false)
        })?;
        return tensor(dx, (n, k))?.to_dtype(x);
    }
    with_slices::<f32, bf16, _>(grad, &w, |grad, w| {
        for first in (0..out).step_by(strip_rows(k)) {
            let rows = first..(first + strip_rows(k)).min(out);
            let strip = widened_slice(&w[rows.start * k..rows.end * k]);
            let grad = View::new(grad, out).columns(rows);
            product_in(products, &mut ViewMut::new(&mut dx, k), grad, View::new(&strip, k), 1.0, first > 0)?;
        }
        Ok(())
    })?;
    tensor(dx, (n, k))?.to_dtype(x)
}

/// `gᵀ x`, the gradient of w, in the precision of w; g in `f32`.
pub(super) fn gradient_of_w(x: &Tensor, grad: &Tensor, w: DType, products: Products) -> Result<Tensor> {
    let x = x.detach().to_dtype(DType::F32)?;
    let (out, k) = (grad.dim(1)?, x.dim(1)?);
    with_slices::<f32, f32, _>(grad, &x, |grad, x| {
        let (grad, x) = (View::new(grad, out), View::new(x, k));
        if w == DType::F32 {
            let mut dw = vec![0f32; out * k];
            product_in(products, &mut ViewMut::new(&mut dw, k), grad.turned(), x, 1.0, false)?;
            return tensor(dw, (out, k));
        }
        let mut dw = vec![bf16::ZERO; out * k];
        for first in (0..out).step_by(strip_rows(k)) {
            let rows = first..(first + strip_rows(k)).min(out);
            let mut strip = buffer(rows.len() * k);
            let grad = grad.columns(rows.clone()).turned();
            product_in(products, &mut ViewMut::new(&mut strip, k), grad, x, 1.0, false)?;
            dw[rows.start * k..rows.end * k].copy_from_slice(&narrowed::<bf16>(&strip));
        }
        tensor(dw, (out, k))
    })
}

/// The gradient of a result as its products are made with it: widened once for all of them.
pub(super) fn wide_gradient(grad: &Tensor) -> Result<Tensor> {
    grad.contiguous()?.to_dtype(DType::F32)
}

/// The gradients of x and w, each where it is wanted; g in `f32`.
fn backward(
    x: &Tensor,
    w: &Tensor,
    grad: &Tensor,
    products: Products,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let dx = x.track_op().then(|| gradient_of_x(grad, w, x.dtype(), products)).transpose()?;
    let dw = w.track_op().then(|| gradient_of_w(x, grad, w.dtype(), products)).transpose()?;
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
        product((x, x_layout), (w, w_layout), self.products)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        backward(x, w, &wide_gradient(grad)?, self.products)
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
        let (mut y, shape) = product((x, x_layout), (w, w_layout), self.products)?;
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
        let (dx, dw) = backward(x, w, &grad, self.products)?;
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
        assert!(difference(linear(&x, &w, None, Products::F32).unwrap(), plain.clone()) < 1e-6);
        let plain = plain.broadcast_add(&b).unwrap();
        assert!(difference(linear(&x, &w, Some(&b), Products::F32).unwrap(), plain) < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let inputs = [random(&[5, 7], 1), random(&[3, 7], 2), random(&[3], 3)];
        check(&inputs, |v| linear(&v[0], &v[1], Some(&v[2]), Products::F32));
        check(&inputs[..2], |v| linear(&v[0], &v[1], None, Products::F32));
        check_bf16(&inputs, &[true, true, false], |v| linear(&v[0], &v[1], Some(&v[2]), Products::F32));
        // What reads bf16 by a weight in f32 gives f32.
        let rounded = |v: &Tensor| v.to_dtype(DType::BF16);
        check_bf16(&inputs[..2], &[true, false], |v| {
            linear(&v[0], &v[1], None, Products::F32).and_then(|y| rounded(&y))
        });
    }

    #[test]
    fn with_products_in_bf16_all_is_that_of_rounded_factors_with_a_weight_in_either_precision() {
        let flat =
            |t: &Tensor| t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for dtype in [DType::F32, DType::BF16] {
            let var = |shape: &[usize], seed| {
                candle_core::Var::from_tensor(&random(shape, seed).to_dtype(dtype).unwrap()).unwrap()
            };
            let (x, w, factor) = (var(&[20, 40], 1), var(&[50, 40], 2), random(&[20, 50], 3));
            let [in_f32, in_bf16] = [Products::F32, Products::Bf16].map(|products| {
                let y = linear(&x, &w, None, products).unwrap();
                let loss = (y.to_dtype(DType::F32).unwrap() * &factor).unwrap().sum_all().unwrap();
                let grads = loss.backward().unwrap();
                [flat(&y), flat(grads.get(&x).unwrap()), flat(grads.get(&w).unwrap())]
            });
            for (place, (exact, rounded)) in in_f32.iter().zip(&in_bf16).enumerate() {
                let size = exact.iter().fold(0f32, |most, x| most.max(x.abs()));
                let off = exact.iter().zip(rounded).fold(0f32, |most, (x, y)| most.max((x - y).abs()));
                assert!(off < 0.01 * size, "{dtype:?}, {place}: off by {off} of {size}");
                // In bf16 the factors are what they are rounded to.
                assert!(dtype == DType::BF16 || off > 1e-5 * size, "{place}: nothing was rounded");
            }
        }
    }

    #[test]
    fn a_frozen_weight_gets_no_gradient_and_passes_that_of_its_input_on() {
        let x = candle_core::Var::from_tensor(&random(&[5, 7], 1)).unwrap();
        let (w, b) = (random(&[3, 7], 2), random(&[3], 3));
        let grads = linear(&x, &w, Some(&b), Products::F32).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&w).is_none() && grads.get(&b).is_none());
        let expected =
            Tensor::ones((5, 3), DType::F32, &candle_core::Device::Cpu).unwrap().matmul(&w).unwrap();
        let found = grads.get(&x).unwrap();
        assert_eq!(found.to_vec2::<f32>().unwrap(), expected.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn operands_that_do_not_fit_are_an_error_and_no_panic() {
        let w = random(&[3, 7], 2);
        assert!(linear(&random(&[5, 6], 1), &w, None, Products::F32).is_err());
        assert!(linear(&random(&[5, 7], 1), &w.to_dtype(DType::BF16).unwrap(), None, Products::F32).is_err());
    }
}
