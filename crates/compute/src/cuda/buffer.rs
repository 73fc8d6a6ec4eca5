//! Memory of the device, and parts of it.

use std::{marker::PhantomData, ops::Range, sync::Arc};

use candle_core::{
    DType, Result, Storage, Tensor, bail,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DeviceRepr},
    },
};

use super::device::{Arg, Cuda};

/// Numbers in the device's memory. The driver keeps what is freed for the next one.
#[derive(Debug)]
pub struct Buffer {
    pub(super) slice: CudaSlice<f32>,
    pub(super) len: usize,
}

/// Some of a buffer's numbers, to read.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub(super) address: u64,
    pub(super) len: usize,
    buffer: PhantomData<&'a Buffer>,
}

/// Some of a buffer's numbers, to write.
#[derive(Debug)]
pub struct PartMut<'a> {
    pub(super) address: u64,
    pub(super) len: usize,
    buffer: PhantomData<&'a mut Buffer>,
}

/// The address of memory. There is one stream, so that no event is waited for or recorded.
pub(super) fn address<T>(slice: &CudaSlice<T>, stream: &CudaStream) -> u64 {
    slice.device_ptr(stream).0
}

fn of_buffer(buffer: &Buffer, range: Range<usize>) -> (u64, usize) {
    let (end, start) = (range.end.min(buffer.len), range.start.min(buffer.len));
    let first = address(&buffer.slice, buffer.slice.stream());
    (first + 4 * start as u64, end.saturating_sub(start))
}

impl Buffer {
    pub(super) fn part(&self, range: Range<usize>) -> Part<'_> {
        let (address, len) = of_buffer(self, range);
        Part { address, len, buffer: PhantomData }
    }

    pub(super) fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_> {
        let (address, len) = of_buffer(self, range);
        PartMut { address, len, buffer: PhantomData }
    }

    pub(super) fn all(&self) -> Part<'_> {
        self.part(0..self.len)
    }
}

impl<'a> PartMut<'a> {
    /// The first `at` numbers, and the others.
    pub(super) fn split(self, at: usize) -> (PartMut<'a>, PartMut<'a>) {
        let at = at.min(self.len);
        let rest = PartMut { address: self.address + 4 * at as u64, len: self.len - at, buffer: PhantomData };
        (PartMut { len: at, ..self }, rest)
    }
}

impl From<Part<'_>> for Arg {
    fn from(part: Part<'_>) -> Arg {
        Arg::U64(part.address)
    }
}

impl Cuda {
    /// Memory for so many numbers, whatever they are.
    pub(super) fn scratch(&self, len: usize) -> Result<Buffer> {
        Ok(Buffer { slice: self.alloc(len)?, len })
    }
}

/// Ids in the device's memory, with what the host has to know of them.
#[derive(Clone)]
pub struct Ids {
    pub(super) host: Arc<[u32]>,
    pub(super) slice: Arc<CudaSlice<u32>>,
}

impl Ids {
    pub(super) fn new(cuda: &Cuda, ids: &[u32]) -> Result<Ids> {
        Ok(Ids { host: ids.into(), slice: Arc::new(upload(cuda, ids)?) })
    }

    pub(super) fn address(&self, cuda: &Cuda) -> u64 {
        address(&self.slice, cuda.stream())
    }

    /// An error where one of them is not below a number of rows.
    pub(super) fn check(&self, rows: usize) -> Result<()> {
        match self.host.iter().find(|&&id| id as usize >= rows) {
            Some(id) => bail!("row {id} is not among {rows} rows"),
            None => Ok(()),
        }
    }
}

/// Values of the host's in new memory.
pub(super) fn upload<T: DeviceRepr + 'static>(cuda: &Cuda, values: &[T]) -> Result<CudaSlice<T>> {
    if values.is_empty() {
        return cuda.alloc(0);
    }
    cuda.stream().clone_htod(values).w()
}

/// The address of a contiguous tensor's first number, which lies on this device in the type that is expected.
pub(super) fn tensor(cuda: &Cuda, tensor: &Tensor, dtype: DType) -> Result<u64> {
    if tensor.dtype() != dtype {
        bail!("a tensor is in {:?} where {dtype:?} is wanted", tensor.dtype());
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Some((from, _)) = layout.contiguous_offsets() else { bail!("a tensor is not contiguous") };
    let Storage::Cuda(storage) = &*storage else { bail!("a tensor is not on the GPU that computes with it") };
    let stream = cuda.stream();
    let first = match dtype {
        DType::F32 => address(storage.as_cuda_slice::<f32>()?, stream),
        DType::BF16 => address(storage.as_cuda_slice::<half::bf16>()?, stream),
        DType::U8 => address(storage.as_cuda_slice::<u8>()?, stream),
        _ => bail!("weights are held in f32 or bf16, and codes in bytes; not in {dtype:?}"),
    };
    Ok(first + (from * dtype.size_in_bytes()) as u64)
}

/// The same of a vector of so many numbers in `f32`, such as a bias.
pub(super) fn vector(cuda: &Cuda, values: &Tensor, len: usize) -> Result<u64> {
    if values.elem_count() != len {
        bail!("a vector has {} numbers where {len} are wanted", values.elem_count());
    }
    tensor(cuda, values, DType::F32)
}
