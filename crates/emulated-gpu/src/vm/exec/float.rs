//! Floating-point numbers.

use super::super::fma;
use super::super::registers::{Registers, binary, ternary, unary};
use super::numbers::{
    add64, div32, div64, flush, flush_bf16, flush_f16, mul64, nearest_bf16, nearest_f16, odd, sqrt32, sqrt64,
    sum, to_bf16, to_f16, to_single, zero_sum,
};
use crate::ptx::instruction::{Float, FloatOp, FloatType, Rounding};
use half::{bf16, f16};

/// The NaN that single precision's results are, whatever the operands' was.
const NAN: f32 = f32::from_bits(0x7fff_ffff);
const NAN_F16: f16 = f16::from_bits(0x7fff);
const NAN_BF16: bf16 = bf16::from_bits(0x7fff);

/// Executes an operation on the lanes of `mask`.
pub fn execute(o: &Float, r: &mut Registers, mask: u32) {
    let (d, [a, b, c]) = (o.d, o.s);
    match o.ty {
        FloatType::F32 if o.rounding == Rounding::Nearest && !o.ftz && !o.sat => match o.op {
            FloatOp::Add => binary(r, mask, d, [a, b], |a: f32, b: f32| a + b),
            FloatOp::Sub => binary(r, mask, d, [a, b], |a: f32, b: f32| a - b),
            FloatOp::Mul => binary(r, mask, d, [a, b], |a: f32, b: f32| a * b),
            FloatOp::Fma => {
                let values = fma::single(&r.get(a), &r.get(b), &r.get(c));
                r.set(d, mask, values);
            }
            FloatOp::Abs => unary(r, mask, d, a, f32::abs),
            FloatOp::Neg => unary(r, mask, d, a, |a: f32| -a),
            _ => ternary(r, mask, d, [a, b, c], |a: f32, b: f32, c: f32| single(o, a, b, c)),
        },
        FloatType::F32 => ternary(r, mask, d, [a, b, c], |a: f32, b: f32, c: f32| {
            let of = |x| if o.ftz { flush(x) } else { x };
            let value = of(single(o, of(a), of(b), of(c)));
            if o.sat { saturated(value) } else { value }
        }),
        FloatType::F64 => ternary(r, mask, d, [a, b, c], |a: f64, b: f64, c: f64| double(o, a, b, c)),
        FloatType::F16 => ternary(r, mask, d, [a, b, c], |a: f16, b: f16, c: f16| half_f16(o, a, b, c)),
        FloatType::Bf16 => ternary(r, mask, d, [a, b, c], |a: bf16, b: bf16, c: bf16| half_bf16(o, a, b, c)),
        FloatType::F16x2 => ternary(r, mask, d, [a, b, c], |a: u32, b: u32, c: u32| {
            packed(a, b, c, |a, b, c| {
                half_f16(o, f16::from_bits(a), f16::from_bits(b), f16::from_bits(c)).to_bits()
            })
        }),
        FloatType::Bf16x2 => ternary(r, mask, d, [a, b, c], |a: u32, b: u32, c: u32| {
            packed(a, b, c, |a, b, c| {
                half_bf16(o, bf16::from_bits(a), bf16::from_bits(b), bf16::from_bits(c)).to_bits()
            })
        }),
    }
}

