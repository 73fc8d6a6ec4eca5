use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

use super::element::{Element, by_dtype, narrowed, slice, storage_dtype, tensor, with_slice};

/// The mean over the tokens of each text: x `[total, d]`, offsets `[texts + 1]`, result
/// `[texts, d]`. The gradient of a token is that of its text's mean over the number of its tokens.
pub fn mean(x: &Tensor, offsets: Arc<[u32]>) -> Result<Tensor> {
    let total = x.dim(0)?;
    if offsets.last().is_some_and(|&last| last as usize != total) {
        bail!("{total} tokens cannot be parted into texts that end at {:?}", offsets.last());
    }
    x.contiguous()?.apply_op1(Mean { offsets })
}

struct Mean {
    offsets: Arc<[u32]>,
}

impl Mean {
    /// For each text the range of its tokens and one over their number.
    fn texts(&self) -> impl Iterator<Item = (std::ops::Range<usize>, f32)> {
        self.offsets.windows(2).map(|range| {
            let range = range[0] as usize..range[1] as usize;
            (range.clone(), 1.0 / range.len().max(1) as f32)
        })
    }
}

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, d) = layout.shape().dims2()?;
        let texts = self.offsets.len().saturating_sub(1);
        by_dtype!(storage_dtype(x), T => {
            let x = slice::<T>(x, layout)?;
            let mut result = vec![0f32; texts * d];
            for ((range, factor), y) in self.texts().zip(result.chunks_exact_mut(d.max(1))) {
                for x in x[range.start * d..range.end * d].chunks_exact(d.max(1)) {
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x.widen());
                }
                y.iter_mut().for_each(|y| *y *= factor);
            }
            Ok((<T as WithDType>::to_cpu_storage_owned(narrowed::<T>(&result)), (texts, d).into()))
        })
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (total, d) = x.dims2()?;
        by_dtype!(x.dtype(), T => {
            let dx = with_slice::<T, _>(grad, |g| {
                let mut dx = Vec::with_capacity(total * d);
                for ((range, factor), g) in self.texts().zip(g.chunks_exact(d.max(1))) {
                    for _ in range {
                        dx.extend(g.iter().map(|g| T::narrow(g.widen() * factor)));
                    }
                }
                Ok(dx)
            })?;
            Ok(Some(tensor(dx, (total, d))?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    #[test]
    fn the_gradient_is_that_of_finite_differences_also_with_an_empty_text() {
        let x = [random(&[5, 3], 1)];
        check(&x, |v| mean(&v[0], [0, 2, 2, 5].into()));
        check_bf16(&x, &[true], |v| mean(&v[0], [0, 2, 2, 5].into()));
    }

    #[test]
    fn every_text_has_its_own_mean() {
        let x = Tensor::new(&[[1f32], [3.0], [10.0]], &candle_core::Device::Cpu).unwrap();
        let found = mean(&x, [0, 2, 3].into()).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(found, [[2.0], [10.0]]);
        assert!(mean(&x, [0, 2].into()).is_err());
    }
}
