//! Moves, and addresses of one state space to those of another.

use super::super::registers::{LANES, Registers, unary};
use super::super::spaces::{is_in, window};
use crate::ptx::instruction::{Predicate, Register, Space};
use crate::ptx::types::Width;

/// `mov` of a register.
pub fn copy(r: &mut Registers, mask: u32, width: Width, d: Register, s: Register) {
    match width {
        Width::W64 => unary(r, mask, d, s, |a: u64| a),
        _ => unary(r, mask, d, s, |a: u32| a),
    }
}

/// `mov` of parts to one register.
pub fn pack(r: &mut Registers, mask: u32, part: Width, d: Register, s: &[Register]) {
    let bits = part.bits();
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let parts = s.iter().rev().fold(0u64, |found, part| {
            found << bits | u64::from(r.lane(*part, lane)) & (u64::MAX >> (64 - bits))
        });
        if bits as usize * s.len() == 64 {
            r.set_wide_lane(d, lane, parts);
        } else {
            r.set_lane(d, lane, parts as u32);
        }
    }
}

/// `mov` of one register to its parts.
pub fn unpack(r: &mut Registers, mask: u32, part: Width, d: &[Option<Register>], s: Register) {
    let bits = part.bits();
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let whole =
            if bits as usize * d.len() == 64 { r.wide_lane(s, lane) } else { u64::from(r.lane(s, lane)) };
        for (index, target) in d.iter().enumerate() {
            if let Some(target) = target {
                let value = whole >> (bits * index as u32) & (u64::MAX >> (64 - bits));
                r.set_lane(*target, lane, value as u32);
            }
        }
    }
}

/// `cvta`.
pub fn to_generic(r: &mut Registers, mask: u32, space: Space, d: Register, s: Register) {
    let start = window(space).unwrap_or(0);
    unary(r, mask, d, s, |address: u64| address.wrapping_add(start));
}

/// `cvta.to`.
pub fn from_generic(r: &mut Registers, mask: u32, space: Space, d: Register, s: Register) {
    let start = window(space).unwrap_or(0);
    unary(r, mask, d, s, |address: u64| address.wrapping_sub(start));
}

/// `isspacep`.
pub fn is_space(r: &mut Registers, mask: u32, space: Space, d: Predicate, s: Register) {
    let addresses = r.get::<u64>(s);
    let bits = (0..LANES).fold(0, |found, lane| found | u32::from(is_in(space, addresses[lane])) << lane);
    r.set_predicate(d, mask, bits);
}
