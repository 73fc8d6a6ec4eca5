use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Shape, Tensor, bail};

/// Where operations put the gradient of one weight that learns, past candle's graph, which would
/// make zeros, add to them and throw both away for each. The memory is kept from step to step.
#[derive(Debug, Clone, Default)]
pub struct GradientSum(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tensor: Option<Tensor>,
    /// Whether something was put into the tensor since it was given back.
    holds: bool,
}

impl GradientSum {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `f` write into the sum, in `f32` and of this shape: add to it where the second argument
    /// is true, else overwrite all of it.
    pub(crate) fn put(&self, shape: &Shape, f: impl FnOnce(&mut [f32], bool) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        let tensor = match state.tensor.take().filter(|tensor| tensor.shape() == shape) {
            Some(tensor) => tensor,
            None => {
                state.holds = false;
                Tensor::zeros(shape, DType::F32, &Device::Cpu)?
            }
        };
        let add = state.holds;
        tensor.inplace_op1(&Put(Mutex::new(Some(|values: &mut [f32]| f(values, add)))))?;
        state.tensor = Some(tensor);
        state.holds = true;
        Ok(())
    }

    /// What was put in, if anything was.
    pub(crate) fn take(&self) -> Option<Tensor> {
        let mut state = self.state();
        let holds = std::mem::take(&mut state.holds);
        state.tensor.take_if(|_| holds)
    }

    /// Forgets what was put in.
    pub(crate) fn clear(&self) {
        self.state().holds = false;
    }

    /// Gives memory for the next gradient: one that was taken and is no longer looked at.
    pub fn give_back(&self, gradient: Tensor) {
        let mut state = self.state();
        if state.tensor.is_none() && gradient.dtype() == DType::F32 && gradient.is_contiguous() {
            state.tensor = Some(gradient);
        }
    }
}

/// A function of the elements of a tensor, called once.
struct Put<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for Put<F> {
    fn name(&self) -> &'static str {
        "put-gradient"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("a gradient is not contiguous") };
        let f = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (storage, f) {
            (CpuStorage::F32(values), Some(f)) => f(&mut values[from..to]),
            _ => bail!("gradients are put together in f32"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(sum: &GradientSum, value: f32) {
        sum.put(&(2, 3).into(), |values, add| {
            values.iter_mut().for_each(|x| *x = value + if add { *x } else { 0.0 });
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn what_is_put_in_adds_up_until_it_is_taken_and_old_memory_does_not_show() {
        let sum = GradientSum::default();
        assert!(sum.take().is_none());
        for _ in 0..2 {
            put(&sum, 1.0);
            put(&sum.clone(), 2.0);
            let taken = sum.take().unwrap();
            assert_eq!(taken.to_vec2::<f32>().unwrap(), [[3.0; 3]; 2]);
            assert!(sum.take().is_none());
            sum.give_back(taken);
        }
        put(&sum, 5.0);
        sum.clear();
        put(&sum, 4.0);
        assert_eq!(sum.take().unwrap().to_vec2::<f32>().unwrap(), [[4.0; 3]; 2]);
    }

    #[test]
    fn an_operation_that_fails_leaves_nothing_behind() {
        let sum = GradientSum::default();
        put(&sum, 1.0);
        assert!(sum.put(&(2, 3).into(), |_, _| bail!("no")).is_err());
        sum.clear();
        put(&sum, 2.0);
        assert_eq!(sum.take().unwrap().to_vec2::<f32>().unwrap(), [[2.0; 3]; 2]);
    }
}
