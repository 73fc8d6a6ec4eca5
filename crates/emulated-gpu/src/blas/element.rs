//! The kinds of numbers that matrices are made of, and the roundings of the products' inputs.

use half::{bf16, f16};

/// The kind of a matrix' elements, by `cudaDataType_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    F64,
    F16,
    Bf16,
}

impl Element {
    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Element> {
        match number {
            0 => Some(Element::F32),
            1 => Some(Element::F64),
            2 => Some(Element::F16),
            14 => Some(Element::Bf16),
            _ => None,
        }
    }

    /// Bytes of one.
    pub fn size(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::F64 => 8,
            Element::F16 | Element::Bf16 => 2,
        }
    }

    /// All elements of `bytes` as the sums' own kind.
    pub(super) fn widen<T: Sum>(self, bytes: &[u8]) -> Vec<T> {
        match self {
            Element::F32 => bytes.as_chunks().0.iter().map(|b| T::of_f32(f32::from_le_bytes(*b))).collect(),
            Element::F64 => bytes.as_chunks().0.iter().map(|b| T::of_f64(f64::from_le_bytes(*b))).collect(),
            Element::F16 => {
                bytes.as_chunks().0.iter().map(|b| T::of_f32(f16::from_le_bytes(*b).to_f32())).collect()
            }
            Element::Bf16 => {
                bytes.as_chunks().0.iter().map(|b| T::of_f32(bf16::from_le_bytes(*b).to_f32())).collect()
            }
        }
    }

    /// Writes one element, rounded to nearest, to the start of `bytes`.
    pub(super) fn write<T: Sum>(self, value: T, bytes: &mut [u8]) {
        match self {
            Element::F32 => bytes[..4].copy_from_slice(&value.to_f32().to_le_bytes()),
            Element::F64 => bytes[..8].copy_from_slice(&value.to_f64().to_le_bytes()),
            Element::F16 => bytes[..2].copy_from_slice(&f16::from_f32(value.to_f32()).to_le_bytes()),
            Element::Bf16 => bytes[..2].copy_from_slice(&bf16::from_f32(value.to_f32()).to_le_bytes()),
        }
    }

    /// Reads one element from the start of `bytes`.
    pub(super) fn read<T: Sum>(self, bytes: &[u8]) -> T {
        self.widen(&bytes[..self.size() as usize])[0]
    }
}

/// How a product rounds its `f32` inputs before it multiplies them (`cublasComputeType_t`, `cublasMath_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Not at all.
    None,
    /// To ten bits of mantissa: to nearest, ties away from zero, as `cvt.rna.tf32.f32` does (PTX ISA, `cvt`).
    Tf32,
    /// To `bf16`, to nearest even.
    Bf16,
    /// To `f16`, to nearest even.
    F16,
}

impl Rounding {
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Rounding::None => {}
            Rounding::Tf32 => values.iter_mut().for_each(|value| *value = tf32(*value)),
            Rounding::Bf16 => values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32()),
            Rounding::F16 => values.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32()),
        }
    }
}

/// The weight, among the bits of an `f32`, of the last that TF32 has.
const LAST: u32 = 1 << 13;

fn tf32(value: f32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    // Half of the last kept bit, added to the magnitude: a carry into the exponent is what rounding up means there.
    f32::from_bits((value.to_bits() + LAST / 2) & !(LAST - 1))
}

/// A kind of float that sums are made in.
pub(super) trait Sum:
    Copy + Default + Send + Sync + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self>
{
    fn of_f32(value: f32) -> Self;
    fn of_f64(value: f64) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// `self * by + plus`, rounded once.
    fn fused(self, by: Self, plus: Self) -> Self;
    /// Rounds inputs; sums in `f64` have none.
    fn round(values: &mut [Self], rounding: Rounding);
}

impl Sum for f32 {
    fn of_f32(value: f32) -> f32 {
        value
    }
    fn of_f64(value: f64) -> f32 {
        value as f32
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fused(self, by: f32, plus: f32) -> f32 {
        self.mul_add(by, plus)
    }
    fn round(values: &mut [f32], rounding: Rounding) {
        rounding.apply(values);
    }
}

impl Sum for f64 {
    fn of_f32(value: f32) -> f64 {
        f64::from(value)
    }
    fn of_f64(value: f64) -> f64 {
        value
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fused(self, by: f64, plus: f64) -> f64 {
        self.mul_add(by, plus)
    }
    fn round(_: &mut [f64], _: Rounding) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tf32_keeps_ten_bits_and_rounds_ties_away_from_zero() {
        let step = 2f32.powi(-10);
        assert_eq!(tf32(1.0), 1.0);
        assert_eq!(tf32(1.0 + step), 1.0 + step);
        assert_eq!(tf32(1.0 + step / 2.0), 1.0 + step, "a tie goes away from zero");
        assert_eq!(tf32(-(1.0 + step / 2.0)), -(1.0 + step));
        assert_eq!(tf32(1.0 + step / 2.0 - f32::EPSILON), 1.0);
        assert_eq!(tf32(2.0 - step / 4.0), 2.0, "a carry goes into the exponent");
        assert!(tf32(f32::NAN).is_nan());
        assert_eq!(tf32(f32::NEG_INFINITY), f32::NEG_INFINITY);
        assert_eq!(tf32(-0.0).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn elements_come_back_from_their_bytes() {
        for element in [Element::F32, Element::F64, Element::F16, Element::Bf16] {
            let mut bytes = [0; 8];
            element.write(-1.5f64, &mut bytes);
            assert_eq!(element.read::<f64>(&bytes), -1.5, "{element:?}");
            assert_eq!(element.widen::<f32>(&bytes[..element.size() as usize]), [-1.5]);
        }
    }
}