/// An operation on the two halves of a register.
fn packed(a: u32, b: u32, c: u32, f: impl Fn(u16, u16, u16) -> u16) -> u32 {
    let low = f(a as u16, b as u16, c as u16);
    let high = f((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16);
    u32::from(high) << 16 | u32::from(low)
}

/// Clamped to [0, 1], NaN to positive zero.
pub fn saturated(x: f32) -> f32 {
    // The comparison is false for NaN and for negative zero.
    if x > 0. { x.min(1.) } else { 0. }
}

fn single(o: &Float, a: f32, b: f32, c: f32) -> f32 {
    let (x, y, z) = (f64::from(a), f64::from(b), f64::from(c));
    let nearest = o.rounding == Rounding::Nearest;
    match o.op {
        FloatOp::Add if nearest => a + b,
        FloatOp::Sub if nearest => a - b,
        FloatOp::Mul if nearest => a * b,
        FloatOp::Fma if nearest => a.mul_add(b, c),
        FloatOp::Add => add_single(x, y, o.rounding),
        FloatOp::Sub => add_single(x, -y, o.rounding),
        // The product of two numbers in single precision is exact in double precision.
        FloatOp::Mul => to_single(x * y, 0., o.rounding),
        FloatOp::Fma => add_single(x * y, z, o.rounding),
        FloatOp::Div => div32(a, b, o.rounding),
        // For divisors past 2^126 their reciprocal, by which the hardware multiplies, is zero.
        FloatOp::DivApprox if b.abs() > f32::from_bits(0x7e80_0000) && b.is_finite() => {
            if a.is_infinite() || a.is_nan() { NAN } else { 0f32.copysign(a) * 1f32.copysign(b) }
        }
        FloatOp::DivApprox => a / b,
        FloatOp::Min | FloatOp::Max => extreme(o, a, b),
        FloatOp::Abs => a.abs(),
        FloatOp::Neg => -a,
        FloatOp::Rcp | FloatOp::RcpGross => div32(1., a, o.rounding),
        FloatOp::Sqrt => sqrt32(a, o.rounding),
        FloatOp::Rsqrt | FloatOp::RsqrtGross => (1. / x.sqrt()) as f32,
        FloatOp::Sin => x.sin() as f32,
        FloatOp::Cos => x.cos() as f32,
        FloatOp::Lg2 => a.log2(),
        FloatOp::Ex2 => a.exp2(),
        FloatOp::Tanh => a.tanh(),
        FloatOp::CopySign => b.copysign(a),
    }
}

fn add_single(a: f64, b: f64, rounding: Rounding) -> f32 {
    let (high, low) = sum(a, b);
    let rounded = to_single(high, low, rounding);
    if rounded == 0. { zero_sum(f64::from(rounded), a, b, rounding) as f32 } else { rounded }
}

/// The lesser or greater of two; negative zero is less than positive zero.
fn extreme(o: &Float, a: f32, b: f32) -> f32 {
    let sign = a.is_sign_negative() != b.is_sign_negative();
    let (a, b) = if o.xorsign_abs { (a.abs(), b.abs()) } else { (a, b) };
    let found = match (a.is_nan(), b.is_nan()) {
        (true, true) => NAN,
        (true, false) | (false, true) if o.nan => NAN,
        (true, false) => b,
        (false, true) => a,
        (false, false) => {
            let a_greater = a > b || (a == b && b.is_sign_negative());
            if a_greater == (o.op == FloatOp::Max) { a } else { b }
        }
    };
    if o.xorsign_abs && !found.is_nan() && sign { -found } else { found }
}

fn double(o: &Float, a: f64, b: f64, c: f64) -> f64 {
    match o.op {
        FloatOp::Add => add64(a, b, o.rounding),
        FloatOp::Sub => add64(a, -b, o.rounding),
        FloatOp::Mul => mul64(a, b, o.rounding),
        FloatOp::Fma => a.mul_add(b, c),
        FloatOp::Div | FloatOp::DivApprox => div64(a, b, o.rounding),
        FloatOp::Min | FloatOp::Max => match (a.is_nan(), b.is_nan()) {
            (true, true) => f64::NAN,
            (true, false) => b,
            (false, true) => a,
            (false, false) => {
                let a_greater = a > b || (a == b && b.is_sign_negative());
                if a_greater == (o.op == FloatOp::Max) { a } else { b }
            }
        },
        FloatOp::Abs => a.abs(),
        FloatOp::Neg => -a,
        FloatOp::Rcp => div64(1., a, o.rounding),
        FloatOp::RcpGross => gross(1. / gross(a)),
        FloatOp::Sqrt => sqrt64(a, o.rounding),
        FloatOp::Rsqrt => 1. / a.sqrt(),
        FloatOp::RsqrtGross => gross(1. / gross(a).sqrt()),
        FloatOp::Sin => a.sin(),
        FloatOp::Cos => a.cos(),
        FloatOp::Lg2 => a.log2(),
        FloatOp::Ex2 => a.exp2(),
        FloatOp::Tanh => a.tanh(),
        FloatOp::CopySign => b.copysign(a),
    }
}

/// The upper half of a number in double precision, a subnormal one as zero.
fn gross(x: f64) -> f64 {
    if x.is_nan() {
        return f64::from_bits(0x7fff_ffff_0000_0000);
    }
    let bits = if x.is_subnormal() { x.to_bits() & 1 << 63 } else { x.to_bits() };
    f64::from_bits(bits & !0xffff_ffff)
}

fn half_f16(o: &Float, a: f16, b: f16, c: f16) -> f16 {
    let of = |x| if o.ftz { flush_f16(x) } else { x };
    let (a, b, c) = (of(a), of(b), of(c));
    let (x, y, z) = (a.to_f32(), b.to_f32(), c.to_f32());
    let value = match o.op {
        FloatOp::Abs => f16::from_bits(a.to_bits() & 0x7fff),
        FloatOp::Neg => f16::from_bits(a.to_bits() ^ 0x8000),
        FloatOp::Min | FloatOp::Max => nearest_f16(extreme(o, x, y)),
        FloatOp::Fma => {
            let (high, low) = sum(f64::from(x) * f64::from(y), f64::from(z));
            to_f16(odd(high, low), Rounding::Nearest)
        }
        // Single precision has more than twice a half's digits, so that rounding twice is rounding once.
        _ => nearest_f16(single(o, x, y, z)),
    };
    let value = of(value);
    match (o.sat, o.relu) {
        (true, _) => nearest_f16(saturated(value.to_f32())),
        (_, true) if value.is_nan() => NAN_F16,
        (_, true) if value.is_sign_negative() => f16::ZERO,
        _ => value,
    }
}

fn half_bf16(o: &Float, a: bf16, b: bf16, c: bf16) -> bf16 {
    let of = |x| if o.ftz { flush_bf16(x) } else { x };
    let (a, b, c) = (of(a), of(b), of(c));
    let (x, y, z) = (a.to_f32(), b.to_f32(), c.to_f32());
    let value = match o.op {
        FloatOp::Abs => bf16::from_bits(a.to_bits() & 0x7fff),
        FloatOp::Neg => bf16::from_bits(a.to_bits() ^ 0x8000),
        FloatOp::Min | FloatOp::Max => nearest_bf16(extreme(o, x, y)),
        // Products of halves may be subnormal in single precision, where rounding twice would show.
        FloatOp::Mul => to_bf16(f64::from(x) * f64::from(y), Rounding::Nearest),
        FloatOp::Fma => {
            let (high, low) = sum(f64::from(x) * f64::from(y), f64::from(z));
            to_bf16(odd(high, low), Rounding::Nearest)
        }
        _ => nearest_bf16(single(o, x, y, z)),
    };
    let value = of(value);
    match (o.relu, value.is_nan()) {
        (true, true) => NAN_BF16,
        (true, false) if value.is_sign_negative() => bf16::ZERO,
        _ => value,
    }
}
