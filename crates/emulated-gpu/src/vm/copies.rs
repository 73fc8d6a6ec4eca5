//! Copies to shared memory (`cp.async`) that a warp's threads have begun and not waited for yet.

use super::access::By;
use super::registers::LANES;

/// A copy under way.
#[derive(Clone, Debug)]
pub struct Copy {
    pub lane: usize,
    /// How many groups its thread had committed before it.
    pub group: u32,
    /// Where it goes in shared memory.
    pub to: usize,
    pub bytes: [u8; 16],
    pub size: usize,
    pub by: By,
}

/// What a warp's threads have under way.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    pub under_way: Vec<Copy>,
    /// Groups that each lane has committed.
    pub committed: [u32; LANES],
}
