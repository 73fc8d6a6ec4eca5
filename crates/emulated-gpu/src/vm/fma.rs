//! The fused product and sum of all lanes, by the processor's instruction where it has one. Without, it is a call for
//! each lane, and programs of such products run at less than half the speed.
#![allow(unsafe_code)] // A function compiled for a processor feature may be called once the processor was asked for it.

use super::registers::LANES;

type Row = [f32; LANES];

/// `a · b + c` with one rounding, lane by lane.
pub fn single(a: &Row, b: &Row, c: &Row) -> Row {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both features.
        return unsafe { with_instruction(a, b, c) };
    }
    each(a, b, c)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_instruction(a: &Row, b: &Row, c: &Row) -> Row {
    each(a, b, c)
}

#[inline(always)]
fn each(a: &Row, b: &Row, c: &Row) -> Row {
    std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
}
