//! The sixteen barriers of a block.

use super::Failure;
use super::races::Clocks;
use super::registers::{FULL, LANES, Registers};
use crate::fault::FaultKind;
use crate::ptx::instruction::{Barrier, BarrierKind};

const BARRIERS: usize = 16;

/// What lanes wait for, and what they get.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub barrier: u32,
    /// How often it had been complete when they came.
    round: u64,
    kind: BarrierKind,
}

/// What the threads at a barrier bring.
#[derive(Clone, Copy, Debug, Default)]
struct Votes {
    threads: u32,
    set: u32,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Threads that make it complete, while some wait.
    expected: u32,
    arrived: u32,
    round: u64,
    votes: Votes,
    /// The votes of the last round.
    result: Votes,
    clocks: Vec<u32>,
    released: Vec<u32>,
}

/// The barriers of a block.
#[derive(Clone, Debug)]
pub struct Barriers {
    states: Vec<State>,
    threads: u32,
}

impl Barriers {
    pub fn new(threads: u32) -> Barriers {
        Barriers { states: vec![State::default(); BARRIERS], threads }
    }

    /// How many threads a barrier waits for, and how many have come.
    pub fn progress(&self, barrier: u32) -> (u32, u32) {
        self.states.get(barrier as usize).map_or((0, 0), |state| (state.expected, state.arrived))
    }

    /// Lanes come to a barrier; `lanes` are those that come, and all of their warp.
    pub fn arrive(
        &mut self,
        o: &Barrier,
        r: &Registers,
        (mask, lanes): (u32, u32),
        warp: usize,
        clocks: Option<&mut Clocks>,
    ) -> Result<Waiting, Box<Failure>> {
        let lane = mask.trailing_zeros() as usize % LANES;
        let barrier = r.lane(o.id, lane);
        let count = o.count.map(|count| r.lane(count, lane));
        let fault = |count| Err(Failure::new(lane, FaultKind::BarrierCount { barrier, count }));
        let Some(state) = self.states.get_mut(barrier as usize) else { return fault(count.unwrap_or(0)) };
        let expected = count.unwrap_or(self.threads);
        let whole = count.is_none() || expected.is_multiple_of(LANES as u32) && expected > 0;
        if !whole || state.arrived > 0 && state.expected != expected {
            return fault(expected);
        }
        state.expected = expected;
        // A warp counts in full where threads are counted, be it that its block has not as many.
        let come = if count.is_some() && mask == lanes { LANES as u32 } else { mask.count_ones() };
        state.arrived += come;
        if let BarrierKind::Count { a, negated, .. } | BarrierKind::Test { a, negated, .. } = o.kind {
            state.votes.threads += mask.count_ones();
            state.votes.set += (r.condition(a, negated) & mask).count_ones();
        }
        let waiting = Waiting { barrier, round: state.round, kind: o.kind };
        if let Some(clocks) = clocks {
            clocks.synchronise(mask);
            clocks.arrive(warp, &mut state.clocks);
        }
        if state.arrived > expected {
            return fault(expected);
        }
        if state.arrived == expected {
            state.round += 1;
            state.arrived = 0;
            state.result = std::mem::take(&mut state.votes);
            state.released = std::mem::take(&mut state.clocks);
        }
        Ok(waiting)
    }

    /// Whether those who wait may go on.
    pub fn complete(&self, waiting: &Waiting) -> bool {
        self.states[waiting.barrier as usize].round > waiting.round
    }

    /// Gives the lanes what a reduction at their barrier found.
    pub fn result(&self, waiting: &Waiting, r: &mut Registers, mask: u32) {
        let votes = self.states[waiting.barrier as usize].result;
        match waiting.kind {
            BarrierKind::Count { d, .. } => r.set(d, mask, [votes.set; LANES]),
            BarrierKind::Test { any, d, .. } => {
                let holds = if any { votes.set > 0 } else { votes.set == votes.threads };
                r.set_predicate(d, mask, if holds { FULL } else { 0 });
            }
            BarrierKind::Sync | BarrierKind::Arrive => {}
        }
    }

    /// What the warp knows of the others' accesses once it has left the barrier.
    pub fn leave(&self, waiting: &Waiting, clocks: &mut Clocks, warp: usize) {
        clocks.leave(warp, &self.states[waiting.barrier as usize].released);
    }
}
