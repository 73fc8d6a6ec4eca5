//! Comparisons and selections.

use super::super::registers::{LANES, Lane, Registers};
use super::integer::combine;
use super::numbers::{flush, flush_f16};
use crate::ptx::instruction::{
    Compare, Compared, Comparison, Condition, FloatTest, FloatType, Int, Set, SetTo,
};
use crate::ptx::instruction::{Predicate, Register};
use crate::ptx::types::Width;
use half::{bf16, f16};
use std::cmp::Ordering;

fn holds(comparison: Comparison, order: Option<Ordering>) -> bool {
    match comparison {
        Comparison::Eq => order == Some(Ordering::Equal),
        Comparison::Ne => matches!(order, Some(Ordering::Less | Ordering::Greater)),
        Comparison::Lt => order == Some(Ordering::Less),
        Comparison::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Gt => order == Some(Ordering::Greater),
        Comparison::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Equ => matches!(order, None | Some(Ordering::Equal)),
        Comparison::Neu => order != Some(Ordering::Equal),
        Comparison::Ltu => matches!(order, None | Some(Ordering::Less)),
        Comparison::Leu => order != Some(Ordering::Greater),
        Comparison::Gtu => matches!(order, None | Some(Ordering::Greater)),
        Comparison::Geu => order != Some(Ordering::Less),
        Comparison::Num => order.is_some(),
        Comparison::Nan => order.is_none(),
    }
}

#[inline(always)]
fn bits<T: Lane>(r: &Registers, c: &Condition, test: impl Fn(T, T) -> bool) -> u32 {
    let (a, b) = (r.get::<T>(c.a), r.get::<T>(c.b));
    (0..LANES).fold(0, |found, lane| found | u32::from(test(a[lane], b[lane])) << lane)
}

/// The comparisons that loops make are compiled one by one, so that lanes are compared side by side.
#[inline(always)]
fn ordered<T: Lane + PartialOrd>(r: &Registers, c: &Condition) -> u32 {
    match c.comparison {
        Comparison::Eq => bits::<T>(r, c, |a, b| a == b),
        Comparison::Lt => bits::<T>(r, c, |a, b| a < b),
        Comparison::Le => bits::<T>(r, c, |a, b| a <= b),
        Comparison::Gt => bits::<T>(r, c, |a, b| a > b),
        Comparison::Ge => bits::<T>(r, c, |a, b| a >= b),
        Comparison::Neu => bits::<T>(r, c, |a, b| a != b),
        other => bits::<T>(r, c, |a, b| holds(other, a.partial_cmp(&b))),
    }
}

/// The result of each lane, not yet combined with a predicate.
fn plain(r: &Registers, c: &Condition) -> u32 {
    match c.ty {
        Compared::Integer(Int::U16) => ordered::<u16>(r, c),
        Compared::Integer(Int::S16) => ordered::<i16>(r, c),
        Compared::Integer(Int::U32) => ordered::<u32>(r, c),
        Compared::Integer(Int::S32) => ordered::<i32>(r, c),
        Compared::Integer(Int::U64) => ordered::<u64>(r, c),
        Compared::Integer(Int::S64) => ordered::<i64>(r, c),
        Compared::Float(FloatType::F32) if c.ftz => {
            bits(r, c, |a: f32, b: f32| holds(c.comparison, flush(a).partial_cmp(&flush(b))))
        }
        Compared::Float(FloatType::F32) => ordered::<f32>(r, c),
        Compared::Float(FloatType::F64) => ordered::<f64>(r, c),
        _ => bits(r, c, |a: u16, b: u16| half(c, a, b)),
    }
}

fn half(c: &Condition, a: u16, b: u16) -> bool {
    let order = match c.ty {
        Compared::Float(FloatType::Bf16 | FloatType::Bf16x2) => {
            bf16::from_bits(a).partial_cmp(&bf16::from_bits(b))
        }
        _ if c.ftz => flush_f16(f16::from_bits(a)).partial_cmp(&flush_f16(f16::from_bits(b))),
        _ => f16::from_bits(a).partial_cmp(&f16::from_bits(b)),
    };
    holds(c.comparison, order)
}

fn is_packed(c: &Condition) -> bool {
    matches!(c.ty, Compared::Float(FloatType::F16x2 | FloatType::Bf16x2))
}

