//! Frozen weights in 4 and in 8 bits. They are made once, when a weight is loaded, and read by products strip by strip.

mod int8;
mod nf4;

pub use int8::Int8;
pub use nf4::{NUMBERS, Nf4};

use candle_core::{CpuStorage, Result, Storage, Tensor, bail};

/// The bytes of a contiguous tensor on the CPU.
fn with_bytes<R>(tensor: &Tensor, f: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::U8(values)), Some((from, to))) => f(&values[from..to]),
        _ => bail!("codes of a weight are contiguous bytes on the CPU"),
    }
}

/// So many bytes of a shape that is one of `usize`.
fn size_of_tensor(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}
