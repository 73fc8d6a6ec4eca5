use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use compute::{Activation, WithFunction};
use rayon::prelude::*;

use super::element::{Element, by_dtype, slice, storage_dtype, tensor, with_slices};

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// The activation of every element. Any shape; with the gradient g, ∂x = g f′(x).
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Activate(activation))
}

struct Activate(Activation);

struct Forward<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element> WithFunction<()> for Forward<'_, T> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, _: impl Fn(f32) -> f32 + Sync) {
        self.y.par_chunks_mut(PIECE).zip(self.x.par_chunks(PIECE)).for_each(|(y, x)| {
            forward(x, y, &value);
        });
    }
}

compute::vectorised! {
    fn forward<'a; T: [Element], V: [Fn(f32) -> f32]>(x: &'a [T], y: &'a mut [T], value: &'a V) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = T::narrow(value(x.widen())));
    }
}

compute::vectorised! {
    fn backward<'a; T: [Element], D: [Fn(f32) -> f32]>(
        x: &'a [T],
        g: &'a [T],
        dx: &'a mut [T],
        derivative: &'a D,
    ) {
        for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
            *dx = T::narrow(g.widen() * derivative(x.widen()));
        }
    }
}

struct Backward<'a, T> {
    x: &'a [T],
    g: &'a [T],
    dx: &'a mut [T],
}

impl<T: Element> WithFunction<()> for Backward<'_, T> {
    fn call(self, _: impl Fn(f32) -> f32 + Sync, derivative: impl Fn(f32) -> f32 + Sync) {
        let pieces = (self.dx.par_chunks_mut(PIECE), self.x.par_chunks(PIECE), self.g.par_chunks(PIECE));
        pieces.into_par_iter().for_each(|(dx, x, g)| {
            backward(x, g, dx, &derivative);
        });
    }
}

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_dtype!(storage_dtype(x), T => {
            let x = slice::<T>(x, layout)?;
            let mut y = vec![T::narrow(0.0); x.len()];
            self.0.with(Forward { x, y: &mut y });
            Ok((<T as candle_core::WithDType>::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), T => {
            let dx = with_slices::<T, T, _>(x, grad, |x, g| {
                let mut dx = vec![T::narrow(0.0); x.len()];
                self.0.with(Backward { x, g, dx: &mut dx });
                Ok(dx)
            })?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}

#[cfg(test)]
const ALL: [Activation; 5] =
    [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Relu, Activation::Tanh];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    #[test]
    fn values_are_those_of_the_formulas_in_double_precision() {
        let x = (random(&[400], 4) * 6.0).unwrap();
        for activation in ALL {
            let found = activate(&x, activation).unwrap().to_vec1::<f32>().unwrap();
            for (x, found) in x.to_vec1::<f32>().unwrap().into_iter().zip(found) {
                let x = f64::from(x);
                let exact = match activation {
                    Activation::Gelu => x * 0.5 * (1.0 + libm::erf(x / 2f64.sqrt())),
                    Activation::GeluTanh => {
                        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                        0.5 * x * (1.0 + inner.tanh())
                    }
                    Activation::Silu => x / (1.0 + (-x).exp()),
                    Activation::Relu => x.max(0.0),
                    Activation::Tanh => x.tanh(),
                };
                assert!((f64::from(found) - exact).abs() < 2e-6, "{activation:?}({x}): {found} {exact}");
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        // Away from 0, where relu has no derivative.
        let x = (random(&[6, 5], 1) * 3.0).unwrap();
        let x = (&x + (x.sign().unwrap() * 0.05).unwrap()).unwrap();
        for activation in ALL {
            check(std::slice::from_ref(&x), |v| activate(&v[0], activation));
            check_bf16(std::slice::from_ref(&x), &[true], |v| activate(&v[0], activation));
        }
    }

    #[test]
    fn far_from_zero_nothing_overflows() {
        let x = Tensor::new(&[-1e30f32, -200.0, 200.0, 1e30], &candle_core::Device::Cpu).unwrap();
        for activation in [Activation::Gelu, Activation::Silu, Activation::Relu, Activation::Tanh] {
            let values = activate(&x, activation).unwrap().to_vec1::<f32>().unwrap();
            assert!(values.iter().all(|y| y.is_finite()), "{activation:?}: {values:?}");
        }
    }
}
