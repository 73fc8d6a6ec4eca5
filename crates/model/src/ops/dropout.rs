use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};
use compute::{Dropout, cpu::rows::drop_all};

use super::{
    Mode,
    element::{Element, by_dtype, slice, storage_dtype, tensor, with_slice},
};

/// Inverted dropout (Srivastava et al., JMLR 15, 2014): in training each element is 0 with
/// probability `p` and multiplied by 1 / (1 − p) otherwise; in evaluation nothing happens.
pub fn dropout(x: &Tensor, p: f32, mode: Mode) -> Result<Tensor> {
    match mode.dropout(p) {
        Some(dropout) => x.contiguous()?.apply_op1(Drop(dropout)),
        None => Ok(x.clone()),
    }
}

struct Drop(Dropout);

impl Drop {
    fn apply<T: Element>(&self, x: &[T]) -> Vec<T> {
        let mut y = x.to_vec();
        drop_all(&mut y, Some(self.0));
        y
    }
}

impl CustomOp1 for Drop {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_dtype!(storage_dtype(x), T => {
            let y = self.apply::<T>(slice(x, layout)?);
            Ok((<T as WithDType>::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), T => {
            let dx = with_slice::<T, _>(grad, |g| Ok(self.apply(g)))?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};

    #[test]
    fn evaluation_drops_nothing_and_training_drops_by_the_seed() {
        let x = random(&[40, 50], 1);
        let values = |mode| dropout(&x, 0.5, mode).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(Mode::Evaluate), x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let train = values(Mode::train(1));
        assert_eq!(train, values(Mode::train(1)));
        assert_ne!(train, values(Mode::train(2)));
        let dropped = train.iter().filter(|&&y| y == 0.0).count();
        assert!((800..1200).contains(&dropped), "{dropped}");
    }

    #[test]
    fn the_gradient_passes_where_the_value_passed() {
        check(&[random(&[6, 5], 1)], |v| dropout(&v[0], 0.3, Mode::train(9)));
        check_bf16(&[random(&[6, 5], 1)], &[true], |v| dropout(&v[0], 0.3, Mode::train(9)));
    }
}
