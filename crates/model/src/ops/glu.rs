use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};
use compute::{Activation, WithFunction};
use rayon::prelude::*;

use super::element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice, with_slices};

/// A gated linear unit's middle (Shazeer, arXiv 2002.05202): y = f(a) b. With `silu` it is SwiGLU,
/// with `gelu` GeGLU.
///
/// Shapes: a, b and the result `[n, d]`. ∂a = g b f′(a), ∂b = g f(a).
pub fn glu(a: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Glu { activation })
}

/// The same with a and b side by side in the rows of one tensor `[n, 2 d]`, a first, as Phi-3 and
/// ModernBERT have it.
pub fn glu_fused(x: &Tensor, activation: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Glu { activation })
}

struct Glu {
    activation: Activation,
}

/// Where a and b lie: for each, the elements, and by how many the rows are apart.
#[derive(Clone, Copy)]
struct Pair<'a, T> {
    a: &'a [T],
    b: &'a [T],
    d: usize,
    stride: usize,
}

impl<'a, T> Pair<'a, T> {
    fn fused(x: &'a [T], d: usize) -> Pair<'a, T> {
        Pair { a: x, b: x.get(d..).unwrap_or_default(), d, stride: 2 * d }
    }

    fn row(&self, row: usize) -> (&'a [T], &'a [T]) {
        let from = row * self.stride;
        (&self.a[from..from + self.d], &self.b[from..from + self.d])
    }
}

compute::vectorised! {
    fn forward_row<'a; T: [Element], V: [Fn(f32) -> f32]>(
        a: &'a [T],
        b: &'a [T],
        y: &'a mut [T],
        value: &'a V,
    ) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = T::narrow(value(a.widen()) * b.widen());
        }
    }
}

compute::vectorised! {
    fn backward_row<'a; T: [Element], V: [Fn(f32) -> f32], D: [Fn(f32) -> f32]>(
        pair: (&'a [T], &'a [T]),
        g: &'a [T],
        to_pair: (&'a mut [T], &'a mut [T]),
        value: &'a V,
        derivative: &'a D,
    ) {
        let ((a, b), (da, db)) = (pair, to_pair);
        for (((da, db), g), (a, b)) in da.iter_mut().zip(db).zip(g).zip(a.iter().zip(b)) {
            let (a, b, g) = (a.widen(), b.widen(), g.widen());
            *da = T::narrow(g * b * derivative(a));
            *db = T::narrow(g * value(a));
        }
    }
}

struct Forward<'a, T> {
    pair: Pair<'a, T>,
    y: &'a mut [T],
}

impl<T: Element> WithFunction<()> for Forward<'_, T> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, _: impl Fn(f32) -> f32 + Sync) {
        self.y.par_chunks_mut(self.pair.d.max(1)).with_min_len(8).enumerate().for_each(|(row, y)| {
            let (a, b) = self.pair.row(row);
            forward_row(a, b, y, &value);
        });
    }
}

struct Backward<'a, T> {
    pair: Pair<'a, T>,
    g: &'a [T],
    da: &'a mut [T],
    db: &'a mut [T],
}

impl<T: Element> WithFunction<()> for Backward<'_, T> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, derivative: impl Fn(f32) -> f32 + Sync) {
        let d = self.pair.d.max(1);
        let rows = (self.da.par_chunks_mut(d), self.db.par_chunks_mut(d), self.g.par_chunks(d));
        rows.into_par_iter().with_min_len(8).enumerate().for_each(|(row, (da, db, g))| {
            backward_row(self.pair.row(row), g, (da, db), &value, &derivative);
        });
    }
}

struct FusedBackward<'a, T> {
    pair: Pair<'a, T>,
    g: &'a [T],
    dx: &'a mut [T],
}

