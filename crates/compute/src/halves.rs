//! An `f32` in two halves: the bf16 next to it, and what that lacks.

use half::bf16;

/// The bf16 next to a number, and what is missing, counted in units in the last place of the
/// `f32`: the bits of the one, shifted up, plus the other are the bits of the whole.
pub fn split(x: f32) -> (bf16, i16) {
    let bits = x.to_bits();
    let upper = bits.wrapping_add(0x8000) >> 16;
    (bf16::from_bits(upper as u16), bits.wrapping_sub(upper << 16) as i16)
}

/// The number that [`split`] has parted.
pub fn join(upper: bf16, remainder: i16) -> f32 {
    f32::from_bits((u32::from(upper.to_bits()) << 16).wrapping_add(i32::from(remainder) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_upper_half_and_its_remainder_to_the_last_bit() {
        for step in 0..1_000_000u32 {
            let x = f32::from_bits(step.wrapping_mul(2_147_483_629));
            if x.is_finite() {
                let (upper, remainder) = split(x);
                assert_eq!(join(upper, remainder).to_bits(), x.to_bits(), "{x}");
                assert!(
                    (upper.to_f32() - x).abs() <= x.abs() / 256.0 || x.abs() < 1e-37 || upper.is_infinite()
                );
            }
        }
    }
}
