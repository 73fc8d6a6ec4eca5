use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

use super::element::{Element, by_dtype, narrowed, slice, storage_dtype, tensor, with_slice};

/// The rows of a table by their ids: table `[rows, d]`, ids `[n]`, result `[n, d]`.
///
/// The gradient of a row is the sum of the gradients of all places where its id stands.
pub fn embedding(table: &Tensor, ids: Arc<[u32]>) -> Result<Tensor> {
    table.apply_op1(Embedding { ids })
}

struct Embedding {
    ids: Arc<[u32]>,
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
        let mut sum = vec![0f32; rows * d];
        by_dtype!(table.dtype(), T => {
            with_slice::<T, _>(grad, |g| {
                for (&id, g) in self.ids.iter().zip(g.chunks_exact(d)) {
                    let row = &mut sum[id as usize * d..(id as usize + 1) * d];
                    row.iter_mut().zip(g).for_each(|(sum, g)| *sum += g.widen());
                }
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
