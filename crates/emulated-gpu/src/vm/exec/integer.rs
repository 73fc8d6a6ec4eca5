//! Integers and bits.

use super::super::registers::{LANES, Lane, Registers, binary, ternary, unary};
use super::super::{Failure, Outcome};
use crate::fault::FaultKind;
use crate::ptx::instruction::{Carry, CarryOp, Combine, Int, Integer, IntegerOp, Logic, PermuteMode};

/// Executes an operation on the lanes of `mask`.
pub fn execute(o: &Integer, r: &mut Registers, mask: u32) -> Outcome {
    match (o.op, o.ty) {
        (IntegerOp::MulWide, Int::U16) => {
            binary(r, mask, o.d, two(o), |a: u16, b: u16| u32::from(a) * u32::from(b))
        }
        (IntegerOp::MulWide, Int::S16) => {
            binary(r, mask, o.d, two(o), |a: i16, b: i16| i32::from(a) * i32::from(b))
        }
        (IntegerOp::MulWide, Int::U32) => {
            binary(r, mask, o.d, two(o), |a: u32, b: u32| u64::from(a) * u64::from(b))
        }
        (IntegerOp::MulWide, _) => binary(r, mask, o.d, two(o), |a: i32, b: i32| i64::from(a) * i64::from(b)),
        (IntegerOp::MadWide, Int::U16) => {
            ternary(r, mask, o.d, three(o), |a: u16, b: u16, c: u32| {
                (u32::from(a) * u32::from(b)).wrapping_add(c)
            });
        }
        (IntegerOp::MadWide, Int::S16) => {
            ternary(r, mask, o.d, three(o), |a: i16, b: i16, c: i32| {
                (i32::from(a) * i32::from(b)).wrapping_add(c)
            });
        }
        (IntegerOp::MadWide, Int::U32) => {
            ternary(r, mask, o.d, three(o), |a: u32, b: u32, c: u64| {
                (u64::from(a) * u64::from(b)).wrapping_add(c)
            });
        }
        (IntegerOp::MadWide, _) => {
            ternary(r, mask, o.d, three(o), |a: i32, b: i32, c: i64| {
                (i64::from(a) * i64::from(b)).wrapping_add(c)
            });
        }
        (_, Int::U16) => u16_operation(o, r, mask)?,
        (_, Int::S16) => i16_operation(o, r, mask)?,
        (_, Int::U32) => u32_operation(o, r, mask)?,
        (_, Int::S32) => i32_operation(o, r, mask)?,
        (_, Int::U64) => u64_operation(o, r, mask)?,
        (_, Int::S64) => i64_operation(o, r, mask)?,
    }
    Ok(())
}

fn two(o: &Integer) -> [crate::ptx::instruction::Register; 2] {
    [o.s[0], o.s[1]]
}

fn three(o: &Integer) -> [crate::ptx::instruction::Register; 3] {
    [o.s[0], o.s[1], o.s[2]]
}

/// A division by zero has no result that PTX would define, so that it is a fault.
fn no_zero<T: Lane + PartialEq>(o: &Integer, r: &Registers, mask: u32) -> Outcome {
    let divisors = r.get::<T>(o.s[1]);
    match (0..LANES).find(|lane| mask >> lane & 1 == 1 && divisors[*lane] == T::default()) {
        Some(lane) => Err(Failure::new(lane, FaultKind::DivisionByZero)),
        None => Ok(()),
    }
}

