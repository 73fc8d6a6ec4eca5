//! `cvt`.

use super::super::registers::{LANES, Registers, binary, unary};
use super::float::saturated;
use super::numbers::{flush, nearest_bf16, nearest_f16, to_bf16, to_f16, to_single, to_tf32};
use crate::ptx::instruction::{Convert, Register, Rounding};
use crate::ptx::types::{Type, Width};
use half::{bf16, f16};

/// Executes a conversion on the lanes of `mask`.
pub fn execute(o: &Convert, r: &mut Registers, mask: u32) {
    let plain = !o.ftz && !o.sat && !o.relu && !o.integral;
    match (o.to, o.from) {
        // What kernels convert most, side by side.
        (Type::F32, Type::Bf16) if plain => unary(r, mask, o.d, o.s, |a: u16| u32::from(a) << 16),
        (Type::F32, Type::F16) if plain => unary(r, mask, o.d, o.s, |a: f16| a.to_f32()),
        (Type::Bf16, Type::F32) if plain && o.rounding == Rounding::Nearest && o.width == Width::W16 => {
            unary(r, mask, o.d, o.s, nearest_bf16);
        }
        (Type::F16, Type::F32) if plain && o.rounding == Rounding::Nearest && o.width == Width::W16 => {
            unary(r, mask, o.d, o.s, nearest_f16);
        }
        (Type::S64, Type::S32) if plain => unary(r, mask, o.d, o.s, |a: i32| i64::from(a)),
        (Type::U64, Type::U32) if plain => unary(r, mask, o.d, o.s, |a: u32| u64::from(a)),
        (Type::F32, Type::S32) if plain && o.rounding == Rounding::Nearest => {
            unary(r, mask, o.d, o.s, |a: i32| a as f32);
        }
        (Type::F32, Type::U32) if plain && o.rounding == Rounding::Nearest => {
            unary(r, mask, o.d, o.s, |a: u32| a as f32);
        }
        _ => lane_by_lane(o, r, mask),
    }
}

fn lane_by_lane(o: &Convert, r: &mut Registers, mask: u32) {
    let wide = o.from.bits() == 64;
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let bits = if wide { r.wide_lane(o.s, lane) } else { u64::from(r.lane(o.s, lane)) };
        let value = match (o.from.float(), o.to.float()) {
            _ if o.to == Type::Tf32 => u64::from(to_tf32(f32::from_bits(bits as u32), o.rounding).to_bits()),
            (true, true) => between_floats(o, number(o.from, bits)),
            (true, false) => to_integer(o, number(o.from, bits)),
            (false, true) => from_integer(o, integer(o.from, bits)),
            (false, false) => between_integers(o, integer(o.from, bits)),
        };
        match o.width {
            Width::W64 => r.set_wide_lane(o.d, lane, value),
            Width::W32 => r.set_lane(o.d, lane, value as u32),
            Width::W16 => r.set_lane(o.d, lane, u32::from(value as u16)),
        }
    }
}

fn number(ty: Type, bits: u64) -> f64 {
    match ty {
        Type::F64 => f64::from_bits(bits),
        Type::F16 => f16::from_bits(bits as u16).to_f64(),
        Type::Bf16 => bf16::from_bits(bits as u16).to_f64(),
        _ => f64::from(f32::from_bits(bits as u32)),
    }
}

fn integer(ty: Type, bits: u64) -> i128 {
    match ty {
        Type::S8 => i128::from(bits as i8),
        Type::S16 => i128::from(bits as i16),
        Type::S32 => i128::from(bits as i32),
        Type::S64 => i128::from(bits as i64),
        Type::U8 | Type::B8 => i128::from(bits as u8),
        Type::U16 | Type::B16 => i128::from(bits as u16),
        Type::U32 | Type::B32 => i128::from(bits as u32),
        _ => i128::from(bits),
    }
}

fn flushed(o: &Convert, x: f64, ty: Type) -> f64 {
    if o.ftz && ty == Type::F32 { f64::from(flush(x as f32)) } else { x }
}

fn whole(x: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest | Rounding::NearestAway => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
    }
}

