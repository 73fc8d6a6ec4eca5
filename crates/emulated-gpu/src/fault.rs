//! What a kernel may do wrong. Each kind of fault has a variant of its own with the figures that belong to it, and a
//! [`Fault`] says which instruction of which thread did it.

use std::fmt;
use std::ops::Range;

/// A fault of one launch. The launch ends with it; what it has written so far stays in memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kernel}: {kind}{}", shown(.at.as_ref()))]
pub struct Fault {
    /// The kernel's name as its PTX has it.
    pub kernel: String,
    /// Which instruction of which thread, where one did it; a launch that is refused as a whole has none.
    pub at: Option<At>,
    /// What was wrong.
    pub kind: FaultKind,
}

/// The place of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The instruction as the PTX text has it.
    pub instruction: String,
    /// Its line in the PTX text, from 1.
    pub line: usize,
    /// `%ctaid` of the thread.
    pub block: [u32; 3],
    /// `%tid` of the thread; of a fault of several lanes, the lowest of them.
    pub thread: [u32; 3],
}

fn shown(at: Option<&At>) -> String {
    at.map_or_else(String::new, |at| {
        let [bx, by, bz] = at.block;
        let [tx, ty, tz] = at.thread;
        format!(
            ", in «{}» (line {}), block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz})",
            at.instruction, at.line
        )
    })
}

/// How memory was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read without synchronisation.
    Read,
    /// Written without synchronisation.
    Write,
    /// An atomic operation, or a volatile, relaxed, acquiring or releasing access.
    Atomic,
}

impl fmt::Display for Access {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Atomic => "atomic access",
        })
    }
}

/// A state space with an extent of its own (PTX ISA, State Spaces).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Device memory; addresses are those of this process.
    Global,
    /// A block's memory; addresses count from its start.
    Shared,
    /// A thread's own memory; addresses count from its start.
    Local,
    /// The parameters of a kernel; addresses count from their start.
    Param,
}

impl fmt::Display for Space {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Space::Global => "global",
            Space::Shared => "shared",
            Space::Local => "local",
            Space::Param => "parameter",
        })
    }
}

