//! The device's memory: which addresses are whose, how much is free, and the bytes. Device addresses are addresses of
//! this process.
//!
//! Memory that is freed is kept for a while and remembered as freed, which lets the use of it be told from a stray
//! address. Fresh memory is full of `0xff`: a NaN in each kind of float and an index far out of any range.
#![allow(unsafe_code)] // An allocation is read and written by address: that is what a device pointer is.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::atomic::AtomicU64,
};

/// What a device address belongs to. Device addresses are addresses of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// An allocation that is in use, from its first byte to the one past its last.
    Live(Range<u64>),
    /// The same of one that may only be read, as a module's constants.
    Constant(Range<u64>),
    /// An allocation that was freed.
    Freed(Range<u64>),
    /// None.
    Nowhere,
}

/// Finds allocations. What it finds must stay as it is while a launch runs.
pub trait Find: Sync {
    /// What holds the byte at `address`.
    fn find(&self, address: u64) -> Where;
}

/// Memory that is not what its user takes it for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes begin in an allocation and end past it.
    #[error("{bytes} bytes at {address:#x} leave their allocation, which is {:#x} to {:#x}", .extent.start, .extent.end)]
    OutOfBounds { address: u64, bytes: u64, extent: Range<u64> },
    /// The bytes are in no allocation.
    #[error("{bytes} bytes at {address:#x} are in no allocation")]
    NoAllocation { address: u64, bytes: u64 },
    /// The bytes are in an allocation that was freed.
    #[error("{bytes} bytes at {address:#x} are in memory that was freed ({:#x} to {:#x})", .extent.start, .extent.end)]
    UseAfterFree { address: u64, bytes: u64, extent: Range<u64> },
    /// An address is freed that was freed before.
    #[error("{address:#x} is freed twice")]
    DoubleFree { address: u64 },
    /// An address is freed that no allocation begins at.
    #[error("{address:#x} is freed, where no allocation begins")]
    NotAnAllocation { address: u64 },
}

/// Allocations begin at multiples of this, as CUDA's do.
pub const ALIGNMENT: u64 = 256;

/// Bytes after each allocation that belong to nobody: an index one too large meets them, and no neighbour.
const GUARD: u64 = 256;

/// One device's memory.
#[derive(Debug)]
pub struct Memory {
    total: u64,
    used: u64,
    peak: u64,
    live: BTreeMap<u64, Block>,
    freed: BTreeMap<u64, Block>,
    /// Starts of freed blocks, the oldest first.
    oldest: VecDeque<u64>,
    quarantined: u64,
    quarantine: u64,
}

#[derive(Debug)]
struct Block {
    bytes: u64,
    constant: bool,
    /// It is freed as far as the host is concerned, while work that was issued before may still use it.
    leaving: bool,
    /// None of a module's variable, which the module holds.
    words: Option<Box<[AtomicU64]>>,
}

impl Block {
    fn extent(&self, start: u64) -> Range<u64> {
        start..start + self.bytes
    }
}

impl Memory {
    /// `total` bytes, all free. Up to `quarantine` bytes of what is freed later are kept.
    pub fn new(total: u64, quarantine: u64) -> Memory {
        Memory {
            total,
            used: 0,
            peak: 0,
            live: BTreeMap::new(),
            freed: BTreeMap::new(),
            oldest: VecDeque::new(),
            quarantined: 0,
            quarantine,
        }
    }

    /// All of its bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that can still be allocated. What [`Memory::leave`] was called for counts as free.
    pub fn free(&self) -> u64 {
        self.total - self.used
    }

    /// The most bytes that were in use at a time, since [`Memory::forget_peak`] if that was called.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Begins the count of the peak anew from what is in use.
    pub fn forget_peak(&mut self) {
        self.peak = self.used;
    }

