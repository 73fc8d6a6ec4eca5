//! Executes kernels: blocks are distributed over threads of this machine, warps of a block take turns, lanes of a warp
//! go together.
//!
//! A block's warps run one after another, each until it waits at a barrier, and blocks do not take turns at all. A kernel
//! that needs another warp or block to get on while it spins never ends here, and is stopped by the limit of
//! instructions.

mod access;
mod barrier;
mod block;
mod copies;
mod exec;
mod fma;
mod global;
pub(crate) mod limits;
mod order;
mod races;
mod registers;
mod run;
mod spaces;
#[cfg(test)]
mod tests;
mod warp;

use crate::fault::{At, Fault, FaultKind};
use crate::memory::Find;
use crate::ptx::Kernel;
use block::{Runner, at_extent};
use order::Sequence;
use registers::LANES;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// Operations on floating-point numbers: see [`Operation::flop`](crate::ptx::Operation::flop).
    pub flop: u64,
    /// Bytes read from global memory.
    pub bytes_read: u64,
    /// Bytes written to global memory.
    pub bytes_written: u64,
    /// Additions and multiplications of instructions that multiply matrices, such as 2 · 16 · 8 · k of an `mma.m16n8k…`.
    pub matrix_flop: u64,
}

/// A fault of a lane, before it is known which thread that is.
pub(crate) struct Failure {
    lane: usize,
    kind: FaultKind,
}

type Outcome = Result<(), Box<Failure>>;

/// What ends a warp's run before its end.
enum Stop {
    Failed(run::Failed),
    /// The budget of instructions is used up, at that instruction and lane.
    Budget(u32, usize),
}

/// Instructions that a block executes before it looks at those of all blocks.
const SHARE: u64 = 1 << 16;

/// Executes a launch to its end.
///
/// # Errors
/// The first fault that a thread of it makes.
pub fn launch(launch: &Launch<'_>, memory: &dyn Find, settings: &Settings) -> Result<Counts, Fault> {
    let refuse = |kind| Fault { kernel: launch.kernel.name.clone(), at: None, kind };
    limits::check(launch).map_err(refuse)?;
    let blocks = launch.grid.iter().map(|&extent| u64::from(extent)).product::<u64>();
    let order = Sequence::new(settings.order, blocks);
    let shared = Shared {
        next: AtomicU64::new(0),
        instructions: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        fault: Mutex::new(None),
        limit: settings.instruction_limit,
    };
    let wanted = if settings.races { 1 } else { settings.threads.max(1) };
    let threads = wanted.min(usize::try_from(blocks).unwrap_or(wanted));
    let work = || {
        let mut runner = Runner::new(launch, memory, settings);
        while !shared.failed.load(Ordering::Relaxed) {
            let position = shared.next.fetch_add(1, Ordering::Relaxed);
            if position >= blocks {
                break;
            }
            if let Err(fault) = runner.block(order.at(position), &shared) {
                shared.fail(position, fault);
            }
        }
        runner.counts()
    };
    let counts = if threads == 1 {
        vec![work()]
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
        })
    };
    let fault = shared.fault.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fault)) = fault {
        return Err(*fault);
    }
    Ok(counts.into_iter().fold(Counts::default(), Counts::plus))
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts {
            warp_instructions: self.warp_instructions + other.warp_instructions,
            thread_instructions: self.thread_instructions + other.thread_instructions,
            flop: self.flop + other.flop,
            bytes_read: self.bytes_read + other.bytes_read,
            bytes_written: self.bytes_written + other.bytes_written,
            matrix_flop: self.matrix_flop + other.matrix_flop,
        }
    }
}

/// What the threads that execute one launch have in common.
struct Shared {
    /// The block that nobody has taken yet.
    next: AtomicU64,
    instructions: AtomicU64,
    failed: AtomicBool,
    fault: Mutex<Option<(u64, Box<Fault>)>>,
    limit: u64,
}

impl Shared {
    /// Keeps the fault of the block that comes first.
    fn fail(&self, position: u64, fault: Fault) {
        self.failed.store(true, Ordering::Relaxed);
        let mut kept = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(earlier, _)| position < *earlier) {
            *kept = Some((position, Box::new(fault)));
        }
    }

    /// Instructions that may be executed before this is asked again; none past the limit.
    fn budget(&self) -> Option<u64> {
        let executed = self.instructions.fetch_add(SHARE, Ordering::Relaxed);
        (executed < self.limit).then(|| SHARE.min(self.limit - executed))
    }
}

/// Where an access or a fault happened, in words of the launch.
fn at(launch: &Launch<'_>, thread: access::Thread, instruction: u32) -> At {
    let index = u64::from(thread.warp) * LANES as u64 + u64::from(thread.lane);
    let kernel = launch.kernel;
    let text = kernel.code.get(instruction as usize).and_then(|found| kernel.texts.get(found.text as usize));
    At {
        instruction: text.map(|text| text.text.clone()).unwrap_or_default(),
        line: text.map_or(0, |text| text.line),
        block: at_extent(thread.block, launch.grid),
        thread: at_extent(index, launch.block),
    }
}
