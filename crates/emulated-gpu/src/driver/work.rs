//! Work that a stream is given.

use super::{Handle, Launch, WorkId};
use crate::{blas, rand};

/// What is copied to the device.
#[derive(Debug)]
pub enum Source {
    /// Bytes that were taken from the host at the call, as of pageable memory.
    Taken(Vec<u8>),
    /// The address and length of pinned memory, which is read when the work is executed.
    Pinned { address: usize, bytes: usize },
}

/// Where bytes from the device go: host memory that the caller of [`Driver::download`](super::Driver::download) answers
/// for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub(super) address: usize,
    pub(super) bytes: usize,
}

/// One piece of work for a device.
#[derive(Debug)]
pub enum Work {
    /// A kernel.
    Launch(Launch),
    /// A copy to the device.
    Upload { to: u64, from: Source },
    /// A copy to the host.
    Download { from: u64, to: Target },
    /// A copy within the device, or from another one.
    Copy { to: u64, from: u64, bytes: u64, source_device: usize },
    /// A pattern written over and over.
    Fill { to: u64, pattern: Vec<u8>, bytes: u64 },
    /// The end of an allocation.
    Free { address: u64 },
    /// The recording of an event.
    Mark { event: Handle },
    /// A matrix product.
    Product(blas::Product),
    /// Random numbers.
    Random(rand::Series),
}

/// Work that waits for its turn.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) device: usize,
    /// What has to be executed before it.
    pub(super) after: Vec<WorkId>,
    pub(super) work: Work,
}