/// The results of the upper halves.
fn upper(r: &Registers, c: &Condition) -> u32 {
    bits(r, c, |a: u32, b: u32| half(c, (a >> 16) as u16, (b >> 16) as u16))
}

fn combined(r: &Registers, c: &Condition, bits: u32) -> u32 {
    match c.combine {
        Some((op, predicate, negated)) => combine(op, bits, r.condition(predicate, negated)),
        None => bits,
    }
}

/// `setp`.
pub fn compare(o: &Compare, r: &mut Registers, mask: u32) {
    let c = &o.condition;
    let found = plain(r, c);
    let other = if is_packed(c) { upper(r, c) } else { !found };
    let (found, other) = (combined(r, c, found), combined(r, c, other));
    for (predicate, bits) in [(o.d, found), (o.other, other)] {
        if let Some(predicate) = predicate {
            r.set_predicate(predicate, mask, bits);
        }
    }
}

/// `set`.
pub fn set(o: &Set, r: &mut Registers, mask: u32) {
    let c = &o.condition;
    let found = combined(r, c, plain(r, c));
    let one = match o.to {
        SetTo::Ones16 => 0xffff,
        SetTo::Ones32 => u32::MAX,
        SetTo::F16 | SetTo::F16x2 => u32::from(f16::ONE.to_bits()),
        SetTo::Bf16 | SetTo::Bf16x2 => u32::from(bf16::ONE.to_bits()),
        SetTo::F32 => 1f32.to_bits(),
    };
    let high = if is_packed(c) { combined(r, c, upper(r, c)) } else { 0 };
    let value = |lane: usize| (one * (found >> lane & 1)) | ((high >> lane & 1) * ((one << 16) & !0xffff));
    let values: [u32; LANES] = std::array::from_fn(value);
    r.set(o.d, mask, values);
}

/// `selp`.
pub fn select(
    r: &mut Registers,
    mask: u32,
    width: Width,
    d: Register,
    [a, b]: [Register; 2],
    condition: u32,
) {
    fn chosen<T: Lane>(r: &mut Registers, mask: u32, d: Register, [a, b]: [Register; 2], condition: u32) {
        let (a, b) = (r.get::<T>(a), r.get::<T>(b));
        let values: [T; LANES] =
            std::array::from_fn(|lane| if condition >> lane & 1 == 1 { a[lane] } else { b[lane] });
        r.set(d, mask, values);
    }
    match width {
        Width::W64 => chosen::<u64>(r, mask, d, [a, b], condition),
        _ => chosen::<u32>(r, mask, d, [a, b], condition),
    }
}

/// `slct`: a negative zero counts as not negative, NaN as negative.
pub fn sign_of(r: &Registers, c: Register, float: bool, ftz: bool) -> u32 {
    let of = |lane: usize, value: f32| {
        let value = if ftz { flush(value) } else { value };
        u32::from(value >= 0.) << lane
    };
    if float {
        r.get::<f32>(c).into_iter().enumerate().fold(0, |found, (lane, value)| found | of(lane, value))
    } else {
        r.get::<i32>(c)
            .into_iter()
            .enumerate()
            .fold(0, |found, (lane, value)| found | u32::from(value >= 0) << lane)
    }
}

/// `testp`.
pub fn test(r: &mut Registers, mask: u32, test: FloatTest, double: bool, d: Predicate, a: Register) {
    fn passes(test: FloatTest, class: std::num::FpCategory) -> bool {
        use std::num::FpCategory;
        match test {
            FloatTest::Finite => !matches!(class, FpCategory::Infinite | FpCategory::Nan),
            FloatTest::Infinite => class == FpCategory::Infinite,
            FloatTest::Number => class != FpCategory::Nan,
            FloatTest::NotANumber => class == FpCategory::Nan,
            FloatTest::Normal => class == FpCategory::Normal,
            FloatTest::Subnormal => class == FpCategory::Subnormal,
        }
    }
    let mut bits = 0;
    for lane in 0..LANES {
        let class = if double {
            f64::from_bits(r.wide_lane(a, lane)).classify()
        } else {
            f32::from_bits(r.lane(a, lane)).classify()
        };
        bits |= u32::from(passes(test, class)) << lane;
    }
    r.set_predicate(d, mask, bits);
}
