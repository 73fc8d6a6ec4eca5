//! Runs a warp: its lanes run together as long as they go the same way. Where they part, the group that is furthest
//! behind goes first, and groups that meet go on as one.

use super::access::{By, Thread};
use super::barrier::{Barriers, Waiting};
use super::exec;
use super::registers::{FULL, LANES};
use super::spaces::Spaces;
use super::warp::{Group, State, Warp};
use super::{Counts, Failure, Stop};
use crate::fault::FaultKind;
use crate::ptx::Kernel;
use crate::ptx::instruction::{BarrierKind, Instruction, Operation, Register};

/// What a warp needs of its block while it runs.
pub struct Surroundings<'a, 'b> {
    pub kernel: &'a Kernel,
    pub spaces: &'b mut Spaces<'a>,
    pub barriers: &'b mut Barriers,
    pub counts: &'b mut Counts,
    /// Instructions that may be executed before the limit of the launch is looked at again.
    pub budget: &'b mut u64,
    pub block: u64,
}

/// A failure and the instruction that made it.
pub type Failed = (u32, Box<Failure>);

impl Warp {
    /// Runs until the warp has left, or all its lanes wait. Says whether it got any further.
    pub fn run(&mut self, around: &mut Surroundings<'_, '_>) -> Result<bool, Stop> {
        let mut moved = false;
        loop {
            self.release(around);
            self.merge();
            let ready = |group: &&Group| matches!(group.state, State::Ready);
            let Some(next) = self.groups.iter().find(ready).map(|group| group.at) else {
                return self.stuck(around).map(|()| moved);
            };
            let at =
                self.groups.iter().position(|group| group.at == next && matches!(group.state, State::Ready));
            let Some(group) = at.map(|at| self.groups.remove(at)) else { return Ok(moved) };
            moved = true;
            self.go(group, around)?;
        }
    }

    /// Lets groups go on whose barrier is complete.
    fn release(&mut self, around: &mut Surroundings<'_, '_>) {
        for group in &mut self.groups {
            let State::Waiting(waiting) = &group.state else { continue };
            if !around.barriers.complete(waiting) {
                continue;
            }
            around.barriers.result(waiting, &mut self.registers, group.mask);
            if let Some(races) = &mut around.spaces.races {
                around.barriers.leave(waiting, &mut races.clocks[self.id as usize], self.id as usize);
            }
            group.state = State::Ready;
        }
    }

    /// All lanes wait: an error, if it is for lanes that will not come.
    fn stuck(&self, around: &Surroundings<'_, '_>) -> Result<(), Stop> {
        let Some(group) = self.groups.iter().find(|group| matches!(group.state, State::Converging)) else {
            return Ok(());
        };
        let instruction = &around.kernel.code[group.at as usize];
        let lane = group.mask.trailing_zeros() as usize % LANES;
        let kind = match needs(&instruction.operation) {
            Needs::Warp if matches!(instruction.operation, Operation::Barrier(_)) => {
                FaultKind::DivergentBarrier { arrived: group.mask, missing: self.lanes & !group.mask }
            }
            Needs::Mask(register) => {
                let mask = self.registers.lane(register, lane);
                FaultKind::LanesMissing { mask, missing: mask & !group.mask }
            }
            _ => FaultKind::LanesMissing { mask: FULL, missing: FULL & !group.mask },
        };
        Err(Stop::Failed((group.at, Failure::new(lane, kind))))
    }

