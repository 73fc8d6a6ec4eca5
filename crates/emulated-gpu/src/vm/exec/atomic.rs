//! Atomic operations, lane by lane.

use super::super::access::{By, Thread, Touch};
use super::super::registers::LANES;
use super::super::spaces::{Request, Spaces, Spot};
use super::super::warp::Warp;
use super::super::{Failure, Outcome};
use super::memory::addresses;
use super::numbers::{flush, nearest_bf16, nearest_f16};
use crate::fault::Access;
use crate::ptx::instruction::{Atomic, AtomicOp};
use crate::ptx::types::Type;
use half::{bf16, f16};

/// Executes an atomic operation on the lanes of `mask`.
pub fn execute(o: &Atomic, warp: &mut Warp, spaces: &mut Spaces<'_>, mask: u32, by: By) -> Outcome {
    let addresses = addresses(&warp.registers, &o.address);
    let bytes = o.ty.bytes();
    let size = bytes as u64;
    let wide = bytes == 8;
    let local_size = warp.local_size();
    let bits = u64::MAX >> (64 - 8 * bytes);
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
        let value = |register| {
            let r = &warp.registers;
            if wide { r.wide_lane(register, lane) } else { u64::from(r.lane(register, lane)) & bits }
        };
        let (b, c) = (value(o.b), value(o.c));
        let access = Access::Atomic;
        let request = Request { access, space: o.space, address: addresses[lane], size };
        let found = spaces.locate(request, by).and_then(|spot| {
            if let Spot::Shared(at) = spot {
                spaces.readable(at, bytes, access)?;
            }
            spaces.race(spot, Touch { access, size, strong: true, same: false }, by)?;
            Ok(spot)
        });
        let spot = found.map_err(|kind| Failure::new(lane, kind))?;
        let shared = matches!(spot, Spot::Shared(_));
        if matches!(spot, Spot::Global(_)) {
            spaces.bytes_read += size;
            spaces.bytes_written += size;
        }
        let local = &mut warp.local[lane * local_size..][..local_size];
        let old = spaces.update(spot, bytes, by, local, |old| result(o, shared, old, b, c) & bits);
        match o.d {
            Some(d) if wide => warp.registers.set_wide_lane(d, lane, old),
            Some(d) => warp.registers.set_lane(d, lane, old as u32),
            None => {}
        }
    }
    Ok(())
}

/// What the memory is afterwards.
fn result(o: &Atomic, shared: bool, old: u64, b: u64, c: u64) -> u64 {
    match o.op {
        AtomicOp::Add => sum(o.ty, shared, old, b),
        AtomicOp::Exchange => b,
        AtomicOp::CompareAndSwap => {
            if old == b {
                c
            } else {
                old
            }
        }
        AtomicOp::And => old & b,
        AtomicOp::Or => old | b,
        AtomicOp::Xor => old ^ b,
        AtomicOp::Min | AtomicOp::Max => {
            let greater = match o.ty {
                Type::S32 => old as i32 > b as i32,
                Type::S64 => old as i64 > b as i64,
                _ => old > b,
            };
            if greater == (o.op == AtomicOp::Max) { old } else { b }
        }
        AtomicOp::Increment => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        AtomicOp::Decrement => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
    }
}

fn sum(ty: Type, shared: bool, a: u64, b: u64) -> u64 {
    match ty {
        Type::F32 => {
            let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
            // On global memory subnormal numbers become zero; on shared memory they are kept.
            let sum = if shared { x + y } else { flush(flush(x) + flush(y)) };
            u64::from(sum.to_bits())
        }
        Type::F64 => (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
        Type::F16 => u64::from(half_f16(a as u16, b as u16)),
        Type::Bf16 => u64::from(half_bf16(a as u16, b as u16)),
        Type::F16x2 => halves(a, b, half_f16),
        Type::Bf16x2 => halves(a, b, half_bf16),
        _ => a.wrapping_add(b),
    }
}

fn half_f16(a: u16, b: u16) -> u16 {
    nearest_f16(f16::from_bits(a).to_f32() + f16::from_bits(b).to_f32()).to_bits()
}

fn half_bf16(a: u16, b: u16) -> u16 {
    nearest_bf16(bf16::from_bits(a).to_f32() + bf16::from_bits(b).to_f32()).to_bits()
}

fn halves(a: u64, b: u64, f: impl Fn(u16, u16) -> u16) -> u64 {
    u64::from(f(a as u16, b as u16)) | u64::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}
