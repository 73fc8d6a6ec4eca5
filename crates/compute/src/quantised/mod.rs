//! Frozen weights in 4 and in 8 bits. They are made once, when a weight is loaded, and read by products part by part, never
//! as a whole.

mod int8;
mod nf4;

pub use int8::Int8;
pub use nf4::{NUMBERS, Nf4};

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor, bail};

/// Numbers of x that a GPU copies at once, at a multiple of so many, where it decodes a weight tile by tile.
pub(crate) const CHUNK: usize = 8;
/// The most rows or columns of such a weight: the blocks of a grid's second dimension by the columns of a block.
const MOST: usize = 65_535 * 128;

/// Whether a GPU decodes a weight of so many rows and columns tile by tile: each row has whole blocks of NF4, and one of a
/// product's factors, which is as long as a row or a column, whole [`CHUNK`]s.
pub(crate) fn has_tiles((rows, cols): (usize, usize)) -> bool {
    let whole = rows.is_multiple_of(CHUNK) && cols.is_multiple_of(64);
    whole && rows > 0 && cols > 0 && rows.max(cols) <= MOST
}

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

/// A vector of so many zeros, all in the same place.
fn stand_in(dtype: DType, count: usize) -> Result<Tensor> {
    Tensor::zeros((), dtype, &Device::Cpu)?.broadcast_as(count)
}
