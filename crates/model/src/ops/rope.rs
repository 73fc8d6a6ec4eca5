use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};
use compute::cpu::turn_heads;
use rayon::prelude::*;

use super::element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice};
pub use crate::rotation::Rotation;

/// Rotary position embedding (Su et al., arXiv 2104.09864) in the form that Transformers uses,
/// where feature i is paired with feature i + half.
///
/// Shapes: x and the result `[total, width]`, of which the first `heads · d` features are heads
/// that are turned and the others stay. For each pair y₁ = x₁ cos − x₂ sin, y₂ = x₂ cos + x₁ sin.
/// The gradient is turned back by the same angle.
pub fn rope(x: &Tensor, rotation: &Rotation, heads: usize, d: usize) -> Result<Tensor> {
    let (total, width) = x.dims2()?;
    if heads * d > width || !rotation.fits(total, d) {
        bail!("{total} rows of {width} features cannot be turned as {heads} heads of {d}");
    }
    x.contiguous()?.apply_op1(Rope { rotation: rotation.clone(), heads, d })
}

struct Rope {
    rotation: Rotation,
    heads: usize,
    d: usize,
}

/// Turns the first `heads · d` features of every row of `width`, by the angle or, with `sign` −1, back.
fn turn<T: Element>(rotation: &Rotation, y: &mut [T], width: usize, (heads, d): (usize, usize), sign: f32) {
    let half = rotation.half;
    y.par_chunks_mut(width.max(1)).with_min_len(16).enumerate().for_each(|(row, y)| {
        let angles = row * half..(row + 1) * half;
        let (cos, sin) = (&rotation.cos[angles.clone()], &rotation.sin[angles]);
        turn_heads(&mut y[..heads * d], d, cos, sin, sign);
    });
}

impl Rope {
    fn turned<T: Element>(&self, x: &[T], width: usize, sign: f32) -> Vec<T> {
        let mut y = x.to_vec();
        turn(&self.rotation, &mut y, width, (self.heads, self.d), sign);
        y
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        by_dtype!(storage_dtype(x), T => {
            let y = self.turned::<T>(slice(x, layout)?, width, 1.0);
            Ok((<T as WithDType>::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), T => {
            let dx = with_slice::<T, _>(grad, |g| Ok(self.turned(g, x.dim(1)?, -1.0)))?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    const FREQUENCIES: [f32; 2] = [1.0, 0.1];

    fn rotation(offsets: &[u32]) -> Rotation {
        Rotation::new(offsets, |_| (&FREQUENCIES, 1.0))
    }

    #[test]
    fn positions_begin_anew_in_every_text_and_features_that_are_no_heads_stay() {
        // Two heads of five features, of which four are turned, and three features more.
        let x = random(&[3, 13], 1);
        let y = rope(&x, &rotation(&[0, 2, 3]), 2, 5).unwrap().to_vec2::<f32>().unwrap();
        let x = x.to_vec2::<f32>().unwrap();
        assert_eq!((&y[0], &y[2]), (&x[0], &x[2]), "position 0 is not turned");
        assert_eq!(y[1][4], x[1][4]);
        assert_eq!(y[1][10..], x[1][10..]);
        let turned = x[1][5] * 1f32.cos() - x[1][7] * 1f32.sin();
        assert!((y[1][5] - turned).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let x = [random(&[6, 13], 1)];
        check(&x, |v| rope(&v[0], &rotation(&[0, 4, 6]), 2, 5));
        check_bf16(&x, &[true], |v| rope(&v[0], &rotation(&[0, 4, 6]), 2, 5));
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error_and_no_panic() {
        assert!(rope(&random(&[3, 4], 1), &rotation(&[0, 3]), 1, 3).is_err());
        assert!(rope(&random(&[3, 4], 1), &rotation(&[0, 2]), 1, 4).is_err());
        assert!(rope(&random(&[3, 4], 1), &rotation(&[0, 3]), 2, 4).is_err());
    }
}
