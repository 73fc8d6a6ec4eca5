use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::element::{slice, tensor, with_slice};

/// A bag of features by a linear layer: for each text the sum of the rows of its distinct
/// features, divided by √(number of features), which gives every text a vector of length 1.
///
/// Shapes: w `[buckets, outputs]`, ids `[total]`, offsets `[texts + 1]`, result
/// `[texts, outputs]`. A text without features gives zeros.
pub fn bag(w: &Tensor, ids: Arc<[u32]>, offsets: Arc<[u32]>) -> Result<Tensor> {
    w.apply_op1(Bag { ids, offsets })
}

struct Bag {
    ids: Arc<[u32]>,
    offsets: Arc<[u32]>,
}

impl Bag {
    /// The features of each text with the value that each of them has.
    fn texts(&self) -> impl Iterator<Item = (&[u32], f32)> {
        self.offsets.windows(2).map(|range| {
            let ids = &self.ids[range[0] as usize..range[1] as usize];
            (ids, 1.0 / (ids.len().max(1) as f32).sqrt())
        })
    }
}

impl CustomOp1 for Bag {
    fn name(&self) -> &'static str {
        "bag"
    }

    fn cpu_fwd(&self, w: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (buckets, outputs) = layout.shape().dims2()?;
        let w = slice::<f32>(w, layout)?;
        let texts = self.offsets.len().saturating_sub(1);
        let mut result = vec![0f32; texts * outputs];
        for ((ids, value), y) in self.texts().zip(result.chunks_exact_mut(outputs)) {
            for &id in ids {
                let id = id as usize;
                if id >= buckets {
                    bail!("feature {id} is not in a table of {buckets} rows");
                }
                y.iter_mut().zip(&w[id * outputs..(id + 1) * outputs]).for_each(|(y, w)| *y += w * value);
            }
        }
        Ok((CpuStorage::F32(result), (texts, outputs).into()))
    }

    fn bwd(&self, w: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (buckets, outputs) = w.dims2()?;
        let mut sum = vec![0f32; buckets * outputs];
        with_slice::<f32, _>(grad, |g| {
            for ((ids, value), g) in self.texts().zip(g.chunks_exact(outputs)) {
                for &id in ids {
                    let row = &mut sum[id as usize * outputs..(id as usize + 1) * outputs];
                    row.iter_mut().zip(g).for_each(|(sum, g)| *sum += g * value);
                }
            }
            Ok(())
        })?;
        Ok(Some(tensor(sum, (buckets, outputs))?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, random};

    #[test]
    fn the_gradient_is_that_of_finite_differences_also_with_an_empty_text() {
        check(&[random(&[7, 2], 1)], |v| bag(&v[0], [0, 3, 6, 1, 3].into(), [0, 3, 3, 5].into()));
    }
}
