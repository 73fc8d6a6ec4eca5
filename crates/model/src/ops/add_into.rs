use std::ops::Range;

use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor, bail};
use rayon::prelude::*;

use super::element::{Element, slice};

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// x += y in place, for x in `f32` or `bf16` and y in `f32`, of one shape. Whoever shares x's
/// memory sees the sum; nothing is tracked.
pub fn add_into(x: &Tensor, y: &Tensor) -> Result<()> {
    if x.shape() != y.shape() {
        bail!("{:?} cannot be added into {:?}", y.shape(), x.shape());
    }
    if x.device().is_cpu() {
        return x.inplace_op2(y, &AddInto);
    }
    let sum = (x.to_dtype(DType::F32)? + y)?.to_dtype(x.dtype())?;
    x.slice_set(&sum, 0, 0)
}

struct AddInto;

fn add<T: Element>(x: &mut [T], y: &[f32]) {
    x.par_chunks_mut(PIECE).zip(y.par_chunks(PIECE)).for_each(|(x, y)| {
        x.iter_mut().zip(y).for_each(|(x, y)| *x = T::narrow(x.widen() + y));
    });
}

impl InplaceOp2 for AddInto {
    fn name(&self) -> &'static str {
        "add-into"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<()> {
        let y = slice::<f32>(y, y_layout)?;
        let Some((from, to)) = x_layout.contiguous_offsets() else { bail!("an operand is not contiguous") };
        add_storage(x, from..to, y)
    }
}

/// The same for some elements of a storage, such as those of a result that is being made.
pub(super) fn add_storage(x: &mut CpuStorage, range: Range<usize>, y: &[f32]) -> Result<()> {
    match x {
        CpuStorage::F32(x) => add(&mut x[range], y),
        CpuStorage::BF16(x) => add(&mut x[range], y),
        _ => bail!("tensors are f32 or bf16 here"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::random;
    use candle_core::DType;

    #[test]
    fn the_sum_stands_in_the_first_operand_in_its_own_precision() {
        for dtype in [DType::F32, DType::BF16] {
            let (x, y) = (random(&[5, 7], 1).to_dtype(dtype).unwrap(), random(&[5, 7], 2));
            let expected = (x.to_dtype(DType::F32).unwrap() + &y).unwrap().to_dtype(dtype).unwrap();
            add_into(&x, &y).unwrap();
            let values = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(values(&x), values(&expected));
        }
        assert!(add_into(&random(&[2, 3], 1), &random(&[3, 2], 1)).is_err());
    }
}
