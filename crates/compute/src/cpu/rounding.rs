use half::bf16;

/// The nearest bf16, ties to even. Unlike `half`'s own it has no branch, so that loops of it are made
/// of vectors.
#[inline(always)]
pub fn rounded(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // A NaN must stay one: rounding could carry it over into an infinity.
    bf16::from_bits(if x.is_nan() { (bits >> 16) as u16 | 0x40 } else { rounded as u16 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_bf16_is_to_the_nearest_with_ties_to_even_and_keeps_infinity_and_nan() {
        for step in 0..2_000_000u32 {
            let x = f32::from_bits(step.wrapping_mul(2_147_483_629));
            let (ours, theirs) = (rounded(x), bf16::from_f32(x));
            assert!(ours == theirs || (x.is_nan() && ours.is_nan()), "{x}");
        }
        assert_eq!(rounded(f32::INFINITY), bf16::INFINITY);
        assert!(rounded(f32::from_bits(0x7fff_ffff)).is_nan());
    }
}
