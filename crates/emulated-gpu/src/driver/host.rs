//! The host's pinned memory: what `cuMemHostAlloc` gives and `cuMemHostRegister` takes in. Copies to and from it are
//! truly asynchronous, as on hardware; of other memory of the host the driver makes a copy at the call.
#![allow(unsafe_code)] // Host memory is given to the driver by address.

use std::collections::BTreeMap;

use super::{Error, Result, Target};

/// Pinned memory by its first address.
#[derive(Debug, Default)]
pub(super) struct HostMemory {
    blocks: BTreeMap<usize, Block>,
}

#[derive(Debug)]
struct Block {
    bytes: usize,
    /// None of memory that was only registered.
    owned: Option<Vec<u128>>,
}

impl HostMemory {
    /// Allocates `bytes` and returns their address.
    pub(super) fn allocate(&mut self, bytes: usize) -> Result<usize> {
        if bytes == 0 {
            return Err(Error::Argument("0 bytes of pinned memory are asked for".into()));
        }
        let words = vec![u128::MAX; bytes.div_ceil(16)];
        let address = words.as_ptr() as usize;
        self.blocks.insert(address, Block { bytes, owned: Some(words) });
        Ok(address)
    }

    /// Takes in memory of the program's.
    pub(super) fn register(&mut self, address: usize, bytes: usize) -> Result<()> {
        let end = address.checked_add(bytes).filter(|_| address != 0 && bytes > 0);
        let end =
            end.ok_or_else(|| Error::Argument(format!("{bytes} bytes at {address:#x} cannot be pinned")))?;
        let before = self.blocks.range(..end).next_back();
        if before.is_some_and(|(start, block)| start + block.bytes > address) {
            return Err(Error::PinnedAlready { address: address as u64 });
        }
        self.blocks.insert(address, Block { bytes, owned: None });
        Ok(())
    }

    /// Gives up what begins at `address`: allocated memory if `owned`, else registered memory.
    pub(super) fn release(&mut self, address: usize, owned: bool) -> Result<()> {
        match self.blocks.get(&address) {
            Some(block) if block.owned.is_some() == owned => {
                self.blocks.remove(&address);
                Ok(())
            }
            _ if owned => Err(Error::Argument(format!("{address:#x} is no pinned memory of the host"))),
            _ => Err(Error::NotPinned { address: address as u64 }),
        }
    }

    /// Whether all of the range is pinned.
    pub(super) fn is_pinned(&self, address: usize, bytes: usize) -> bool {
        let block = self.blocks.range(..=address).next_back();
        block.is_some_and(|(start, block)| bytes <= block.bytes && address - start <= block.bytes - bytes)
    }

    /// Reads pinned memory.
    pub(super) fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        if !self.is_pinned(address, into.len()) {
            return Err(Error::NotPinned { address: address as u64 });
        }
        // SAFETY: the range is pinned: the program has promised, by the call that pinned it, that it is there.
        unsafe { std::ptr::copy(address as *const u8, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Writes what was downloaded.
    pub(super) fn write(&self, to: Target, bytes: &[u8]) {
        // SAFETY: a `Target` is made by `unsafe` functions alone, whose callers promise that it can be written until
        // the work is done.
        unsafe { std::ptr::copy(bytes.as_ptr(), to.address as *mut u8, to.bytes.min(bytes.len())) };
    }
}

impl Target {
    /// Host memory that bytes from the device go to.
    ///
    /// # Safety
    /// `bytes` bytes at `address` can be written until the work that has this target is done: when the call returns, or,
    /// of pinned memory, when the stream has been synchronised with.
    pub unsafe fn new(address: usize, bytes: usize) -> Target {
        Target { address, bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_range_is_pinned_only_where_all_of_it_is() {
        let mut host = HostMemory::default();
        let start = host.allocate(100).unwrap();
        assert!(host.is_pinned(start, 100) && host.is_pinned(start + 99, 1));
        assert!(!host.is_pinned(start + 1, 100) && !host.is_pinned(start - 1, 2));
        host.release(start, true).unwrap();
        assert!(!host.is_pinned(start, 1));
    }

    #[test]
    fn memory_is_registered_once_and_freed_as_it_came() {
        let mut host = HostMemory::default();
        let words = [0u64; 8];
        let start = words.as_ptr() as usize;
        host.register(start, 64).unwrap();
        assert_eq!(host.register(start + 8, 8), Err(Error::PinnedAlready { address: start as u64 + 8 }));
        assert!(host.release(start, true).is_err(), "cuMemFreeHost is for what cuMemHostAlloc gave");
        host.release(start, false).unwrap();
        assert_eq!(host.release(start, false), Err(Error::NotPinned { address: start as u64 }));
    }
}