/// The other side of a race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// How it touched the memory.
    pub access: Access,
    /// Where.
    pub at: At,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A grid or block with an extent of zero.
    #[error("a launch of {grid:?} blocks of {block:?} threads")]
    EmptyLaunch { grid: [u32; 3], block: [u32; 3] },
    /// More than 1024 threads in a block, more than 64 in its depth, or a grid past its limits.
    #[error("a launch of {grid:?} blocks of {block:?} threads is past what a device takes")]
    LaunchTooLarge { grid: [u32; 3], block: [u32; 3] },
    /// More threads than `.maxntid` (or other than `.reqntid`) lets a block have.
    #[error("blocks of {threads} threads, where the kernel's launch bounds are {bound}")]
    LaunchBounds { threads: u32, bound: u32 },
    /// More shared memory, static and dynamic together, than the launch may use.
    #[error("{wanted} bytes of shared memory, where a block may have {limit}")]
    SharedMemoryTooLarge { wanted: u64, limit: u64 },
    /// More registers than the 65536 of a multiprocessor, by `.maxnreg` or what the driver was given.
    #[error("{threads} threads of {registers} registers, where a block may have 65536 registers")]
    TooManyRegisters { threads: u32, registers: u32 },
    /// Parameters of another size than the kernel's.
    #[error("{given} bytes of parameters for a kernel that takes {wanted}")]
    Parameters { given: usize, wanted: usize },

    /// An access that leaves the allocation in which it begins, or shared, local or parameter memory.
    #[error("{access} of {size} bytes at {address:#x} in {space} memory, which is {:#x} to {:#x}", .extent.start, .extent.end)]
    OutOfBounds { access: Access, space: Space, address: u64, size: u64, extent: Range<u64> },
    /// An access to an address that belongs to no allocation.
    #[error("{access} of {size} bytes at {address:#x}, which is in no allocation")]
    NoAllocation { access: Access, address: u64, size: u64 },
    /// An access to memory that was freed.
    #[error("{access} of {size} bytes at {address:#x}, in memory that was freed ({:#x} to {:#x})", .extent.start, .extent.end)]
    UseAfterFree { access: Access, address: u64, size: u64, extent: Range<u64> },
    /// An address that is no multiple of the access' size.
    #[error(
        "{access} of {size} bytes at {address:#x} in {space} memory, which is not aligned to {alignment}"
    )]
    Misaligned { access: Access, space: Space, address: u64, size: u64, alignment: u64 },
    /// Shared memory that nobody in the block has written yet.
    #[error("read of {size} bytes at {address:#x} in shared memory, where nothing was written yet")]
    UninitialisedRead { address: u64, size: u64 },
    /// A write to constant memory or parameters.
    #[error("{access} of {size} bytes at {address:#x}, in memory that a kernel may only read")]
    ReadOnly { access: Access, address: u64, size: u64 },

    /// Two threads that touch the same bytes without an order between them, at least one of them writing without
    /// an atomic operation.
    #[error("race: {access} of {size} bytes at {address:#x} in {space} memory, after a {}{}", .earlier.access, shown(Some(&.earlier.at)))]
    Race { access: Access, space: Space, address: u64, size: u64, earlier: Box<Earlier> },

    /// Shared memory read while a `cp.async` to it was not waited for.
    #[error("{access} of {size} bytes at {address:#x} in shared memory, to which a cp.async is under way")]
    AsyncCopyPending { access: Access, address: u64, size: u64 },
    /// Two `cp.async` to the same bytes at once.
    #[error("cp.async of {size} bytes to {address:#x} in shared memory, to which another is under way")]
    AsyncCopyOverlap { address: u64, size: u64 },

    /// The mask of a warp-wide instruction names lanes that the warp does not have, or that have left.
    #[error("mask {mask:#010x} names lanes that are not there ({absent:#010x})")]
    MaskNamesAbsentLanes { mask: u32, absent: u32 },
    /// A lane executes a warp-wide instruction whose mask does not name it.
    #[error("mask {mask:#010x} leaves out lanes that execute the instruction ({left_out:#010x})")]
    MaskLeavesOut { mask: u32, left_out: u32 },
    /// Lanes that the mask names never come to the instruction.
    #[error("mask {mask:#010x} names lanes that do not execute the instruction ({missing:#010x})")]
    LanesMissing { mask: u32, missing: u32 },
    /// Lanes execute one warp-wide instruction with different masks.
    #[error("lanes of one instruction give different masks, {one:#010x} and {other:#010x}")]
    MasksDiffer { one: u32, other: u32 },
    /// A shuffle that reads a lane outside its mask.
    #[error("a shuffle with mask {mask:#010x} reads lane {lane}")]
    ShuffleOutsideMask { mask: u32, lane: u32 },

    /// A barrier that only some lanes of a warp come to.
    #[error("a barrier that lanes {arrived:#010x} of a warp reach and lanes {missing:#010x} do not")]
    DivergentBarrier { arrived: u32, missing: u32 },
    /// A barrier at which warps wait while others have left the kernel.
    #[error("{waiting} warps wait at barrier {barrier}, {finished} have left without it")]
    BarrierSkipped { barrier: u32, waiting: u32, finished: u32 },
    /// Warps that wait at barriers which nobody can complete.
    #[error("barrier {barrier} waits for {expected} threads, {arrived} have come and no others can")]
    BarrierDeadlock { barrier: u32, expected: u32, arrived: u32 },
    /// A barrier's number or count of threads that PTX does not allow, or that differs from the others' at it.
    #[error("barrier {barrier} with a count of {count} threads")]
    BarrierCount { barrier: u32, count: u32 },

    /// An integer divided by zero, whose result PTX leaves open.
    #[error("an integer is divided by zero")]
    DivisionByZero,
    /// `trap`, `brkpt`, or a failed `assert` whose text this is.
    #[error("trap{}{}", if .message.is_empty() { "" } else { ": " }, .message)]
    Trap { message: String },
    /// A call of something that only a device has, such as `vprintf`.
    #[error("a call of {function}, which is not emulated")]
    UnsupportedCall { function: String },
    /// More instructions than a launch may execute.
    #[error("more than {limit} instructions of warps in one launch: does a loop end?")]
    InstructionLimit { limit: u64 },
}
