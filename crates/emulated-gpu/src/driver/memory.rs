//! Allocations, copies and fills as the driver's calls ask for them.

use std::ops::Range;

use super::{Driver, Error, Handle, Result, Source, StreamKey, Target, Work, WorkId};
use crate::memory::{self, Find, Where};

impl Driver {
    /// Allocates memory of a context's device. It is full of `0xff`.
    pub fn allocate(&mut self, context: Handle, bytes: u64) -> Result<u64> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        if bytes == 0 {
            return Err(Error::Argument("0 bytes are asked for".into()));
        }
        let memory = self.memory_mut(device);
        let Some(address) = memory.allocate(bytes) else {
            return Err(Error::OutOfMemory { wanted: bytes, free: memory.free() });
        };
        let peak = memory.peak();
        self.owners.insert(address, context);
        self.counters.allocations += 1;
        self.counters.peak_memory = self.counters.peak_memory.max(peak);
        Ok(address)
    }

    /// Frees memory when all work of the context is done, as `cuMemFree` waits for it.
    pub fn free(&mut self, context: Handle, address: u64) -> Result<()> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        if address == 0 {
            return Ok(());
        }
        self.synchronise_all_quietly(context)?;
        self.leave(device, address)?;
        self.memory_mut(device).remove(address);
        Ok(())
    }

    /// Frees memory when the work that its stream has so far is done.
    pub fn free_in(&mut self, stream: StreamKey, address: u64) -> Result<()> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        if address == 0 {
            return Ok(());
        }
        self.leave(device, address)?;
        self.issue(stream, Work::Free { address }).map(drop)
    }

    fn leave(&mut self, device: usize, address: u64) -> Result<()> {
        self.memory_mut(device).leave(address)?;
        self.owners.remove(&address);
        Ok(())
    }

    /// Frees what a context has allocated and not freed.
    pub(super) fn free_all(&mut self, context: Handle) {
        let Ok(device) = self.device_of(context) else { return };
        let owned: Vec<u64> =
            self.owners.iter().filter(|(_, owner)| **owner == context).map(|(&a, _)| a).collect();
        for address in owned {
            if self.leave(device, address).is_ok() {
                self.memory_mut(device).remove(address);
            }
        }
    }

    /// The allocation that an address is in.
    pub(super) fn extent(&self, device: usize, address: u64) -> Result<Range<u64>> {
        match self.memory(device).find(address) {
            Where::Live(extent) | Where::Constant(extent) => Ok(extent),
            Where::Freed(extent) => Err(memory::Error::UseAfterFree { address, bytes: 1, extent }.into()),
            Where::Nowhere => Err(memory::Error::NoAllocation { address, bytes: 1 }.into()),
        }
    }

    /// Free and all bytes of a context's device.
    pub fn memory_info(&self, context: Handle) -> Result<(u64, u64)> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        Ok((self.memory(device).free(), self.memory(device).total()))
    }

    /// Copies to the device.
    pub fn upload(&mut self, stream: StreamKey, to: u64, from: Source) -> Result<WorkId> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        let bytes = match &from {
            Source::Taken(bytes) => bytes.len(),
            Source::Pinned { bytes, .. } => *bytes,
        } as u64;
        self.check(device, to, bytes)?;
        self.counters.uploads.add(bytes);
        self.issue(stream, Work::Upload { to, from })
    }

    /// Copies to the host. Where the target is not pinned, the copy is done when this returns.
    pub fn download(&mut self, stream: StreamKey, from: u64, to: Target) -> Result<()> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        self.check(device, from, to.bytes as u64)?;
        self.counters.downloads.add(to.bytes as u64);
        let pinned = self.host.is_pinned(to.address, to.bytes);
        let id = self.issue(stream, Work::Download { from, to })?;
        if !pinned {
            self.counters.synchronisations += 1;
            self.complete([id])?;
        }
        Ok(())
    }

    /// The bytes at an address, once all work of the stream is done: a copy to pageable memory.
    pub fn read(&mut self, stream: StreamKey, from: u64, bytes: u64) -> Result<Vec<u8>> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        self.check(device, from, bytes)?;
        self.counters.downloads.add(bytes);
        self.synchronise_stream(stream)?;
        Ok(self.memory(device).bytes(from, bytes)?.to_vec())
    }

    /// Copies within a stream's device, or to it from the device of another context.
    pub fn copy(
        &mut self,
        stream: StreamKey,
        to: u64,
        from: u64,
        bytes: u64,
        source: Option<Handle>,
    ) -> Result<WorkId> {
        let device = self.device_of(stream.context())?;
        let source_device = source.map_or(Ok(device), |context| self.device_of(context))?;
        self.usable(device)?;
        self.check(device, to, bytes)?;
        self.check(source_device, from, bytes)?;
        if bytes > 0 && device == source_device && to < from + bytes && from < to + bytes {
            return Err(Error::Overlap { from, to, bytes });
        }
        self.counters.copies.add(bytes);
        self.issue(stream, Work::Copy { to, from, bytes, source_device })
    }

    /// Writes `pattern` `count` times.
    pub fn fill(&mut self, stream: StreamKey, to: u64, pattern: &[u8], count: u64) -> Result<WorkId> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        let width = pattern.len() as u64;
        let bytes =
            count.checked_mul(width).ok_or_else(|| Error::Argument(format!("{count} elements to fill")))?;
        if !to.is_multiple_of(width.max(1)) {
            return Err(Error::Argument(format!("a fill of words of {width} bytes begins at {to:#x}")));
        }
        self.check(device, to, bytes)?;
        self.counters.fills.add(bytes);
        self.issue(stream, Work::Fill { to, pattern: pattern.to_vec(), bytes })
    }
}
