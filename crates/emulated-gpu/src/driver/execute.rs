//! Work of streams: how it is issued and what it does.

use super::{
    Driver, Error, Result, StreamKey, WorkId,
    work::{Queued, Source, Work},
};
use crate::memory;

impl Driver {
    /// Gives work to a stream. Unless work is deferred, it is executed at once.
    pub(crate) fn issue(&mut self, stream: StreamKey, work: Work) -> Result<WorkId> {
        let device = self.device_of(stream.context())?;
        let id = self.issued;
        self.issued += 1;
        let after = self.follow(stream, id);
        self.pending.insert(id, Queued { device, after, work });
        if !self.settings.deferred {
            self.complete([id])?;
        }
        Ok(id)
    }

    /// Does a piece of work now.
    pub(super) fn execute(&mut self, queued: Queued) -> Result<()> {
        let Queued { device, work, .. } = queued;
        match work {
            Work::Launch(launch) => {
                let counts = launch.execute(self.memory(device), &self.settings)?;
                self.counters.launch(launch.name(), &counts);
            }
            Work::Upload { to, from } => match from {
                Source::Taken(bytes) => {
                    self.memory_mut(device).bytes_mut(to, bytes.len() as u64)?.copy_from_slice(&bytes);
                }
                Source::Pinned { address, bytes } => {
                    let target = self.devices[device].memory.bytes_mut(to, bytes as u64)?;
                    self.host.read(address, target)?;
                }
            },
            Work::Download { from, to } => {
                let bytes = self.devices[device].memory.bytes(from, to.bytes as u64)?;
                self.host.write(to, bytes);
            }
            Work::Copy { to, from, bytes, source_device } if source_device != device => {
                let source = self.memory(source_device).bytes(from, bytes)?.to_vec();
                self.memory_mut(device).bytes_mut(to, bytes)?.copy_from_slice(&source);
            }
            Work::Copy { to, from, bytes, .. } => self.memory_mut(device).copy(to, from, bytes)?,
            Work::Fill { to, pattern, bytes } => self.memory_mut(device).fill(to, &pattern, bytes)?,
            Work::Free { address } => self.memory_mut(device).remove(address),
            Work::Mark { event } => self.mark(event),
            Work::Product(product) => {
                let moved = product.execute(&mut self.devices[device].memory, self.settings.threads)?;
                self.count_library(product.function, moved, product.flop());
            }
            Work::Random(series) => {
                let moved = series.execute(&mut self.devices[device].memory)?;
                self.count_library(series.function, moved, 0);
            }
        }
        Ok(())
    }

    /// Counts what a library's own kernel did: bytes read and written, and the work of a product.
    fn count_library(&mut self, function: &str, moved: (u64, u64), flop: u64) {
        let entry = self.counters.kernels.entry(function.to_owned()).or_default();
        entry.launches += 1;
        entry.bytes_read += moved.0;
        entry.bytes_written += moved.1;
        entry.product_flop += flop;
    }

    /// Checks a range for work that is issued now.
    pub(crate) fn check(&self, device: usize, address: u64, bytes: u64) -> Result<()> {
        self.memory(device).check_now(address, bytes).map_err(|error: memory::Error| Error::from(error))
    }
}