impl<T: Element> WithFunction<()> for FusedBackward<'_, T> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, derivative: impl Fn(f32) -> f32 + Sync) {
        let d = self.pair.d.max(1);
        let rows = (self.dx.par_chunks_mut(2 * d), self.g.par_chunks(d));
        rows.into_par_iter().with_min_len(8).enumerate().for_each(|(row, (dx, g))| {
            backward_row(self.pair.row(row), g, dx.split_at_mut(d), &value, &derivative);
        });
    }
}

impl CustomOp2 for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, d) = a_layout.shape().dims2()?;
        if a_layout.shape() != b_layout.shape() {
            bail!("a gate of shape {:?} for values of {:?}", b_layout.shape(), a_layout.shape());
        }
        by_dtype!(storage_dtype(a), T => {
            let pair = Pair { a: slice::<T>(a, a_layout)?, b: slice::<T>(b, b_layout)?, d, stride: d };
            let mut y = vec![T::narrow(0.0); pair.a.len()];
            self.activation.with(Forward { pair, y: &mut y });
            Ok((<T as WithDType>::to_cpu_storage_owned(y), a_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let d = a.dim(1)?;
        by_dtype!(a.dtype(), T => {
            let (da, db) = with_slices::<T, T, _>(a, b, |a, b| with_slice::<T, _>(grad, |g| {
                let (mut da, mut db) = (vec![T::narrow(0.0); a.len()], vec![T::narrow(0.0); a.len()]);
                let pair = Pair { a, b, d, stride: d };
                self.activation.with(Backward { pair, g, da: &mut da, db: &mut db });
                Ok((da, db))
            }))?;
            Ok((Some(tensor(da, a.shape())?), Some(tensor(db, a.shape())?)))
        })
    }
}

impl CustomOp1 for Glu {
    fn name(&self) -> &'static str {
        "glu-fused"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, width) = layout.shape().dims2()?;
        if width % 2 != 0 {
            bail!("values and gates side by side have an even width, not {width}");
        }
        let d = width / 2;
        by_dtype!(storage_dtype(x), T => {
            let pair = Pair::fused(slice::<T>(x, layout)?, d);
            let mut y = vec![T::narrow(0.0); n * d];
            self.activation.with(Forward { pair, y: &mut y });
            Ok((<T as WithDType>::to_cpu_storage_owned(y), (n, d).into()))
        })
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let d = x.dim(1)? / 2;
        by_dtype!(x.dtype(), T => {
            let dx = with_slices::<T, T, _>(x, grad, |x, g| {
                let mut dx = vec![T::narrow(0.0); x.len()];
                self.activation.with(FusedBackward { pair: Pair::fused(x, d), g, dx: &mut dx });
                Ok(dx)
            })?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::{
        activate,
        gradient_check::{check, check_bf16, random},
    };

    #[test]
    fn side_by_side_or_apart_the_result_is_the_activation_times_the_gate() {
        let (a, b) = (random(&[20, 6], 1), random(&[20, 6], 2));
        let plain = (activate(&a, Activation::Silu).unwrap() * &b).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(glu(&a, &b, Activation::Silu).unwrap().to_vec2::<f32>().unwrap(), plain);
        let x = Tensor::cat(&[&a, &b], 1).unwrap();
        assert_eq!(glu_fused(&x, Activation::Silu).unwrap().to_vec2::<f32>().unwrap(), plain);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let pair = [random(&[9, 4], 1), random(&[9, 4], 2)];
        let x = [random(&[9, 8], 1)];
        for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
            check(&pair, |v| glu(&v[0], &v[1], activation));
            check(&x, |v| glu_fused(&v[0], activation));
            check_bf16(&pair, &[true, true], |v| glu(&v[0], &v[1], activation));
            check_bf16(&x, &[true], |v| glu_fused(&v[0], activation));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error_and_no_panic() {
        assert!(glu(&random(&[2, 4], 1), &random(&[2, 3], 1), Activation::Silu).is_err());
        assert!(glu_fused(&random(&[2, 3], 1), Activation::Silu).is_err());
    }
}
