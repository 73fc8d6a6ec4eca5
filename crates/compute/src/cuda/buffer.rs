//! Memory of the device, and parts of it.

use std::{
    marker::PhantomData,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use candle_core::{
    DType, Result, Storage, Tensor, bail,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DeviceRepr},
    },
};

use super::device::{Arg, Cuda};
use crate::backend::ALIGNED;

/// Numbers in the device's memory. The driver keeps what is freed for the next one.
#[derive(Debug)]
pub struct Buffer {
    place: Place,
    pub(super) len: usize,
    rounded: Option<Rounded>,
}

#[derive(Debug)]
enum Place {
    Own(CudaSlice<f32>),
    /// A part of what was brought at once.
    Brought(Brought),
}

/// A part of what was [brought](crate::Backend::bring) at once, from this word of 32 bits on. The memory is given back with the
/// last part of it.
#[derive(Debug, Clone)]
struct Brought {
    words: Arc<CudaSlice<u32>>,
    from: usize,
}

impl Brought {
    fn address(&self) -> u64 {
        address(&self.words, self.words.stream()) + 4 * self.from as u64
    }
}

/// A buffer's numbers rounded to bf16, as products with weights in bf16 read them.
#[derive(Debug)]
struct Rounded {
    slice: CudaSlice<half::bf16>,
    /// Whether they are those that the buffer has now.
    holds: AtomicBool,
}

/// Some of a buffer's numbers, to read.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub(super) address: u64,
    pub(super) len: usize,
    /// The address of the same numbers rounded to bf16; 0 where they are not there.
    pub(super) rounded: u64,
    buffer: PhantomData<&'a Buffer>,
}

/// Some of a buffer's numbers, to write.
#[derive(Debug)]
pub struct PartMut<'a> {
    pub(super) address: u64,
    pub(super) len: usize,
    /// Of a whole buffer that has room for its numbers rounded.
    rounded: Option<&'a Rounded>,
    buffer: PhantomData<&'a mut Buffer>,
}

/// The address of memory. There is one stream, so that no event is waited for or recorded.
pub(super) fn address<T>(slice: &CudaSlice<T>, stream: &CudaStream) -> u64 {
    slice.device_ptr(stream).0
}

impl Buffer {
    pub(super) fn new(slice: CudaSlice<f32>, len: usize) -> Buffer {
        Buffer { place: Place::Own(slice), len, rounded: None }
    }

    fn address(&self) -> u64 {
        match &self.place {
            Place::Own(slice) => address(slice, slice.stream()),
            Place::Brought(part) => part.address(),
        }
    }

    /// Gives room for the numbers rounded to bf16, which kernels that know of it write beside them.
    pub(super) fn round_beside(&mut self, cuda: &Cuda) -> Result<()> {
        if self.rounded.is_none() {
            self.rounded = Some(Rounded { slice: cuda.alloc(self.len)?, holds: AtomicBool::new(false) });
        }
        Ok(())
    }

    /// Gives back the room for the numbers rounded to bf16.
    pub(super) fn round_no_more(&mut self) {
        self.rounded = None;
    }

    /// The first number of a range, and how many there are.
    fn range(&self, range: Range<usize>) -> (usize, usize) {
        let (end, start) = (range.end.min(self.len), range.start.min(self.len));
        (start, end.saturating_sub(start))
    }

    pub(super) fn part(&self, range: Range<usize>) -> Part<'_> {
        let (start, len) = self.range(range);
        let address = self.address() + 4 * start as u64;
        let rounded = self.rounded.as_ref().filter(|rounded| rounded.holds.load(Ordering::Relaxed));
        let rounded = rounded.map_or(0, |rounded| rounded.address() + 2 * start as u64);
        Part { address, len, rounded, buffer: PhantomData }
    }

    /// What is rounded beside the numbers counts no more, until somebody writes that, too.
    pub(super) fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_> {
        let (start, len) = self.range(range);
        let address = self.address() + 4 * start as u64;
        let rounded = self.rounded.as_ref();
        rounded.inspect(|rounded| rounded.holds.store(false, Ordering::Relaxed));
        PartMut { address, len, rounded: rounded.filter(|_| len == self.len), buffer: PhantomData }
    }

    pub(super) fn all(&self) -> Part<'_> {
        self.part(0..self.len)
    }
}

