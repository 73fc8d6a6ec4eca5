//! Roundings that Rust's own arithmetic does not have. What is rounded is exact: a sum or product in double precision
//! together with what it lacks.

use crate::ptx::instruction::Rounding;
use half::{bf16, f16};

/// `nearest`, corrected by the sign of what the exact value is more than it.
fn directed64(nearest: f64, error: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest | Rounding::NearestAway => nearest,
        Rounding::Up if error > 0. => nearest.next_up(),
        Rounding::Down if error < 0. => nearest.next_down(),
        Rounding::Zero if error < 0. && nearest > 0. => nearest.next_down(),
        Rounding::Zero if error > 0. && nearest < 0. => nearest.next_up(),
        _ => nearest,
    }
}

/// The exact value `high + low` in single precision.
pub fn to_single(high: f64, low: f64, rounding: Rounding) -> f32 {
    // Rounded to odd, the intermediate value loses nothing that decides the final rounding.
    let exact = odd(high, low);
    let nearest = exact as f32;
    if rounding == Rounding::Nearest || exact.is_nan() || exact.is_infinite() {
        return nearest;
    }
    let error = exact - f64::from(nearest);
    match rounding {
        Rounding::Up if error > 0. => nearest.next_up(),
        Rounding::Down if error < 0. => nearest.next_down(),
        Rounding::Zero if error < 0. && nearest > 0. => nearest.next_down(),
        Rounding::Zero if error > 0. && nearest < 0. => nearest.next_up(),
        _ => nearest,
    }
}

/// `high + low` in double precision, rounded to odd: where it is not exact, the last bit is set.
pub fn odd(high: f64, low: f64) -> f64 {
    if low == 0. || !low.is_finite() || high.to_bits() & 1 == 1 {
        return high;
    }
    if (low > 0.) == (high > 0.) {
        f64::from_bits(high.to_bits() + 1)
    } else {
        f64::from_bits(high.to_bits() - 1)
    }
}

/// `a + b` and what it lacks of the exact sum (Knuth's two-sum).
pub fn sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// A sum of two numbers in double precision.
pub fn add64(a: f64, b: f64, rounding: Rounding) -> f64 {
    let (nearest, error) = sum(a, b);
    if rounding == Rounding::Nearest {
        return nearest;
    }
    if nearest.is_infinite() && a.is_finite() && b.is_finite() {
        return directed64(nearest, -nearest, rounding);
    }
    zero_sum(directed64(nearest, error, rounding), a, b, rounding)
}

/// An exact sum of zero is negative where rounding is downwards, unless both terms are positive zeros.
pub fn zero_sum(sum: f64, a: f64, b: f64, rounding: Rounding) -> f64 {
    let cancelled = a.is_sign_negative() != b.is_sign_negative();
    if sum == 0. && rounding == Rounding::Down && cancelled { -0. } else { sum }
}

/// A product of two numbers in double precision.
pub fn mul64(a: f64, b: f64, rounding: Rounding) -> f64 {
    let nearest = a * b;
    if rounding == Rounding::Nearest {
        return nearest;
    }
    if nearest.is_infinite() && a.is_finite() && b.is_finite() {
        return directed64(nearest, -nearest, rounding);
    }
    directed64(nearest, product_error(a, b, nearest), rounding)
}

/// The sign of what `a · b` is more than `product`, also where the product is subnormal.
fn product_error(a: f64, b: f64, product: f64) -> f64 {
    if product.abs() > 1e-250 || !product.is_finite() {
        return a.mul_add(b, -product);
    }
    // Scaled up by a power of two, nothing gets lost below the smallest subnormal number.
    let scale = 2f64.powi(500);
    let (large, small) = if a.abs() > b.abs() { (a, b) } else { (b, a) };
    let large_scale = if large.abs() < 1e-100 { scale } else { 1. };
    (large * large_scale).mul_add(small * scale, -(product * scale * large_scale))
}

/// A quotient of two numbers in double precision.
pub fn div64(a: f64, b: f64, rounding: Rounding) -> f64 {
    let nearest = a / b;
    if rounding == Rounding::Nearest || b == 0. || !a.is_finite() || !b.is_finite() {
        return nearest;
    }
    if nearest.is_infinite() {
        return directed64(nearest, -nearest, rounding);
    }
    // The remainder has the sign of the error, with the divisor's.
    let remainder = (-nearest).mul_add(b, a);
    directed64(nearest, if b > 0. { remainder } else { -remainder }, rounding)
}

/// A square root in double precision.
pub fn sqrt64(a: f64, rounding: Rounding) -> f64 {
    let nearest = a.sqrt();
    if rounding == Rounding::Nearest || !nearest.is_finite() || nearest == 0. {
        return nearest;
    }
    directed64(nearest, (-nearest).mul_add(nearest, a), rounding)
}