macro_rules! operations {
    ($name:ident, $t:ty, $signed:ty, $unsigned:ty, $double:ty) => {
        fn $name(o: &Integer, r: &mut Registers, mask: u32) -> Outcome {
            const BITS: u32 = <$t>::BITS;
            let (d, s2, s3) = (o.d, two(o), three(o));
            match o.op {
                IntegerOp::Add => binary(r, mask, d, s2, |a: $t, b: $t| a.wrapping_add(b)),
                IntegerOp::AddSat => binary(r, mask, d, s2, |a: $t, b: $t| a.saturating_add(b)),
                IntegerOp::Sub => binary(r, mask, d, s2, |a: $t, b: $t| a.wrapping_sub(b)),
                IntegerOp::SubSat => binary(r, mask, d, s2, |a: $t, b: $t| a.saturating_sub(b)),
                IntegerOp::MulLow => binary(r, mask, d, s2, |a: $t, b: $t| a.wrapping_mul(b)),
                IntegerOp::MulHigh => {
                    binary(r, mask, d, s2, |a: $t, b: $t| (((a as $double) * (b as $double)) >> BITS) as $t)
                }
                IntegerOp::MadLow => {
                    ternary(r, mask, d, s3, |a: $t, b: $t, c: $t| a.wrapping_mul(b).wrapping_add(c))
                }
                IntegerOp::MadHigh => ternary(r, mask, d, s3, |a: $t, b: $t, c: $t| {
                    ((((a as $double) * (b as $double)) >> BITS) as $t).wrapping_add(c)
                }),
                IntegerOp::MadHighSat => ternary(r, mask, d, s3, |a: $t, b: $t, c: $t| {
                    ((((a as $double) * (b as $double)) >> BITS) as $t).saturating_add(c)
                }),
                IntegerOp::Sad => {
                    ternary(r, mask, d, s3, |a: $t, b: $t, c: $unsigned| a.abs_diff(b).wrapping_add(c))
                }
                IntegerOp::Div => {
                    no_zero::<$t>(o, r, mask)?;
                    binary(r, mask, d, s2, |a: $t, b: $t| if b == 0 { 0 } else { a.wrapping_div(b) });
                }
                IntegerOp::Rem => {
                    no_zero::<$t>(o, r, mask)?;
                    binary(r, mask, d, s2, |a: $t, b: $t| if b == 0 { 0 } else { a.wrapping_rem(b) });
                }
                IntegerOp::Abs => unary(r, mask, d, s2[0], |a: $t| (a as $signed).wrapping_abs() as $t),
                IntegerOp::Neg => unary(r, mask, d, s2[0], |a: $t| a.wrapping_neg()),
                IntegerOp::Min => binary(r, mask, d, s2, |a: $t, b: $t| a.min(b)),
                IntegerOp::Max => binary(r, mask, d, s2, |a: $t, b: $t| a.max(b)),
                IntegerOp::And => binary(r, mask, d, s2, |a: $t, b: $t| a & b),
                IntegerOp::Or => binary(r, mask, d, s2, |a: $t, b: $t| a | b),
                IntegerOp::Xor => binary(r, mask, d, s2, |a: $t, b: $t| a ^ b),
                IntegerOp::Not => unary(r, mask, d, s2[0], |a: $t| !a),
                IntegerOp::Cnot => unary(r, mask, d, s2[0], |a: $t| <$t>::from(a == 0)),
                IntegerOp::Shl => binary(r, mask, d, s2, |a: $t, b: u32| if b >= BITS { 0 } else { a << b }),
                IntegerOp::Shr => binary(r, mask, d, s2, |a: $t, b: u32| {
                    let sign = if (a as $signed) < 0 && <$t>::MIN != 0 { !0 } else { 0 };
                    if b >= BITS { sign } else { a >> b }
                }),
                IntegerOp::Popc => unary(r, mask, d, s2[0], |a: $t| a.count_ones()),
                IntegerOp::Clz => unary(r, mask, d, s2[0], |a: $t| a.leading_zeros()),
                IntegerOp::Bfind { shift } => unary(r, mask, d, s2[0], |a: $t| {
                    let of = if <$t>::MIN != 0 && (a as $signed) < 0 { !a } else { a };
                    match of.leading_zeros() {
                        none if none == BITS => u32::MAX,
                        from_top if shift => from_top,
                        from_top => BITS - 1 - from_top,
                    }
                }),
                IntegerOp::Brev => unary(r, mask, d, s2[0], |a: $t| a.reverse_bits()),
                IntegerOp::Bfe => ternary(r, mask, d, s3, |a: $t, b: u32, c: u32| {
                    let (position, length) = ((b & 255).min(127), c & 255);
                    // An i128 holds each of the types, and its sign bit is the type's.
                    let field = (a as i128) >> position;
                    match length {
                        0 => 0,
                        1..128 if <$t>::MIN != 0 => (field << (128 - length) >> (128 - length)) as $t,
                        1..128 => (field as u128 & (u128::MAX >> (128 - length))) as $t,
                        _ => field as $t,
                    }
                }),
                _ => words(o, r, mask),
            }
            Ok(())
        }
    };
}

operations!(u16_operation, u16, i16, u16, u32);
operations!(i16_operation, i16, i16, u16, i32);
operations!(u32_operation, u32, i32, u32, u64);
operations!(i32_operation, i32, i32, u32, i64);
operations!(u64_operation, u64, i64, u64, u128);
operations!(i64_operation, i64, i64, u64, i128);

