//! An emulated GPU for tests: it stands in for NVIDIA's driver, cuBLAS and cuRAND, executes PTX on the CPU and finds
//! faults in it. README.md tells how it is used, [`settings`] what can be chosen.

pub mod blas;
pub mod counters;
pub mod driver;
pub mod fault;
pub mod memory;
pub mod ptx;
pub mod rand;
pub mod settings;
pub mod vm;

/// Sixty-four bits that depend on all bits of the number (the finaliser of SplitMix64; Steele, Lea and Flood, 2014).
pub(crate) fn scrambled(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