    /// Allocates `bytes`, which is not 0, and returns the address; `None` where fewer are free.
    pub fn allocate(&mut self, bytes: u64) -> Option<u64> {
        let counted = counted(bytes)?;
        if counted > self.free() {
            return None;
        }
        let words = (counted + GUARD + ALIGNMENT) / 8;
        let words: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(u64::MAX)).collect();
        let start = (words.as_ptr() as u64).next_multiple_of(ALIGNMENT);
        self.used += counted;
        self.peak = self.peak.max(self.used);
        // The host may give out an address again that a block had which is no longer kept, and only such a one.
        self.live.insert(start, Block { bytes, constant: false, leaving: false, words: Some(words) });
        Some(start)
    }

    /// Takes in a module's variable, which lies elsewhere.
    ///
    /// # Safety
    /// The bytes must be there, and may be written through their address, until [`Memory::release`].
    pub unsafe fn adopt(&mut self, address: u64, bytes: u64, constant: bool) {
        self.live.insert(address, Block { bytes, constant, leaving: false, words: None });
    }

    /// Forgets what [`Memory::adopt`] took in.
    pub fn release(&mut self, address: u64) {
        if self.live.get(&address).is_some_and(|block| block.words.is_none()) {
            self.live.remove(&address);
        }
    }

    /// The host gives up the allocation that begins at `address`: its bytes count as free. Work that was issued before
    /// may use it until [`Memory::remove`].
    pub fn leave(&mut self, address: u64) -> Result<(), Error> {
        match self.live.get_mut(&address) {
            Some(Block { leaving: true, .. }) => Err(Error::DoubleFree { address }),
            Some(Block { words: None, .. }) => Err(Error::NotAnAllocation { address }),
            Some(block) => {
                block.leaving = true;
                self.used -= counted(block.bytes).unwrap_or(0);
                Ok(())
            }
            None if self.freed.contains_key(&address) => Err(Error::DoubleFree { address }),
            None => Err(Error::NotAnAllocation { address }),
        }
    }

    /// Ends an allocation that was left: to use it is a fault from here on.
    pub fn remove(&mut self, address: u64) {
        let Some(block) = self.live.remove(&address) else { return };
        self.quarantined += block.bytes;
        self.oldest.push_back(address);
        self.freed.insert(address, block);
        while self.quarantined > self.quarantine {
            let Some(block) = self.oldest.pop_front().and_then(|start| self.freed.remove(&start)) else {
                break;
            };
            self.quarantined -= block.bytes;
        }
    }

    /// Checks that `bytes` at `address` lie within one allocation that is in use.
    pub fn check(&self, address: u64, bytes: u64) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        match self.find(address) {
            Where::Live(extent) | Where::Constant(extent) if bytes <= extent.end - address => Ok(()),
            Where::Live(extent) | Where::Constant(extent) => {
                Err(Error::OutOfBounds { address, bytes, extent })
            }
            Where::Freed(extent) => Err(Error::UseAfterFree { address, bytes, extent }),
            Where::Nowhere => Err(Error::NoAllocation { address, bytes }),
        }
    }

    /// The same, for work that is only issued now: what was left by [`Memory::leave`] is freed for it.
    pub fn check_now(&self, address: u64, bytes: u64) -> Result<(), Error> {
        if let Some((&start, block)) = self.live.range(..=address).next_back()
            && block.leaving
            && bytes > 0
            && address < start + block.bytes
        {
            return Err(Error::UseAfterFree { address, bytes, extent: block.extent(start) });
        }
        self.check(address, bytes)
    }

    /// The bytes at an address.
    pub fn bytes(&self, address: u64, bytes: u64) -> Result<&[u8], Error> {
        self.check(address, bytes)?;
        if bytes == 0 {
            return Ok(&[]);
        }
        // SAFETY: the range was found within a block that `self` keeps, whose words are initialised and may change
        // through their address; nothing does while `self` is borrowed, as kernels run under `&mut Driver` alone.
        Ok(unsafe { std::slice::from_raw_parts(address as *const u8, bytes as usize) })
    }

    /// The bytes at an address, to be written.
    pub fn bytes_mut(&mut self, address: u64, bytes: u64) -> Result<&mut [u8], Error> {
        self.check(address, bytes)?;
        if bytes == 0 {
            return Ok(&mut []);
        }
        // SAFETY: as above, and `self` is borrowed for writing: no other slice of the same bytes is there.
        Ok(unsafe { std::slice::from_raw_parts_mut(address as *mut u8, bytes as usize) })
    }

    /// Copies within the device. The ranges do not overlap.
    pub fn copy(&mut self, to: u64, from: u64, bytes: u64) -> Result<(), Error> {
        self.check(from, bytes)?;
        let target = self.bytes_mut(to, bytes)?;
        if bytes > 0 {
            // SAFETY: the source was checked, and `copy` allows for an overlap.
            unsafe { std::ptr::copy(from as *const u8, target.as_mut_ptr(), bytes as usize) };
        }
        Ok(())
    }

    /// Writes `pattern` over and over.
    pub fn fill(&mut self, to: u64, pattern: &[u8], bytes: u64) -> Result<(), Error> {
        let target = self.bytes_mut(to, bytes)?;
        match pattern {
            [] => {}
            [first, rest @ ..] if rest.iter().all(|byte| byte == first) => target.fill(*first),
            pattern => {
                for piece in target.chunks_mut(pattern.len()) {
                    piece.copy_from_slice(&pattern[..piece.len()]);
                }
            }
        }
        Ok(())
    }
}

impl Find for Memory {
    fn find(&self, address: u64) -> Where {
        let within = |blocks: &BTreeMap<u64, Block>| {
            let (&start, block) = blocks.range(..=address).next_back()?;
            block.extent(start).contains(&address).then(|| (block.extent(start), block.constant))
        };
        match within(&self.live) {
            Some((extent, true)) => Where::Constant(extent),
            Some((extent, false)) => Where::Live(extent),
            None => within(&self.freed).map_or(Where::Nowhere, |(extent, _)| Where::Freed(extent)),
        }
    }
}

