//! A warp: its registers, its local memory, and its lanes in groups that go the same way.

use super::barrier::Waiting;
use super::copies::Copies;
use super::registers::{LANES, Registers};
use crate::ptx::Kernel;

/// Lanes that go together.
#[derive(Clone, Debug)]
pub struct Group {
    pub at: u32,
    pub mask: u32,
    pub state: State,
}

/// Whether they may go on.
#[derive(Clone, Debug)]
pub enum State {
    Ready,
    /// At an instruction that lanes must execute together, of which some are elsewhere.
    Converging,
    /// Behind a barrier that is not complete yet.
    Waiting(Waiting),
}

/// A warp of a block.
pub struct Warp {
    pub id: u32,
    pub registers: Registers,
    /// Local memory, lane by lane.
    pub local: Vec<u8>,
    pub copies: Copies,
    /// The lanes that it began with.
    pub lanes: u32,
    /// The ones that have not left.
    pub live: u32,
    pub groups: Vec<Group>,
    local_size: usize,
}

impl Warp {
    pub fn new(kernel: &Kernel, id: u32) -> Warp {
        Warp {
            id,
            registers: Registers::new(kernel.lines, kernel.predicates),
            local: vec![0; kernel.local * LANES],
            copies: Copies::default(),
            lanes: 0,
            live: 0,
            groups: Vec::new(),
            local_size: kernel.local,
        }
    }

    /// Begins anew with these lanes.
    pub fn renew(&mut self, lanes: u32) {
        self.lanes = lanes;
        self.live = lanes;
        self.copies = Copies::default();
        self.groups.clear();
        self.groups.push(Group { at: 0, mask: lanes, state: State::Ready });
    }

    pub fn local_size(&self) -> usize {
        self.local_size
    }

    pub fn finished(&self) -> bool {
        self.groups.is_empty()
    }

    /// The barrier that it waits at, with the instruction and its lowest lane.
    pub fn waits_at(&self) -> Option<(u32, u32, usize)> {
        self.groups.iter().find_map(|group| match &group.state {
            State::Waiting(waiting) => Some((
                waiting.barrier,
                group.at.saturating_sub(1),
                group.mask.trailing_zeros() as usize % LANES,
            )),
            _ => None,
        })
    }

    /// Makes one group of those that are at one instruction.
    pub fn merge(&mut self) {
        self.groups.sort_by_key(|group| group.at);
        let mut merged: Vec<Group> = Vec::with_capacity(self.groups.len());
        for group in self.groups.drain(..) {
            match merged.last_mut() {
                Some(last)
                    if last.at == group.at
                        && !matches!(last.state, State::Waiting(_))
                        && !matches!(group.state, State::Waiting(_)) =>
                {
                    last.mask |= group.mask;
                    // Together they may be complete.
                    last.state = State::Ready;
                }
                _ => merged.push(group),
            }
        }
        self.groups = merged;
    }

    /// The place of the nearest group at or after `at` that could be met there.
    pub fn next_group(&self, at: u32) -> u32 {
        let others = self.groups.iter().filter(|group| match group.state {
            State::Ready => true,
            State::Converging => group.at >= at,
            State::Waiting(_) => false,
        });
        others.map(|group| group.at).min().unwrap_or(u32::MAX)
    }
}
