//! An access to memory: who makes it, and how.

use crate::fault::Access;

/// A thread of a launch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    pub block: u64,
    pub warp: u32,
    pub lane: u32,
}

/// Who accesses memory, and by which instruction.
#[derive(Clone, Copy, Debug)]
pub struct By {
    pub thread: Thread,
    /// The number of the instruction in the kernel.
    pub at: u32,
}

/// How memory is touched.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    pub access: Access,
    pub size: u64,
    /// Volatile, relaxed, acquiring or releasing.
    pub strong: bool,
    /// Whether a write leaves the bytes as they are.
    pub same: bool,
}