/// The bytes that an allocation takes of the device's.
fn counted(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn freed(memory: &mut Memory, address: u64) {
        memory.leave(address).unwrap();
        memory.remove(address);
    }

    #[test]
    fn memory_is_full_when_its_size_is_allocated_and_free_again_when_that_is_freed() {
        let mut memory = Memory::new(4096, 1 << 20);
        let all = memory.allocate(4096).unwrap();
        assert_eq!((memory.free(), memory.allocate(1)), (0, None));
        freed(&mut memory, all);
        assert_eq!(memory.free(), 4096);
        let again = memory.allocate(4096).unwrap();
        assert_eq!(memory.peak(), 4096);
        freed(&mut memory, again);
        memory.forget_peak();
        assert_eq!(memory.peak(), 0);
    }

    #[test]
    fn a_size_that_overflows_is_too_much() {
        assert_eq!(Memory::new(4096, 0).allocate(u64::MAX), None);
    }

    #[test]
    fn addresses_are_aligned_and_no_two_allocations_touch() {
        let mut memory = Memory::new(1 << 20, 0);
        let mut starts: Vec<u64> = (0..50).map(|_| memory.allocate(256).unwrap()).collect();
        starts.sort_unstable();
        assert!(starts.iter().all(|start| start % ALIGNMENT == 0));
        assert!(starts.windows(2).all(|two| two[1] - two[0] >= 256 + GUARD));
    }

    #[test]
    fn fresh_memory_is_nan_in_each_kind_of_float() {
        let mut memory = Memory::new(4096, 0);
        let start = memory.allocate(16).unwrap();
        let bytes = memory.bytes(start, 8).unwrap();
        assert!(f64::from_le_bytes(bytes.try_into().unwrap()).is_nan());
        assert!(f32::from_le_bytes(bytes[..4].try_into().unwrap()).is_nan());
        assert!(half::f16::from_le_bytes(bytes[..2].try_into().unwrap()).is_nan());
        assert!(half::bf16::from_le_bytes(bytes[..2].try_into().unwrap()).is_nan());
    }

    #[test]
    fn bytes_past_the_end_are_refused_with_the_allocation_that_they_leave() {
        let mut memory = Memory::new(4096, 0);
        let start = memory.allocate(100).unwrap();
        assert!(memory.check(start + 96, 4).is_ok());
        let error = memory.check(start + 97, 4).unwrap_err();
        assert_eq!(error, Error::OutOfBounds { address: start + 97, bytes: 4, extent: start..start + 100 });
        assert_eq!(memory.find(start + 100), Where::Nowhere);
        assert!(memory.check(start + 100, 0).is_ok());
        assert!(memory.check(u64::MAX, 8).is_err());
        assert!(memory.check(start, u64::MAX).is_err());
    }

    #[test]
    fn freed_memory_is_known_as_freed_while_the_quarantine_lasts() {
        let mut memory = Memory::new(1 << 20, 1024);
        let first = memory.allocate(1000).unwrap();
        freed(&mut memory, first);
        assert_eq!(memory.find(first + 999), Where::Freed(first..first + 1000));
        assert!(matches!(memory.check(first, 4), Err(Error::UseAfterFree { .. })));
        let second = memory.allocate(1000).unwrap();
        assert_ne!(first, second, "an address in quarantine is not given out");
        freed(&mut memory, second);
        assert_eq!(memory.find(first), Where::Nowhere);
    }

    #[test]
    fn double_frees_and_foreign_addresses_are_told_apart() {
        let mut memory = Memory::new(1 << 20, 1 << 20);
        let start = memory.allocate(64).unwrap();
        assert_eq!(memory.leave(start + 8), Err(Error::NotAnAllocation { address: start + 8 }));
        memory.leave(start).unwrap();
        assert_eq!(memory.leave(start), Err(Error::DoubleFree { address: start }));
        memory.remove(start);
        assert_eq!(memory.leave(start), Err(Error::DoubleFree { address: start }));
        assert_eq!(memory.free(), 1 << 20, "nothing is counted twice");
    }

    #[test]
    fn what_is_being_freed_serves_earlier_work_and_refuses_later() {
        let mut memory = Memory::new(1 << 20, 1 << 20);
        let start = memory.allocate(64).unwrap();
        memory.leave(start).unwrap();
        assert!(memory.check(start, 64).is_ok());
        assert!(matches!(memory.check_now(start, 64), Err(Error::UseAfterFree { .. })));
    }

    #[test]
    fn fills_and_copies_write_what_they_should_and_nothing_beside() {
        let mut memory = Memory::new(4096, 0);
        let (one, other) = (memory.allocate(12).unwrap(), memory.allocate(12).unwrap());
        memory.fill(one, &[1, 2, 3, 4], 10).unwrap();
        memory.copy(other + 1, one, 10).unwrap();
        assert_eq!(memory.bytes(other, 12).unwrap(), [255, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 255]);
    }

    #[test]
    fn a_modules_constants_are_found_as_such_until_they_are_released() {
        let words = [0u64; 2];
        let address = words.as_ptr() as u64;
        let mut memory = Memory::new(4096, 0);
        // SAFETY: the words outlive the memory and are not written.
        unsafe { memory.adopt(address, 16, true) };
        assert_eq!(memory.find(address + 15), Where::Constant(address..address + 16));
        assert!(memory.leave(address).is_err(), "the program cannot free it");
        memory.release(address);
        assert_eq!(memory.find(address), Where::Nowhere);
    }
}