impl Rounded {
    fn address(&self) -> u64 {
        address(&self.slice, self.slice.stream())
    }
}

impl<'a> PartMut<'a> {
    /// Where a kernel that writes all of the numbers writes them rounded to bf16, too; 0 where nobody reads them so.
    pub(super) fn rounded_beside(&self) -> u64 {
        let Some(rounded) = self.rounded else { return 0 };
        rounded.holds.store(true, Ordering::Relaxed);
        rounded.address()
    }

    /// The numbers to read, after a kernel has written them.
    pub(super) fn written(&self) -> Part<'_> {
        let rounded = self.rounded.filter(|rounded| rounded.holds.load(Ordering::Relaxed));
        let rounded = rounded.map_or(0, Rounded::address);
        Part { address: self.address, len: self.len, rounded, buffer: PhantomData }
    }

    /// The first `at` numbers, and the others.
    pub(super) fn split(self, at: usize) -> (PartMut<'a>, PartMut<'a>) {
        let at = at.min(self.len);
        let part = |address, len| PartMut { address, len, rounded: None, buffer: PhantomData };
        (part(self.address, at), part(self.address + 4 * at as u64, self.len - at))
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
        Ok(Buffer::new(self.alloc(len)?, len))
    }
}

/// Ids in the device's memory, with what the host has to know of them.
#[derive(Clone)]
pub struct Ids {
    pub(super) host: Arc<[u32]>,
    on_device: Brought,
}

impl Ids {
    pub(super) fn new(cuda: &Cuda, ids: &[u32]) -> Result<Ids> {
        let words = Arc::new(upload(cuda, ids)?);
        Ok(Ids { host: ids.into(), on_device: Brought { words, from: 0 } })
    }

    pub(super) fn address(&self) -> u64 {
        self.on_device.address()
    }

    /// An error where one of them is not below a number of rows.
    pub(super) fn check(&self, rows: usize) -> Result<()> {
        match self.host.iter().find(|&&id| id as usize >= rows) {
            Some(id) => bail!("row {id} is not among {rows} rows"),
            None => Ok(()),
        }
    }
}

/// Lists of ids and of numbers in one piece of new memory, each at a multiple of [`ALIGNED`](crate::backend::ALIGNED) words.
pub(super) fn bring(cuda: &Cuda, ids: &[&[u32]], numbers: &[&[f32]]) -> Result<(Vec<Ids>, Vec<Buffer>)> {
    let mut words: Vec<u32> = Vec::new();
    let mut add = |list: &mut dyn Iterator<Item = u32>| {
        let from = words.len();
        words.extend(list);
        words.resize(words.len().next_multiple_of(ALIGNED), 0);
        from
    };
    let of_ids: Vec<usize> = ids.iter().map(|ids| add(&mut ids.iter().copied())).collect();
    let of_numbers: Vec<usize> =
        numbers.iter().map(|list| add(&mut list.iter().map(|x| x.to_bits()))).collect();
    let words = Arc::new(upload(cuda, &words)?);
    let part = |from: usize| Brought { words: words.clone(), from };
    let ids = ids.iter().zip(of_ids).map(|(&ids, from)| Ids { host: ids.into(), on_device: part(from) });
    let buffer = |(list, from): (&&[f32], usize)| Buffer {
        place: Place::Brought(part(from)),
        len: list.len(),
        rounded: None,
    };
    Ok((ids.collect(), numbers.iter().zip(of_numbers).map(buffer).collect()))
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
