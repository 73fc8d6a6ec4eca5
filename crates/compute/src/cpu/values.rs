//! The numbers of candle's tensors.

use std::{
    ops::Deref,
    sync::{Mutex, PoisonError},
};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, bail};

/// The elements of a tensor in `f32`, for as long as they are read.
pub struct Values<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    from: usize,
    to: usize,
}

impl<'a> Values<'a> {
    pub fn of(tensor: &'a Tensor) -> Result<Values<'a>> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((from, to))) => {
                Ok(Values { storage: Box::new(storage), from, to })
            }
            _ => bail!("a tensor of {:?} is read as contiguous f32 on the CPU", tensor.dtype()),
        }
    }

    pub fn slice(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.from..self.to],
            _ => &[],
        }
    }
}

/// Lets `f` write into a contiguous tensor's storage: it is given that, and which of its elements are the tensor's.
pub fn change(
    tensor: &Tensor,
    f: impl FnOnce(&mut CpuStorage, std::ops::Range<usize>) -> Result<()>,
) -> Result<()> {
    tensor.inplace_op1(&Change(Mutex::new(Some(f))))
}

/// candle hands an operation out as a shared reference, and calls it once.
struct Change<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut CpuStorage, std::ops::Range<usize>) -> Result<()>> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("a weight is not contiguous") };
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(f) => f(storage, from..to),
            None => bail!("a change is made once"),
        }
    }
}
