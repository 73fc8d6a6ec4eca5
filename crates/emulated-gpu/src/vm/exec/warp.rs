//! What lanes of a warp do together. That all named lanes are there has been seen to.

use super::super::registers::{FULL, LANES, Lane, Registers};
use super::super::{Failure, Outcome};
use crate::fault::FaultKind;
use crate::ptx::instruction::{Predicate, ReduceOp, Register, Shuffle, ShuffleMode, Vote};
use crate::ptx::types::Width;

/// The groups of lanes that have one mask: each mask, and its lanes of those that execute the instruction.
fn groups(masks: [u32; LANES], mask: u32) -> impl Iterator<Item = u32> {
    let mut left = mask;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let group = masks[left.trailing_zeros() as usize] & mask;
        left &= !group;
        Some(group)
    })
}

/// `shfl` (PTX ISA's pseudocode, its `bval` and `cval` under their own names).
pub fn shuffle(o: &Shuffle, r: &mut Registers, mask: u32) -> Outcome {
    let (a, b, c, masks) = (r.get::<u32>(o.a), r.get::<u32>(o.b), r.get::<u32>(o.c), r.get::<u32>(o.mask));
    let (mut values, mut inside) = ([0; LANES], 0);
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let at = lane as i32;
        let bval = (b[lane] & 31) as i32;
        let (cval, segment) = ((c[lane] & 31) as i32, (c[lane] >> 8 & 31) as i32);
        let least = at & segment;
        let most = least | cval & !segment;
        let (from, valid) = match o.mode {
            ShuffleMode::Up => (at - bval, at - bval >= most),
            ShuffleMode::Down => (at + bval, at + bval <= most),
            ShuffleMode::Butterfly => (at ^ bval, at ^ bval <= most),
            ShuffleMode::Index => {
                let from = least | bval & !segment;
                (from, from <= most)
            }
        };
        let from = if valid { from } else { at };
        if masks[lane] >> from & 1 == 0 {
            return Err(Failure::new(
                lane,
                FaultKind::ShuffleOutsideMask { mask: masks[lane], lane: from as u32 },
            ));
        }
        values[lane] = a[from as usize];
        inside |= u32::from(valid) << lane;
    }
    r.set(o.d, mask, values);
    if let Some(p) = o.p {
        r.set_predicate(p, mask, inside);
    }
    Ok(())
}

/// `vote` with a predicate as its result.
pub fn vote(kind: Vote, r: &mut Registers, mask: u32, d: Predicate, bits: u32, masks: Register) {
    for group in groups(r.get(masks), mask) {
        let set = bits & group;
        let holds = match kind {
            Vote::All => set == group,
            Vote::Any => set != 0,
            Vote::Uniform => set == 0 || set == group,
        };
        r.set_predicate(d, group, if holds { FULL } else { 0 });
    }
}

/// `vote.ballot`.
pub fn ballot(r: &mut Registers, mask: u32, d: Register, bits: u32, masks: Register) {
    for group in groups(r.get(masks), mask) {
        r.set(d, group, [bits & group; LANES]);
    }
}

/// `match`.
pub fn matching(
    r: &mut Registers,
    mask: u32,
    (width, all): (Width, bool),
    d: Register,
    p: Option<Predicate>,
    [a, masks]: [Register; 2],
) {
    fn equal<T: Lane + PartialEq>(r: &Registers, a: Register, group: u32) -> [u32; LANES] {
        let values = r.get::<T>(a);
        std::array::from_fn(|lane| {
            let same = |other: &usize| group >> other & 1 == 1 && values[*other] == values[lane];
            (0..LANES).filter(same).fold(0, |found, other| found | 1 << other)
        })
    }
    for group in groups(r.get(masks), mask) {
        let same = match width {
            Width::W64 => equal::<u64>(r, a, group),
            _ => equal::<u32>(r, a, group),
        };
        if !all {
            r.set(d, group, same);
            continue;
        }
        let holds = same[group.trailing_zeros() as usize] == group;
        r.set(d, group, [if holds { group } else { 0 }; LANES]);
        if let Some(p) = p {
            r.set_predicate(p, group, if holds { FULL } else { 0 });
        }
    }
}

/// `redux`.
pub fn reduce(
    op: ReduceOp,
    signed: bool,
    r: &mut Registers,
    mask: u32,
    d: Register,
    [a, masks]: [Register; 2],
) {
    let values = r.get::<u32>(a);
    for group in groups(r.get(masks), mask) {
        let members = (0..LANES).filter(|lane| group >> lane & 1 == 1).map(|lane| values[lane]);
        let found = members.reduce(|x, y| match (op, signed) {
            (ReduceOp::Add, _) => x.wrapping_add(y),
            (ReduceOp::Min, false) => x.min(y),
            (ReduceOp::Max, false) => x.max(y),
            (ReduceOp::Min, true) => (x as i32).min(y as i32) as u32,
            (ReduceOp::Max, true) => (x as i32).max(y as i32) as u32,
            (ReduceOp::And, _) => x & y,
            (ReduceOp::Or, _) => x | y,
            (ReduceOp::Xor, _) => x ^ y,
        });
        r.set(d, group, [found.unwrap_or(0); LANES]);
    }
}
