//! The bootstrap (Efron, Annals of Statistics 7, 1979) over units.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples of every interval.
pub(crate) const RESAMPLES: u32 = 1000;

/// What random numbers are drawn for. Each gets streams of its own, so that no use of a seed
/// repeats the numbers of another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Intervals,
    /// The halves of the axis at this place in a type.
    Halves(usize),
    /// The uncertainty band of the axis at this place in a type.
    Band(usize),
    /// Which units the sets of answers are calibrated on, and the intervals of what they cover.
    Sets,
}

/// The random numbers for one purpose and replicate. A replicate has its own, so that it is the
/// same on whatever thread and in whatever order it is computed.
pub(crate) fn random(seed: u64, purpose: Purpose, replicate: u32) -> ChaCha8Rng {
    let purpose = match purpose {
        Purpose::Intervals => 0,
        Purpose::Halves(axis) => 1 + 2 * axis as u64,
        Purpose::Band(axis) => 2 + 2 * axis as u64,
        Purpose::Sets => 9,
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose << 32 | u64::from(replicate));
    random
}

/// As many draws with replacement as `counts` is long; it becomes how often each was drawn.
pub(crate) fn draw(random: &mut ChaCha8Rng, counts: &mut [u32]) {
    counts.fill(0);
    let count = counts.len();
    for _ in 0..count {
        if let Some(drawn) = counts.get_mut(random.random_range(0..count)) {
            *drawn += 1;
        }
    }
}

/// How often each unit is drawn in a replicate of the intervals: [units].
pub fn resample(seed: u64, replicate: u32, units: usize) -> Vec<u32> {
    let mut counts = vec![0; units];
    draw(&mut random(seed, Purpose::Intervals, replicate), &mut counts);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_draws_as_many_as_there_are_and_is_its_seeds_own() {
        for units in [0, 1, 2, 57, 300] {
            assert_eq!(resample(1, 0, units).iter().sum::<u32>() as usize, units);
        }
        assert_eq!(resample(1, 3, 57), resample(1, 3, 57));
        assert_ne!(resample(1, 3, 57), resample(1, 4, 57));
        assert_ne!(resample(1, 3, 57), resample(2, 3, 57));
    }

    #[test]
    fn every_unit_is_drawn_once_on_average() {
        let mut sums = [0u32; 10];
        for replicate in 0..4000 {
            for (sum, count) in sums.iter_mut().zip(resample(5, replicate, 10)) {
                *sum += count;
            }
        }
        // The standard deviation of a sum is 60.
        assert!(sums.iter().all(|sum| sum.abs_diff(4000) < 300), "{sums:?}");
    }
}