/// Operations that exist of 32 bits alone, and `bfi`, which has four operands.
fn words(o: &Integer, r: &mut Registers, mask: u32) {
    let (d, s2, s3) = (o.d, two(o), three(o));
    let signed = o.ty == Int::S32;
    match o.op {
        IntegerOp::Mul24Low => binary(r, mask, d, s2, |a: u32, b: u32| product24(a, b, signed) as u32),
        IntegerOp::Mul24High => {
            binary(r, mask, d, s2, |a: u32, b: u32| (product24(a, b, signed) >> 16) as u32)
        }
        IntegerOp::Mad24Low => {
            ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
                (product24(a, b, signed) as u32).wrapping_add(c)
            });
        }
        IntegerOp::Mad24High => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
            ((product24(a, b, signed) >> 16) as u32).wrapping_add(c)
        }),
        IntegerOp::Mad24HighSat => ternary(r, mask, d, s3, |a: u32, b: u32, c: i32| {
            ((product24(a, b, signed) >> 16) as i32).saturating_add(c)
        }),
        IntegerOp::Logic3(table) => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| logic3(table, a, b, c)),
        IntegerOp::FunnelLeft { wrap } => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
            let n = if wrap { c & 31 } else { c.min(32) };
            (((u64::from(b) << 32 | u64::from(a)) << n) >> 32) as u32
        }),
        IntegerOp::FunnelRight { wrap } => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
            let n = if wrap { c & 31 } else { c.min(32) };
            ((u64::from(b) << 32 | u64::from(a)) >> n) as u32
        }),
        IntegerOp::Fns => ternary(r, mask, d, s3, nth_set),
        IntegerOp::Permute(mode) => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| permute(mode, a, b, c)),
        IntegerOp::Dp4a { a_signed, b_signed } => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
            (0..4).fold(c, |sum, q| {
                sum.wrapping_add(byte(a, q, a_signed).wrapping_mul(byte(b, q, b_signed)) as u32)
            })
        }),
        IntegerOp::Dp2a { a_signed, b_signed, high } => ternary(r, mask, d, s3, |a: u32, b: u32, c: u32| {
            (0..2).fold(c, |sum, q| {
                let half = (a >> (16 * q)) as u16;
                let half = if a_signed { i32::from(half as i16) } else { i32::from(half) };
                sum.wrapping_add(half.wrapping_mul(byte(b, q + 2 * u32::from(high), b_signed)) as u32)
            })
        }),
        IntegerOp::Bfi if matches!(o.ty, Int::U64 | Int::S64) => {
            let (a, b) = (r.get::<u64>(o.s[0]), r.get::<u64>(o.s[1]));
            let (c, n) = (r.get::<u32>(o.s[2]), r.get::<u32>(o.s[3]));
            r.set(d, mask, std::array::from_fn(|lane| insert(a[lane], b[lane], c[lane], n[lane], 64)));
        }
        _ => {
            let (a, b) = (r.get::<u32>(o.s[0]), r.get::<u32>(o.s[1]));
            let (c, n) = (r.get::<u32>(o.s[2]), r.get::<u32>(o.s[3]));
            let insert =
                |lane: usize| insert(u64::from(a[lane]), u64::from(b[lane]), c[lane], n[lane], 32) as u32;
            r.set(d, mask, std::array::from_fn(insert));
        }
    }
}

fn product24(a: u32, b: u32, signed: bool) -> i64 {
    let part = |x: u32| if signed { i64::from((x << 8) as i32 >> 8) } else { i64::from(x & 0xff_ffff) };
    part(a) * part(b)
}

fn logic3(table: u8, a: u32, b: u32, c: u32) -> u32 {
    (0..8).filter(|row| table >> row & 1 == 1).fold(0, |found, row| {
        let pick = |x: u32, bit: u32| if row >> bit & 1 == 1 { x } else { !x };
        found | pick(a, 2) & pick(b, 1) & pick(c, 0)
    })
}

/// `fns`: the place of the n-th set bit from a base, upwards or downwards.
fn nth_set(bits: u32, base: u32, offset: i32) -> u32 {
    if offset == 0 {
        return if base < 32 && bits >> base & 1 == 1 { base } else { u32::MAX };
    }
    let mut left = offset.unsigned_abs();
    let mut at = i64::from(base);
    while (0..32).contains(&at) {
        left -= bits >> at & 1;
        if left == 0 {
            return at as u32;
        }
        at += if offset > 0 { 1 } else { -1 };
    }
    u32::MAX
}