/// A quotient of two numbers in single precision. In double precision it is exact enough for every rounding but that
/// of a quotient that is exact itself, and then its remainder is zero.
pub fn div32(a: f32, b: f32, rounding: Rounding) -> f32 {
    if rounding == Rounding::Nearest || b == 0. || !a.is_finite() || !b.is_finite() {
        return a / b;
    }
    let (a, b) = (f64::from(a), f64::from(b));
    let quotient = a / b;
    let remainder = (-quotient).mul_add(b, a);
    to_single(quotient, if b > 0. { remainder } else { -remainder }, rounding)
}

/// A square root in single precision.
pub fn sqrt32(a: f32, rounding: Rounding) -> f32 {
    let root = f64::from(a).sqrt();
    if rounding == Rounding::Nearest || !root.is_finite() || root == 0. {
        return a.sqrt();
    }
    to_single(root, (-root).mul_add(root, f64::from(a)), rounding)
}

/// A format of fewer digits than double precision.
struct Format {
    /// Digits with the leading one.
    digits: i32,
    /// Exponent of the smallest normal number.
    least: i32,
    greatest: f64,
}

const HALF: Format = Format { digits: 11, least: -14, greatest: 65504. };
const BRAIN: Format = Format { digits: 8, least: -126, greatest: 3.3895313892515355e38 };
const TENSOR: Format = Format { digits: 11, least: -126, greatest: 3.4011621342146535e38 };

/// `x` to the nearest number of a format, or in the direction that is asked for.
fn narrow(x: f64, format: &Format, rounding: Rounding) -> f64 {
    if x == 0. || !x.is_finite() {
        return x;
    }
    let exponent = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(format.least);
    // A power of two within double precision's own range, so that the scaling is exact.
    let quantum = 2f64.powi(exponent - format.digits + 1);
    let scaled = x / quantum;
    let whole = match rounding {
        Rounding::Nearest => scaled.round_ties_even(),
        Rounding::NearestAway => scaled.round(),
        Rounding::Zero => scaled.trunc(),
        Rounding::Down => scaled.floor(),
        Rounding::Up => scaled.ceil(),
    };
    let rounded = (whole * quantum).copysign(x);
    if rounded.abs() <= format.greatest {
        return rounded;
    }
    let to_infinity = match rounding {
        Rounding::Nearest | Rounding::NearestAway => true,
        Rounding::Zero => false,
        Rounding::Down => x < 0.,
        Rounding::Up => x > 0.,
    };
    if to_infinity { f64::INFINITY.copysign(x) } else { format.greatest.copysign(x) }
}

/// To a half in f16; NaN becomes 0x7fff.
pub fn to_f16(x: f64, rounding: Rounding) -> f16 {
    if x.is_nan() {
        return f16::from_bits(0x7fff);
    }
    // What is rounded already is exact in single precision, and in a half.
    f16::from_f32(narrow(x, &HALF, rounding) as f32)
}

/// To a half in bf16; NaN becomes 0x7fff.
pub fn to_bf16(x: f64, rounding: Rounding) -> bf16 {
    if x.is_nan() {
        return bf16::from_bits(0x7fff);
    }
    bf16::from_bits(((narrow(x, &BRAIN, rounding) as f32).to_bits() >> 16) as u16)
}

/// To tf32, in the upper bits of a number in single precision.
pub fn to_tf32(x: f32, rounding: Rounding) -> f32 {
    if x.is_nan() {
        return f32::from_bits(0x7fff_ffff);
    }
    narrow(f64::from(x), &TENSOR, rounding) as f32
}

/// The nearest half in bf16, which is what kernels convert most.
#[inline(always)]
pub fn nearest_bf16(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    bf16::from_bits(if x.is_nan() { 0x7fff } else { rounded as u16 })
}

/// The nearest half in f16.
#[inline(always)]
pub fn nearest_f16(x: f32) -> f16 {
    if x.is_nan() { f16::from_bits(0x7fff) } else { f16::from_f32(x) }
}

/// A subnormal number as zero of its sign.
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    if x.to_bits() & 0x7f80_0000 == 0 { f32::from_bits(x.to_bits() & 1 << 31) } else { x }
}

/// The same of a half in f16.
pub fn flush_f16(x: f16) -> f16 {
    if x.to_bits() & 0x7c00 == 0 { f16::from_bits(x.to_bits() & 0x8000) } else { x }
}

/// The same of a half in bf16.
pub fn flush_bf16(x: bf16) -> bf16 {
    if x.to_bits() & 0x7f80 == 0 { bf16::from_bits(x.to_bits() & 0x8000) } else { x }
}
