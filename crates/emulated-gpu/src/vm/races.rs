//! Races: two threads that touch the same bytes with no order between them, one of them writing and not both by atomic
//! operations.
//!
//! What is ordered is known by vector clocks, as in Flanagan and Freund, "FastTrack" (PLDI 2009): each thread counts the
//! segments between its synchronisations, and knows up to which segment of every other thread it has been synchronised
//! with. Warps are told apart by the barriers of their block, lanes of a warp by those and by `bar.warp.sync`. Blocks of
//! a launch are never in order. A shuffle or a vote orders nothing: PTX promises an order of memory to none of them.

use super::access::{By, Thread, Touch};
use super::registers::LANES;
use super::{Launch, at};
use crate::fault::{Access, Earlier, FaultKind, Space};
use std::collections::HashMap;

/// A past access.
#[derive(Clone, Copy, Debug)]
struct Past {
    thread: Thread,
    atomic: bool,
    /// The segment of its warp and of its lane in which it was.
    warp_clock: u32,
    lane_clock: u32,
    at: u32,
    /// Which instruction of the launch it was: accesses of one instruction have the same.
    step: u64,
}

/// What is known of a byte.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    write: Option<Past>,
    /// Reads that are in no order: of two of one warp one is given up for one of another, since every later write that
    /// is in order with neither of them conflicts with one that is kept.
    reads: [Option<Past>; 2],
    /// The same of writes by atomic operations, beside the last other write: an atomic operation is in no order with
    /// those of other threads, so that it does not take the place of what they are in conflict with.
    atomics: [Option<Past>; 2],
}

/// How far a warp and its lanes have been synchronised.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// By warp of the block: the last segment that is in order before this one; its own is the present one.
    warps: Vec<u32>,
    lanes: Box<[[u32; LANES]; LANES]>,
}

impl Clocks {
    pub fn new(warp: usize, warps: usize) -> Clocks {
        let mut clocks = Clocks { warps: vec![0; warps], lanes: Box::new([[0; LANES]; LANES]) };
        clocks.warps[warp] = 1;
        for lane in 0..LANES {
            clocks.lanes[lane][lane] = 1;
        }
        clocks
    }

    /// A barrier of the lanes in `mask`.
    pub fn synchronise(&mut self, mask: u32) {
        let members = || (0..LANES).filter(|lane| mask >> lane & 1 == 1);
        let mut joined = [0; LANES];
        for member in members() {
            for (joined, known) in joined.iter_mut().zip(self.lanes[member]) {
                *joined = known.max(*joined);
            }
        }
        for member in members() {
            self.lanes[member] = joined;
            self.lanes[member][member] += 1;
        }
    }

    /// The warp comes to a barrier of the block: what it knows goes into the barrier, and its next segment begins.
    pub fn arrive(&mut self, warp: usize, barrier: &mut Vec<u32>) {
        barrier.resize(self.warps.len(), 0);
        for (joined, known) in barrier.iter_mut().zip(&self.warps) {
            *joined = (*joined).max(*known);
        }
        self.warps[warp] += 1;
    }

    /// The barrier lets it go on, with what all who came to it knew.
    pub fn leave(&mut self, warp: usize, barrier: &[u32]) {
        for (index, (known, joined)) in self.warps.iter_mut().zip(barrier).enumerate() {
            if index != warp {
                *known = (*known).max(*joined);
            }
        }
    }
}

const PAGE: u64 = 256;

/// The accesses of a launch.
pub struct Races<'a> {
    launch: &'a Launch<'a>,
    /// By page of shared memory (true) or of device memory.
    pages: HashMap<(bool, u64), Box<[Cell; PAGE as usize]>>,
    /// Of the warps of the block that runs.
    pub clocks: Vec<Clocks>,
    /// Counts the instructions of the launch.
    pub step: u64,
}

impl<'a> Races<'a> {
    pub fn new(launch: &'a Launch<'a>) -> Races<'a> {
        Races { launch, pages: HashMap::new(), clocks: Vec::new(), step: 0 }
    }

    /// Another block begins.
    pub fn renew(&mut self, warps: usize) {
        self.clocks = (0..warps).map(|warp| Clocks::new(warp, warps)).collect();
        self.pages.retain(|(shared, _), _| !shared);
    }

    /// Notes an access, and says what it is in conflict with. A `strong` one is no race with an atomic one; `same` is
    /// whether a write leaves the bytes as they are.
    pub fn access(&mut self, space: Space, address: u64, touch: Touch, by: By) -> Result<(), FaultKind> {
        let Touch { access, size, strong, same } = touch;
        let clocks = &self.clocks[by.thread.warp as usize];
        let lane = by.thread.lane as usize;
        let now = Past {
            thread: by.thread,
            atomic: strong || access == Access::Atomic,
            warp_clock: clocks.warps[by.thread.warp as usize],
            lane_clock: clocks.lanes[lane][lane],
            at: by.at,
            step: self.step,
        };
        for byte in address..address + size {
            let key = (space == Space::Shared, byte / PAGE);
            let page = self.pages.entry(key).or_insert_with(|| Box::new([Cell::default(); PAGE as usize]));
            let cell = &mut page[(byte % PAGE) as usize];
            if let Some((earlier, past)) = cell.note(&now, access, clocks, same) {
                let earlier = Earlier { access: earlier, at: at(self.launch, past.thread, past.at) };
                return Err(FaultKind::Race { access, space, address, size, earlier: Box::new(earlier) });
            }
        }
        Ok(())
    }
}

impl Cell {
    /// Keeps the access; where it is a race, returns the one that it races with.
    fn note(&mut self, now: &Past, access: Access, clocks: &Clocks, same: bool) -> Option<(Access, Past)> {
        let conflict = |past: &Past| !(now.atomic && past.atomic || before(past, now, clocks));
        if let Some(write) = &self.write
            // Lanes that write one value by one instruction leave it whichever is the last.
            && conflict(write) && !(same && write.step == now.step && access == Access::Write)
        {
            return Some((Access::Write, *write));
        }
        if let Some(atomic) = self.atomics.iter().flatten().find(|past| conflict(past)) {
            return Some((Access::Atomic, *atomic));
        }
        if access == Access::Read {
            keep(&mut self.reads, now, clocks);
            return None;
        }
        if let Some(read) = self.reads.iter().flatten().find(|read| conflict(read)) {
            return Some((Access::Read, *read));
        }
        if now.atomic {
            keep(&mut self.atomics, now, clocks);
        } else {
            *self = Cell { write: Some(*now), ..Cell::default() };
        }
        None
    }
}

/// Keeps an access beside others that it is in no order with.
fn keep(kept: &mut [Option<Past>; 2], now: &Past, clocks: &Clocks) {
    for slot in kept.iter_mut() {
        if slot.as_ref().is_none_or(|past| before(past, now, clocks)) {
            *slot = Some(*now);
            return;
        }
    }
    let warp = |past: &Option<Past>| past.as_ref().map(|past| (past.thread.block, past.thread.warp));
    if warp(&kept[0]) == warp(&kept[1]) {
        kept[1] = Some(*now);
    }
}

/// Whether a past access is in order before one of now, whose warp has these clocks.
fn before(past: &Past, now: &Past, clocks: &Clocks) -> bool {
    if past.thread.block != now.thread.block {
        return false;
    }
    if past.thread.warp != now.thread.warp {
        return clocks.warps[past.thread.warp as usize] >= past.warp_clock;
    }
    past.thread.lane == now.thread.lane
        || clocks.lanes[now.thread.lane as usize][past.thread.lane as usize] >= past.lane_clock
}
