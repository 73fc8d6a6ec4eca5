//! Device memory, which is memory of this process at the same addresses.
#![allow(unsafe_code)] // Kernels compute addresses as numbers; here alone, checked ones become memory.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// An allocation in which kernels may read and write.
///
/// Whoever makes one vouches that these bytes are allocated, and stay so while a launch runs. They are accessed by
/// atomic instructions alone, since blocks run at the same time and a faulty kernel's blocks may touch the same word.
#[derive(Clone, Debug)]
pub struct Extent {
    range: Range<u64>,
    writable: bool,
}

impl Extent {
    /// The extent of an allocation that [`crate::memory::Find`] has found.
    pub fn new(range: Range<u64>, writable: bool) -> Extent {
        Extent { range, writable }
    }

    /// One without a byte.
    pub fn empty() -> Extent {
        Extent { range: 1..1, writable: false }
    }

    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Whether it holds all of these bytes.
    #[inline(always)]
    pub fn holds(&self, address: u64, size: u64) -> bool {
        address >= self.range.start && self.range.end.saturating_sub(address) >= size
    }
}

/// A word of memory.
pub trait Word: Copy + Default {
    /// The word at an address; `None` where it is not in the extent or not aligned.
    fn read(extent: &Extent, address: u64) -> Option<Self>;
    /// Writes it; `None` also where the extent is not to be written.
    fn write(extent: &Extent, address: u64, value: Self) -> Option<()>;
    /// Replaces it in one step, and returns what it was.
    fn update(extent: &Extent, address: u64, f: impl Fn(Self) -> Self) -> Option<Self>;
}

macro_rules! words {
    ($($ty:ty: $atomic:ty),*) => { $(
        impl Word for $ty {
            #[inline(always)]
            fn read(extent: &Extent, address: u64) -> Option<$ty> {
                let size = size_of::<$ty>() as u64;
                if !extent.holds(address, size) || address % size != 0 {
                    return None;
                }
                // SAFETY: the bytes are in an allocation that lives, and aligned; all accesses are atomic.
                Some(unsafe { <$atomic>::from_ptr(address as *mut $ty) }.load(Ordering::Relaxed))
            }

            #[inline(always)]
            fn write(extent: &Extent, address: u64, value: $ty) -> Option<()> {
                let size = size_of::<$ty>() as u64;
                if !extent.holds(address, size) || address % size != 0 || !extent.writable {
                    return None;
                }
                // SAFETY: as for a read, and the allocation may be written.
                unsafe { <$atomic>::from_ptr(address as *mut $ty) }.store(value, Ordering::Relaxed);
                Some(())
            }

            fn update(extent: &Extent, address: u64, f: impl Fn($ty) -> $ty) -> Option<$ty> {
                let size = size_of::<$ty>() as u64;
                if !extent.holds(address, size) || address % size != 0 || !extent.writable {
                    return None;
                }
                // SAFETY: as for a write.
                let word = unsafe { <$atomic>::from_ptr(address as *mut $ty) };
                word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(f(old))).ok()
            }
        }
    )* };
}

words!(u8: AtomicU8, u16: AtomicU16, u32: AtomicU32, u64: AtomicU64);
