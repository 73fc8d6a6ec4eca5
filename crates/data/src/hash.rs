//! Hashes that are the same on every machine and in every version of the program.

/// FNV-1a's start (Fowler, Noll and Vo).
pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a's step, with a whole character where FNV has a byte.
pub(crate) fn step(hash: u64, unit: u32) -> u64 {
    (hash ^ u64::from(unit)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The finish of SplitMix64 (Steele, Lea and Flood 2014), by which every bit depends on every bit.
pub(crate) const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