fn permute(mode: PermuteMode, a: u32, b: u32, c: u32) -> u32 {
    let from = u64::from(b) << 32 | u64::from(a);
    let select = c & 3;
    (0..4).fold(0, |found, q| {
        let (index, sign) = match mode {
            PermuteMode::Default => (c >> (4 * q) & 7, c >> (4 * q + 3) & 1 == 1),
            PermuteMode::Forward4 => (select + q, false),
            PermuteMode::Backward4 => ((select + 8 - q) & 7, false),
            PermuteMode::Replicate8 => (select, false),
            PermuteMode::EdgeLeft => (select.max(q), false),
            PermuteMode::EdgeRight => (select.min(q), false),
            PermuteMode::Replicate16 => ((select & 1) * 2 + (q & 1), false),
        };
        let byte = (from >> (8 * index)) as u8;
        let byte = if sign { ((byte as i8) >> 7) as u8 } else { byte };
        found | u32::from(byte) << (8 * q)
    })
}

fn byte(of: u32, index: u32, signed: bool) -> i32 {
    let byte = (of >> (8 * index)) as u8;
    if signed { i32::from(byte as i8) } else { i32::from(byte) }
}

/// `bfi`: the low `n` bits of `a` at `c` in `b`.
fn insert(a: u64, b: u64, c: u32, n: u32, bits: u32) -> u64 {
    let (position, length) = (c & 255, n & 255);
    if position >= bits || length == 0 {
        return b;
    }
    let field = u64::MAX >> (64 - length.min(bits - position)) << position;
    b & !field | a << position & field
}

/// Executes an operation with a carry.
pub fn carry(o: &Carry, r: &mut Registers, mask: u32) {
    match o.ty {
        Int::U64 | Int::S64 => {
            let s = o.s.map(|register| r.get::<u64>(register));
            let mut values = [0u64; LANES];
            let mut carries = 0;
            for lane in 0..LANES {
                let sum = carried(o, s.map(|row| row[lane]), r.carry >> lane & 1, 64);
                values[lane] = sum as u64;
                carries |= u32::from(sum >> 64 & 1 == 1) << lane;
            }
            r.set(o.d, mask, values);
            keep(o, r, mask, carries);
        }
        _ => {
            let s = o.s.map(|register| r.get::<u32>(register));
            let mut values = [0u32; LANES];
            let mut carries = 0;
            for lane in 0..LANES {
                let sum = carried(o, s.map(|row| u64::from(row[lane])), r.carry >> lane & 1, 32);
                values[lane] = sum as u32;
                carries |= u32::from(sum >> 32 & 1 == 1) << lane;
            }
            r.set(o.d, mask, values);
            keep(o, r, mask, carries);
        }
    }
}

/// The result with its carry in the bit above it; a borrow is a carry too.
fn carried(o: &Carry, [a, b, c]: [u64; 3], carry: u32, bits: u32) -> u128 {
    let carry = if o.carry_in { u128::from(carry) } else { 0 };
    let signed = matches!(o.ty, Int::S32 | Int::S64);
    let widen = |x: u64| match (signed, bits) {
        (true, 32) => i128::from(x as i32),
        (true, _) => i128::from(x as i64),
        (false, _) => i128::from(x),
    };
    let ones = u128::MAX >> (128 - bits);
    match o.op {
        CarryOp::Add => u128::from(a) + u128::from(b) + carry,
        CarryOp::Sub => u128::from(a).wrapping_sub(u128::from(b)).wrapping_sub(carry),
        CarryOp::MadLow => (widen(a).wrapping_mul(widen(b)) as u128 & ones) + u128::from(c) + carry,
        CarryOp::MadHigh => {
            let product = if signed { (widen(a) * widen(b)) as u128 } else { u128::from(a) * u128::from(b) };
            (product >> bits & ones) + u128::from(c) + carry
        }
    }
}

fn keep(o: &Carry, r: &mut Registers, mask: u32, carries: u32) {
    if o.carry_out {
        r.carry = r.carry & !mask | carries & mask;
    }
}

/// Logic of predicates.
pub fn logic(o: &Logic, r: &mut Registers, mask: u32) {
    let (a, b) = (r.condition(o.a, o.a_negated), r.condition(o.b, o.b_negated));
    r.set_predicate(o.d, mask, combine(o.op, a, b));
}

/// Two masks as one.
pub fn combine(op: Combine, a: u32, b: u32) -> u32 {
    match op {
        Combine::And => a & b,
        Combine::Or => a | b,
        Combine::Xor => a ^ b,
    }
}
