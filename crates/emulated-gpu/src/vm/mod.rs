//! Executes kernels.

use crate::fault::{Fault, FaultKind};
use crate::memory::Find;
use crate::ptx::Kernel;

/// A launch of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What is launched.
    pub kernel: &'a Kernel,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub dynamic_shared: u32,
    /// What a block may have of shared memory, static and dynamic together, in bytes: 48 KiB, or what the kernel's
    /// attribute was raised to.
    pub shared_limit: u32,
    /// The parameters' bytes, as [`Kernel::params`] lays them out.
    pub params: &'a [u8],
}

/// In which order warps of a block and blocks of a grid run. A correct kernel computes the same in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first one first.
    Forward,
    /// The last one first.
    Reversed,
    /// Shuffled by this seed.
    Random(u64),
}

/// How launches are executed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Order of warps and blocks.
    pub order: Order,
    /// Whether races are looked for, which costs time and runs on one thread.
    pub races: bool,
    /// Threads of this machine among which blocks are distributed.
    pub threads: usize,
    /// Instructions of warps that one launch may execute.
    pub instruction_limit: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Settings { order: Order::Forward, races: false, threads, instruction_limit: 1 << 36 }
    }
}

/// What a launch did. The figures are the same on every machine and in every order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions of warps.
    pub warp_instructions: u64,
    /// Instructions of threads: each counts once for each of its active lanes.
    pub thread_instructions: u64,
    /// Bytes read from global memory.
    pub bytes_read: u64,
    /// Bytes written to global memory.
    pub bytes_written: u64,
}

/// Executes a launch to its end.
///
/// # Errors
/// The first fault that a thread of it makes.
pub fn launch(launch: &Launch, _memory: &dyn Find, _settings: &Settings) -> Result<Counts, Fault> {
    let kind = FaultKind::EmptyLaunch { grid: launch.grid, block: launch.block };
    Err(Fault { kernel: launch.kernel.name.clone(), at: None, kind })
}
