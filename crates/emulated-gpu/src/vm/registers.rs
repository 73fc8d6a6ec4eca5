//! The registers of a warp.

use crate::ptx::instruction::{Predicate, Register};
use half::{bf16, f16};

/// All lanes.
pub const FULL: u32 = u32::MAX;
/// Lanes of a warp.
pub const LANES: usize = 32;

/// Registers, predicates and the carry flag of a warp.
pub struct Registers {
    lines: Vec<[u32; LANES]>,
    predicates: Vec<u32>,
    /// `CC.CF`, a bit for each lane.
    pub carry: u32,
}

impl Registers {
    pub fn new(lines: u32, predicates: u32) -> Registers {
        Registers {
            lines: vec![[0; LANES]; lines as usize],
            predicates: vec![0; predicates as usize],
            carry: 0,
        }
    }

    /// The values of all lanes.
    #[inline(always)]
    pub fn get<T: Lane>(&self, register: Register) -> [T; LANES] {
        T::get(self, register.0 as usize)
    }

    /// Sets the values of the lanes in `mask`.
    #[inline(always)]
    pub fn set<T: Lane>(&mut self, register: Register, mask: u32, values: [T; LANES]) {
        T::set(self, register.0 as usize, mask, values);
    }

    /// A lane's value in a register of 32 bits, or the lower half of a wider one.
    #[inline(always)]
    pub fn lane(&self, register: Register, lane: usize) -> u32 {
        self.lines[register.0 as usize][lane]
    }

    /// A lane's value in a register of 64 bits.
    #[inline(always)]
    pub fn wide_lane(&self, register: Register, lane: usize) -> u64 {
        let at = register.0 as usize;
        u64::from(self.lines[at][lane]) | u64::from(self.lines[at + 1][lane]) << 32
    }

    /// Sets a lane's value in a register of 32 bits or fewer.
    #[inline(always)]
    pub fn set_lane(&mut self, register: Register, lane: usize, value: u32) {
        self.lines[register.0 as usize][lane] = value;
    }

    /// Sets a lane's value in a register of 64 bits.
    #[inline(always)]
    pub fn set_wide_lane(&mut self, register: Register, lane: usize, value: u64) {
        let at = register.0 as usize;
        self.lines[at][lane] = value as u32;
        self.lines[at + 1][lane] = (value >> 32) as u32;
    }

    /// A bit for each lane.
    #[inline(always)]
    pub fn predicate(&self, predicate: Predicate) -> u32 {
        self.predicates[predicate.0 as usize]
    }

    /// The same, negated or not.
    #[inline(always)]
    pub fn condition(&self, predicate: Predicate, negated: bool) -> u32 {
        self.predicate(predicate) ^ if negated { FULL } else { 0 }
    }

    /// Sets the bits of the lanes in `mask`.
    #[inline(always)]
    pub fn set_predicate(&mut self, predicate: Predicate, mask: u32, bits: u32) {
        let line = &mut self.predicates[predicate.0 as usize];
        *line = *line & !mask | bits & mask;
    }
}

/// A value that a register holds for each lane.
pub trait Lane: Copy + Default {
    fn get(registers: &Registers, at: usize) -> [Self; LANES];
    fn set(registers: &mut Registers, at: usize, mask: u32, values: [Self; LANES]);
}

#[inline(always)]
fn put(line: &mut [u32; LANES], mask: u32, values: [u32; LANES]) {
    if mask == FULL {
        *line = values;
        return;
    }
    for (lane, (old, new)) in line.iter_mut().zip(values).enumerate() {
        *old = if mask >> lane & 1 == 1 { new } else { *old };
    }
}

macro_rules! narrow {
    ($($ty:ty, $bits:ident => $from:expr, $value:ident => $to:expr;)*) => { $(
        impl Lane for $ty {
            #[inline(always)]
            fn get(registers: &Registers, at: usize) -> [$ty; LANES] {
                registers.lines[at].map(|$bits| $from)
            }
            #[inline(always)]
            fn set(registers: &mut Registers, at: usize, mask: u32, values: [$ty; LANES]) {
                put(&mut registers.lines[at], mask, values.map(|$value| $to));
            }
        }
    )* };
}

narrow! {
    u16, bits => bits as u16, value => u32::from(value);
    i16, bits => bits as i16, value => u32::from(value as u16);
    u32, bits => bits, value => value;
    i32, bits => bits as i32, value => value as u32;
    f32, bits => f32::from_bits(bits), value => value.to_bits();
    f16, bits => f16::from_bits(bits as u16), value => u32::from(value.to_bits());
    bf16, bits => bf16::from_bits(bits as u16), value => u32::from(value.to_bits());
}

macro_rules! wide {
    ($($ty:ty, $bits:ident => $from:expr, $value:ident => $to:expr;)*) => { $(
        impl Lane for $ty {
            #[inline(always)]
            fn get(registers: &Registers, at: usize) -> [$ty; LANES] {
                let (low, high) = (&registers.lines[at], &registers.lines[at + 1]);
                std::array::from_fn(|lane| {
                    let $bits = u64::from(low[lane]) | u64::from(high[lane]) << 32;
                    $from
                })
            }
            #[inline(always)]
            fn set(registers: &mut Registers, at: usize, mask: u32, values: [$ty; LANES]) {
                let bits = values.map(|$value| $to);
                put(&mut registers.lines[at], mask, bits.map(|bits| bits as u32));
                put(&mut registers.lines[at + 1], mask, bits.map(|bits| (bits >> 32) as u32));
            }
        }
    )* };
}

wide! {
    u64, bits => bits, value => value;
    i64, bits => bits as i64, value => value as u64;
    f64, bits => f64::from_bits(bits), value => value.to_bits();
}

/// A result of one operand, lane by lane.
#[inline(always)]
pub fn unary<A: Lane, D: Lane>(
    registers: &mut Registers,
    mask: u32,
    d: Register,
    a: Register,
    f: impl Fn(A) -> D,
) {
    let a = registers.get::<A>(a);
    let values = std::array::from_fn(|lane| f(a[lane]));
    registers.set(d, mask, values);
}

/// A result of two operands.
#[inline(always)]
pub fn binary<A: Lane, B: Lane, D: Lane>(
    registers: &mut Registers,
    mask: u32,
    d: Register,
    [a, b]: [Register; 2],
    f: impl Fn(A, B) -> D,
) {
    let (a, b) = (registers.get::<A>(a), registers.get::<B>(b));
    let values = std::array::from_fn(|lane| f(a[lane], b[lane]));
    registers.set(d, mask, values);
}

/// A result of three operands.
#[inline(always)]
pub fn ternary<A: Lane, B: Lane, C: Lane, D: Lane>(
    registers: &mut Registers,
    mask: u32,
    d: Register,
    [a, b, c]: [Register; 3],
    f: impl Fn(A, B, C) -> D,
) {
    let (a, b, c) = (registers.get::<A>(a), registers.get::<B>(b), registers.get::<C>(c));
    let values = std::array::from_fn(|lane| f(a[lane], b[lane], c[lane]));
    registers.set(d, mask, values);
}