    /// Runs a group until it meets another, parts, waits or leaves.
    fn go(&mut self, group: Group, around: &mut Surroundings<'_, '_>) -> Result<(), Stop> {
        let Group { mut at, mut mask, .. } = group;
        // Where the next group is that this one may meet.
        let mut meets = self.next_group(at);
        while mask != 0 {
            if at >= meets {
                let met = |group: &Group| match group.state {
                    State::Ready => group.at <= at,
                    State::Converging => group.at == at,
                    State::Waiting(_) => false,
                };
                if self.groups.iter().any(met) {
                    self.groups.push(Group { at, mask, state: State::Ready });
                    return Ok(());
                }
                meets = self.next_group(at);
            }
            let kernel: &Kernel = around.kernel;
            let instruction = &kernel.code[at as usize];
            let active = match instruction.guard {
                Some((predicate, negated)) => self.registers.condition(predicate, negated) & mask,
                None => mask,
            };
            match around.budget.checked_sub(1) {
                Some(left) => *around.budget = left,
                None => {
                    self.groups.push(Group { at, mask, state: State::Ready });
                    return Err(Stop::Budget(at, mask.trailing_zeros() as usize % LANES));
                }
            }
            around.counts.warp_instructions += 1;
            around.counts.thread_instructions += u64::from(active.count_ones());
            if active == 0 {
                at += 1;
                continue;
            }
            let failed = |failure| Stop::Failed((at, failure));
            let mut active = active;
            match needs(&instruction.operation) {
                Needs::Nothing => {}
                of => {
                    let together = self.together(of, active).map_err(failed)?;
                    if together != active {
                        // Lanes whose partners are elsewhere wait for them here; those that pass it over go on.
                        let waiting = active & !together;
                        self.groups.push(Group { at, mask: waiting, state: State::Converging });
                        mask &= !waiting;
                        active = together;
                        meets = self.next_group(at + 1);
                        // They count when they execute it.
                        around.counts.thread_instructions -= u64::from(waiting.count_ones());
                        if active == 0 {
                            around.counts.warp_instructions -= 1;
                            at += 1;
                            continue;
                        }
                    }
                }
            }
            around.counts.flop += instruction.operation.flop() * u64::from(active.count_ones());
            match self.step(instruction, at, active, around).map_err(failed)? {
                Next::Following => at += 1,
                Next::Branch(to) if active == mask => {
                    at = to;
                    meets = self.next_group(at);
                }
                Next::Branch(to) => {
                    self.groups.push(Group { at: to, mask: active, state: State::Ready });
                    self.groups.push(Group { at: at + 1, mask: mask & !active, state: State::Ready });
                    return Ok(());
                }
                Next::Leave => {
                    self.live &= !active;
                    mask &= !active;
                    at += 1;
                }
                Next::Wait(waiting) => {
                    self.groups.push(Group { at: at + 1, mask: active, state: State::Waiting(waiting) });
                    mask &= !active;
                    at += 1;
                    if mask != 0 {
                        self.groups.push(Group { at, mask, state: State::Ready });
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Of the lanes that are here, those whose partners are here, too.
    fn together(&self, needs: Needs, active: u32) -> Result<u32, Box<Failure>> {
        let first = active.trailing_zeros() as usize % LANES;
        let register = match needs {
            Needs::Nothing => return Ok(active),
            Needs::Warp => return Ok(if active == self.lanes { active } else { 0 }),
            Needs::Mask(register) => register,
        };
        let masks = self.registers.get::<u32>(register);
        let lanes = || (0..LANES).filter(|lane| active >> lane & 1 == 1);
        let mut ready = 0;
        for lane in lanes() {
            let mask = masks[lane];
            if mask & !self.live != 0 {
                let kind = FaultKind::MaskNamesAbsentLanes { mask, absent: mask & !self.live };
                return Err(Failure::new(lane, kind));
            }
            if mask >> lane & 1 == 0 {
                return Err(Failure::new(first, FaultKind::MaskLeavesOut { mask, left_out: 1 << lane }));
            }
            if let Some(other) = lanes().find(|other| mask >> other & 1 == 1 && masks[*other] != mask) {
                return Err(Failure::new(lane, FaultKind::MasksDiffer { one: mask, other: masks[other] }));
            }
            if mask & !active == 0 {
                ready |= 1 << lane;
            }
        }
        Ok(ready)
    }

    #[inline(always)]
    fn step(
        &mut self,
        instruction: &Instruction,
        at: u32,
        mask: u32,
        around: &mut Surroundings<'_, '_>,
    ) -> Result<Next, Box<Failure>> {
        let by = By { thread: Thread { block: around.block, warp: self.id, lane: 0 }, at };
        let spaces = &mut *around.spaces;
        if let Some(races) = &mut spaces.races {
            races.step += 1;
        }
        let r = &mut self.registers;
        match &instruction.operation {
            Operation::Integer(o) => exec::integer::execute(o, r, mask)?,
            Operation::Carry(o) => exec::integer::carry(o, r, mask),
            Operation::Logic(o) => exec::integer::logic(o, r, mask),
            Operation::Float(o) => exec::float::execute(o, r, mask),
            Operation::Compare(o) => exec::compare::compare(o, r, mask),
            Operation::Set(o) => exec::compare::set(o, r, mask),
            Operation::Select { width, d, a, b, p, negated } => {
                let condition = r.condition(*p, *negated);
                exec::compare::select(r, mask, *width, *d, [*a, *b], condition);
            }
            Operation::SelectBySign { width, float, ftz, d, a, b, c } => {
                let condition = exec::compare::sign_of(r, *c, *float, *ftz);
                exec::compare::select(r, mask, *width, *d, [*a, *b], condition);
            }
            Operation::TestFloat { test, double, d, a } => {
                exec::compare::test(r, mask, *test, *double, *d, *a)
            }
            Operation::Convert(o) => exec::convert::execute(o, r, mask),
            Operation::ConvertPair { bf16, toward_zero, relu, d, a, b } => {
                exec::convert::pair(r, mask, *d, [*a, *b], *bf16, *toward_zero, *relu);
            }
            Operation::Move { width, d, s } => exec::moves::copy(r, mask, *width, *d, *s),
            Operation::Pack { part, d, s } => exec::moves::pack(r, mask, *part, *d, s),
            Operation::Unpack { part, d, s } => exec::moves::unpack(r, mask, *part, d, *s),
            Operation::ToGeneric { space, d, s } => exec::moves::to_generic(r, mask, *space, *d, *s),
            Operation::FromGeneric { space, d, s } => exec::moves::from_generic(r, mask, *space, *d, *s),
            Operation::IsSpace { space, d, s } => exec::moves::is_space(r, mask, *space, *d, *s),
            Operation::Load(o) => exec::memory::load(o, self, spaces, mask, by)?,
            Operation::Store(o) => exec::memory::store(o, self, spaces, mask, by)?,
            Operation::Atomic(o) => exec::atomic::execute(o, self, spaces, mask, by)?,
            Operation::Shuffle(o) => exec::warp::shuffle(o, r, mask)?,
            Operation::Vote { kind, d, a, negated, mask: masks } => {
                let bits = r.condition(*a, *negated);
                exec::warp::vote(*kind, r, mask, *d, bits, *masks);
            }
            Operation::Ballot { d, a, negated, mask: masks } => {
                let bits = r.condition(*a, *negated);
                exec::warp::ballot(r, mask, *d, bits, *masks);
            }
            Operation::Match { width, all, d, p, a, mask: masks } => {
                exec::warp::matching(r, mask, (*width, *all), *d, *p, [*a, *masks]);
            }
            Operation::Reduce { op, signed, d, a, mask: masks } => {
                exec::warp::reduce(*op, *signed, r, mask, *d, [*a, *masks]);
            }
            Operation::ActiveMask { d } => r.set(*d, mask, [mask; LANES]),
            Operation::WarpBarrier { mask: masks } => {
                if let Some(races) = &mut spaces.races {
                    let masks = r.get::<u32>(*masks);
                    let mut left = mask;
                    while left != 0 {
                        let members = masks[left.trailing_zeros() as usize] & mask;
                        races.clocks[self.id as usize].synchronise(members);
                        left &= !members;
                    }
                }
            }
            Operation::Barrier(o) => {
                let clocks = spaces.races.as_mut().map(|races| &mut races.clocks[self.id as usize]);
                let lanes = (mask, self.lanes);
                let waiting = around.barriers.arrive(o, r, lanes, self.id as usize, clocks)?;
                return Ok(match o.kind {
                    BarrierKind::Arrive => Next::Following,
                    _ => Next::Wait(waiting),
                });
            }
            Operation::Mma(o) => {
                exec::matrix::all_lanes(mask)?;
                exec::matrix::mma(o, r);
                around.counts.matrix_flop += (2 * 16 * 8 * o.k) as u64;
            }
            Operation::LoadMatrix { address, transposed, d } => {
                exec::matrix::all_lanes(mask)?;
                exec::matrix::load(address, *transposed, d, self, spaces, by)?;
            }
            Operation::WmmaLoad(o) => {
                exec::matrix::all_lanes(mask)?;
                exec::matrix::transfer(o, false, self, spaces, by)?;
            }
            Operation::WmmaStore(o) => {
                exec::matrix::all_lanes(mask)?;
                exec::matrix::transfer(o, true, self, spaces, by)?;
            }
            Operation::WmmaMma(o) => {
                exec::matrix::all_lanes(mask)?;
                exec::matrix::wmma(o, r);
                around.counts.matrix_flop += 2 * 16 * 16 * 16;
            }
            Operation::AsyncCopy { shared, global, bytes, given } => {
                exec::asynchronous::begin((shared, global), *bytes, *given, self, spaces, mask, by)?;
            }
            Operation::AsyncCommit => exec::asynchronous::commit(self, mask),
            Operation::AsyncWait(pending) => exec::asynchronous::wait(self, spaces, mask, *pending)?,
            Operation::Branch(to) => return Ok(Next::Branch(*to)),
            Operation::Exit => return Ok(Next::Leave),
            Operation::Trap => return Err(trap(mask, String::new())),
            Operation::Assert { message } => {
                let lane = mask.trailing_zeros() as usize % LANES;
                let at = self.registers.wide_lane(*message, lane) as usize;
                let size = self.local_size();
                let local = &self.local[lane * size..][..size];
                let pointer = local
                    .get(at..at + 8)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map_or(0, u64::from_le_bytes);
                let text = spaces.text(pointer, by);
                return Err(trap(mask, format!("assertion failed: {text}")));
            }
            Operation::Unsupported(function) => {
                let kind = FaultKind::UnsupportedCall { function: function.to_string() };
                return Err(Failure::new(mask.trailing_zeros() as usize % LANES, kind));
            }
            Operation::Nothing => {}
        }
        Ok(Next::Following)
    }
}

/// Where a group goes from an instruction.
enum Next {
    Following,
    Branch(u32),
    Leave,
    Wait(Waiting),
}

/// Which lanes must execute an instruction together.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    /// Those that this register names.
    Mask(Register),
    /// All that the warp began with.
    Warp,
}

#[inline(always)]
fn needs(operation: &Operation) -> Needs {
    match operation {
        Operation::Shuffle(o) => Needs::Mask(o.mask),
        Operation::Vote { mask, .. }
        | Operation::Ballot { mask, .. }
        | Operation::Match { mask, .. }
        | Operation::Reduce { mask, .. }
        | Operation::WarpBarrier { mask } => Needs::Mask(*mask),
        Operation::Barrier(o) if o.aligned => Needs::Warp,
        Operation::Mma(_)
        | Operation::LoadMatrix { .. }
        | Operation::WmmaLoad(_)
        | Operation::WmmaStore(_)
        | Operation::WmmaMma(_) => Needs::Warp,
        _ => Needs::Nothing,
    }
}

fn trap(mask: u32, message: String) -> Box<Failure> {
    Failure::new(mask.trailing_zeros() as usize % LANES, FaultKind::Trap { message })
}
