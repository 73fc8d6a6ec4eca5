use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Shape, Tensor, TensorId, bail};
use rayon::prelude::*;

/// Where operations put the gradient of one weight that learns, past candle's graph, which would
/// make zeros, add to them and throw both away for each. The memory is kept from step to step.
#[derive(Debug, Clone, Default)]
pub struct GradientSum(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tensor: Option<Tensor>,
    /// Whether something was put into the tensor since it was given back.
    holds: bool,
    /// The rows of the tensor that may be other than zero, in order; none where any may be.
    rows: Option<Vec<u32>>,
    /// The same of the tensor that was taken last, by which it is known when it is given back.
    taken: Option<(TensorId, Vec<u32>)>,
}

/// Elements that one task clears.
const PIECE: usize = 64 * 1024;

impl GradientSum {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `f` write into the sum, in `f32` and of this shape: add to it where the second argument
    /// is true, else overwrite all of it.
    pub(crate) fn put(&self, shape: &Shape, f: impl FnOnce(&mut [f32], bool) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        let tensor = state.tensor_of(shape)?;
        let add = state.holds;
        state.rows = None;
        tensor.inplace_op1(&Put(Mutex::new(Some(|values: &mut [f32]| f(values, add)))))?;
        state.tensor = Some(tensor);
        state.holds = true;
        Ok(())
    }

    /// Lets `f` add to some rows of the sum, in `f32` and of this shape, and to no others. Of a large table
    /// few rows have a gradient, and to clear the others each time would cost more than these.
    pub(crate) fn put_rows(
        &self,
        shape: &Shape,
        rows: &[u32],
        f: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let (_, width) = shape.dims2()?;
        let mut state = self.state();
        let tensor = state.tensor_of(shape)?;
        let before = state.rows.take();
        let clears = (!state.holds).then_some(before.as_deref());
        tensor.inplace_op1(&Put(Mutex::new(Some(|values: &mut [f32]| {
            match clears {
                Some(Some(rows)) => rows.iter().for_each(|&row| {
                    let from = row as usize * width;
                    values.get_mut(from..from + width).unwrap_or_default().fill(0.0);
                }),
                Some(None) => values.par_chunks_mut(PIECE).for_each(|values| values.fill(0.0)),
                None => {}
            }
            f(values)
        }))))?;
        // What was there before stands beside it only where it was not cleared, and may be any row.
        if clears.is_some() || before.is_some() {
            let mut all = before.filter(|_| state.holds).unwrap_or_default();
            all.extend_from_slice(rows);
            all.sort_unstable();
            all.dedup();
            state.rows = Some(all);
        }
        state.tensor = Some(tensor);
        state.holds = true;
        Ok(())
    }

    /// What was put in, if anything was.
    pub(crate) fn take(&self) -> Option<Tensor> {
        let mut state = self.state();
        if !std::mem::take(&mut state.holds) {
            return None;
        }
        let tensor = state.tensor.take()?;
        state.taken = state.rows.take().map(|rows| (tensor.id(), rows));
        Some(tensor)
    }

    /// The rows of a gradient that may be other than zero, in order; none where any may be. It has to be
    /// as it was taken: whoever adds to it has to [`forget`](Self::forget) its rows.
    pub fn rows(&self, gradient: &Tensor) -> Option<Vec<u32>> {
        let state = self.state();
        state.taken.as_ref().filter(|(id, _)| *id == gradient.id()).map(|(_, rows)| rows.clone())
    }

    /// Any row of a gradient may be other than zero from now on.
    pub fn forget(&self, gradient: &Tensor) {
        self.state().taken.take_if(|(id, _)| *id == gradient.id());
    }

    /// Forgets what was put in.
    pub(crate) fn clear(&self) {
        self.state().holds = false;
    }

    /// Gives memory for the next gradient: one that was taken and is no longer looked at.
    pub fn give_back(&self, gradient: Tensor) {
        let mut state = self.state();
        if state.tensor.is_none() && gradient.dtype() == DType::F32 && gradient.is_contiguous() {
            state.rows = state.taken.take_if(|(id, _)| *id == gradient.id()).map(|(_, rows)| rows);
            state.tensor = Some(gradient);
        }
    }
}

impl State {
    /// The memory to put a gradient of this shape into; zeros where there is none yet.
    fn tensor_of(&mut self, shape: &Shape) -> Result<Tensor> {
        if let Some(tensor) = self.tensor.take().filter(|tensor| tensor.shape() == shape) {
            return Ok(tensor);
        }
        (self.holds, self.rows) = (false, Some(Vec::new()));
        Tensor::zeros(shape, DType::F32, &Device::Cpu)
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
    fn of_a_table_the_rows_that_were_put_in_are_there_and_those_of_before_are_cleared() {
        let sum = GradientSum::default();
        let add = |rows: &[u32]| {
            sum.put_rows(&(5, 2).into(), rows, |values| {
                rows.iter().for_each(|&row| values[row as usize * 2] += 1.0);
                Ok(())
            })
            .unwrap();
        };
        let taken = |rows: Option<&[u32]>| {
            let taken = sum.take().unwrap();
            assert_eq!(sum.rows(&taken).as_deref(), rows);
            taken
        };
        let first =
            |tensor: &Tensor| tensor.to_vec2::<f32>().unwrap().iter().map(|row| row[0]).collect::<Vec<_>>();
        add(&[3, 1, 3]);
        add(&[1, 0]);
        let tensor = taken(Some(&[0, 1, 3]));
        assert_eq!(first(&tensor), [1.0, 2.0, 0.0, 2.0, 0.0]);
        sum.give_back(tensor);
        add(&[4]);
        let tensor = taken(Some(&[4]));
        assert_eq!(first(&tensor), [0.0, 0.0, 0.0, 0.0, 1.0]);
        // Whoever has added to it says so, and then all is cleared.
        crate::ops::add_into(&tensor, &tensor.ones_like().unwrap()).unwrap();
        sum.forget(&tensor);
        assert_eq!(sum.rows(&tensor), None);
        sum.give_back(tensor);
        add(&[2]);
        let tensor = taken(Some(&[2]));
        assert_eq!(first(&tensor), [0.0, 0.0, 1.0, 0.0, 0.0]);
        // Memory that is another's may hold anything.
        sum.give_back(tensor.ones_like().unwrap());
        sum.give_back(tensor);
        add(&[1]);
        assert_eq!(first(&taken(Some(&[1]))), [0.0, 1.0, 0.0, 0.0, 0.0]);
        // Where something else was put in as well, any row may be other than zero.
        add(&[1]);
        sum.put(&(5, 2).into(), |values, add| {
            assert!(add);
            values[8] += 1.0;
            Ok(())
        })
        .unwrap();
        add(&[0]);
        assert_eq!(first(&taken(None)), [1.0, 1.0, 0.0, 0.0, 1.0]);
        // What a pass that failed has put in is none of the next one's.
        add(&[3]);
        sum.clear();
        add(&[2]);
        assert_eq!(first(&taken(Some(&[2]))), [0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(
            sum.put_rows(&(5, 2).into(), &[3], |values| {
                values[6] = 9.0;
                bail!("no")
            })
            .is_err()
        );
        sum.clear();
        add(&[1]);
        assert_eq!(first(&taken(Some(&[1]))), [0.0, 1.0, 0.0, 0.0, 0.0]);
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
