use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::{
    Mode,
    element::{Element, by_dtype, narrowed, slice, storage_dtype, tensor, with_slice},
};
use crate::{GradientSum, weights::Weight};

/// Elements that one task clears.
const PIECE: usize = 64 * 1024;

/// The rows of a table by their ids: table `[rows, d]`, ids `[n]`, result `[n, d]`.
///
/// The gradient of a row is the sum of the gradients of all places where its id stands.
pub fn embedding(table: &Tensor, ids: Arc<[u32]>) -> Result<Tensor> {
    table.apply_op1(Embedding { ids, sum: None })
}

/// The same of a table that learns, whose gradient in `f32` goes to where it is summed and not into
/// the graph: it has a row for every word there is, of which a batch reads a few.
pub(crate) fn embedding_of(table: &Weight, ids: Arc<[u32]>, mode: Mode) -> Result<Tensor> {
    let sum = table.gradient().filter(|_| table.values().dtype() == DType::F32).cloned();
    table.get(mode).apply_op1(Embedding { ids, sum })
}

struct Embedding {
    ids: Arc<[u32]>,
    sum: Option<GradientSum>,
}

impl Embedding {
    /// Adds the gradient of every place to that of its row.
    fn add<T: Element>(&self, g: &[T], d: usize, sum: &mut [f32]) {
        for (&id, g) in self.ids.iter().zip(g.chunks_exact(d)) {
            let row = &mut sum[id as usize * d..(id as usize + 1) * d];
            row.iter_mut().zip(g).for_each(|(sum, g)| *sum += g.widen());
        }
    }
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, d) = layout.shape().dims2()?;
        by_dtype!(storage_dtype(table), T => {
            let table = slice::<T>(table, layout)?;
            let mut result = Vec::with_capacity(self.ids.len() * d);
            for &id in self.ids.iter() {
                let id = id as usize;
                if id >= rows {
                    bail!("id {id} is not in a table of {rows} rows");
                }
                result.extend_from_slice(&table[id * d..(id + 1) * d]);
            }
            Ok((<T as WithDType>::to_cpu_storage_owned(result), (self.ids.len(), d).into()))
        })
    }

    fn bwd(&self, table: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !table.track_op() {
            return Ok(None);
        }
        let (rows, d) = table.dims2()?;
        if let Some(sum) = &self.sum {
            sum.put(table.shape(), |sum, add| {
                if !add {
                    sum.par_chunks_mut(PIECE).for_each(|sum| sum.fill(0.0));
                }
                with_slice::<f32, _>(grad, |g| {
                    self.add(g, d, sum);
                    Ok(())
                })
            })?;
            return Ok(None);
        }
        let mut sum = vec![0f32; rows * d];
        by_dtype!(table.dtype(), T => {
            with_slice::<T, _>(grad, |g| {
                self.add(g, d, &mut sum);
                Ok(())
            })?;
            Ok(Some(tensor(narrowed::<T>(&sum), (rows, d))?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    #[test]
    fn the_gradient_of_an_id_that_stands_twice_is_summed() {
        check(&[random(&[5, 3], 1)], |v| embedding(&v[0], [4, 0, 4, 2].into()));
        check_bf16(&[random(&[5, 3], 1)], &[true], |v| embedding(&v[0], [4, 0, 4, 2].into()));
    }

    #[test]
    fn an_id_outside_the_table_is_an_error_and_no_panic() {
        assert!(embedding(&random(&[5, 3], 1), [5].into()).is_err());
    }
}