fn between_floats(o: &Convert, x: f64) -> u64 {
    let x = flushed(o, x, o.from);
    let x = if o.integral { whole(x, o.rounding) } else { x };
    let rounding = if o.integral { Rounding::Nearest } else { o.rounding };
    let x = if o.relu && x.is_sign_negative() && !x.is_nan() { 0. } else { x };
    // Rounding keeps to [0, 1], so that the order of the two does not matter.
    let x = if !o.sat {
        x
    } else if x > 0. {
        x.min(1.)
    } else {
        0.
    };
    finished(o, x, rounding)
}

/// The bits of a number in the type that is converted to.
fn finished(o: &Convert, x: f64, rounding: Rounding) -> u64 {
    match o.to {
        Type::F64 => x.to_bits(),
        Type::F16 => u64::from(to_f16(x, rounding).to_bits()),
        Type::Bf16 => u64::from(to_bf16(x, rounding).to_bits()),
        _ => {
            let single = to_single(x, 0., rounding);
            u64::from(if o.ftz { flush(single) } else { single }.to_bits())
        }
    }
}

fn to_integer(o: &Convert, x: f64) -> u64 {
    let bits = o.to.bits();
    if x.is_nan() {
        let zero = o.from != Type::F64 && bits != 64;
        return if zero { 0 } else { extended(o, 1i128 << (bits - 1)) };
    }
    let x = whole(flushed(o, x, o.from), o.rounding);
    // The cast clamps to what an i128 holds, which is more than any of the types.
    extended(o, clamped(o.to, x as i128))
}

fn clamped(ty: Type, x: i128) -> i128 {
    let bits = ty.bits();
    if ty.signed() {
        x.clamp(-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        x.clamp(0, (1i128 << bits) - 1)
    }
}

/// The low bits of a result, extended by its own sign to whatever width the register has.
fn extended(o: &Convert, x: i128) -> u64 {
    let spare = 128 - o.to.bits();
    if o.to.signed() { (x << spare >> spare) as u64 } else { ((x as u128) << spare >> spare) as u64 }
}

fn from_integer(o: &Convert, x: i128) -> u64 {
    let nearest = x as f64;
    let rounded = match o.to {
        Type::F64 => directed(nearest, x, o.rounding).to_bits(),
        Type::F16 => u64::from(to_f16(nearest, o.rounding).to_bits()),
        _ => {
            // What double precision lacks of an integer of 64 bits is exact in it.
            let low = (x - nearest as i128) as f64;
            u64::from(to_single(nearest, low, o.rounding).to_bits())
        }
    };
    if !o.sat {
        return rounded;
    }
    match o.to {
        Type::F64 => f64::from_bits(rounded).clamp(0., 1.).to_bits(),
        Type::F16 => u64::from(to_f16(number(Type::F16, rounded).clamp(0., 1.), Rounding::Nearest).to_bits()),
        _ => u64::from(saturated(f32::from_bits(rounded as u32)).to_bits()),
    }
}

fn directed(nearest: f64, exact: i128, rounding: Rounding) -> f64 {
    let more = exact > nearest as i128;
    let less = exact < nearest as i128;
    match rounding {
        Rounding::Up if more => nearest.next_up(),
        Rounding::Down if less => nearest.next_down(),
        Rounding::Zero if less && exact > 0 => nearest.next_down(),
        Rounding::Zero if more && exact < 0 => nearest.next_up(),
        _ => nearest,
    }
}

fn between_integers(o: &Convert, x: i128) -> u64 {
    extended(o, if o.sat { clamped(o.to, x) } else { x })
}

/// Two numbers in single precision to the halves of one register, the first to the upper one.
pub fn pair(r: &mut Registers, mask: u32, d: Register, s: [Register; 2], bf16: bool, zero: bool, relu: bool) {
    let rounding = if zero { Rounding::Zero } else { Rounding::Nearest };
    let half = |x: f32| {
        let x = if relu && x < 0. { 0. } else { x };
        let bits = match (bf16, zero) {
            (true, false) => nearest_bf16(x).to_bits(),
            (true, true) => to_bf16(f64::from(x), rounding).to_bits(),
            (false, false) => nearest_f16(x).to_bits(),
            (false, true) => to_f16(f64::from(x), rounding).to_bits(),
        };
        // A negative zero is no positive number either.
        u32::from(if relu && bits == 0x8000 { 0 } else { bits })
    };
    binary(r, mask, d, s, |a: f32, b: f32| half(a) << 16 | half(b));
}
