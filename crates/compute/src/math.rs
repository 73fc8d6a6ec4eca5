//! Elementary functions on `f32` that the compiler can vectorise, and a counter-based hash. They are
//! always inlined, so that they are compiled for the vectors of the loop that they stand in.

use std::f32::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E};

use crate::Element;

/// e to the power of `x`, within 2 units in the last place for results that are normal numbers.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 7 and 2^n by its
/// bits. Arguments are clamped to where the result is a normal number.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding and subtracting 1.5 · 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with few enough bits that n times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    debug_assert!(r.abs() <= LN_2 * 0.51 || r.is_nan());
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    // The lowest bits of the rounded number are n, so that no conversion is needed for 2^n.
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// The error function within 5e-7, by the rational approximation that Eigen and XLA use for
/// `f32`: an odd polynomial of degree 13 over an even one of degree 8 in x clamped to ±4.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142_3e-10;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_4e-5;
    let p = p * s - 7.349_906_3e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * s - 2.133_740_5e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329e-3;
    let q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// The standard normal distribution function.
#[inline(always)]
pub fn normal_cdf(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * FRAC_1_SQRT_2)
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, 1 − 2 / (e^2x + 1), within 2e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// Σ a b in eight lanes, which the compiler may keep in one register.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Σ a in eight lanes.
#[inline(always)]
pub fn sum<T: Element>(a: &[T]) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = a.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().map(|a| a.widen()).sum();
    for a in chunks {
        for lane in 0..8 {
            lanes[lane] += a[lane].widen();
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Σ a² in eight lanes.
#[inline(always)]
pub fn sum_of_squares<T: Element>(a: &[T]) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = a.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().map(|a| a.widen().powi(2)).sum();
    for a in chunks {
        for lane in 0..8 {
            lanes[lane] += a[lane].widen() * a[lane].widen();
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// The softmax of a row in place, with the largest element taken off first so that nothing overflows.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    let mut lanes = [f32::MIN; 8];
    let chunks = row.chunks_exact(8);
    let mut largest = chunks.remainder().iter().copied().fold(f32::MIN, f32::max);
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane = if x > *lane { x } else { *lane });
    }
    largest = lanes.into_iter().fold(largest, f32::max);
    row.iter_mut().for_each(|x| *x = exp(*x - largest));
    let factor = 1.0 / sum(row);
    row.iter_mut().for_each(|x| *x *= factor);
}

/// Sums what was made piece by piece, in its order: of each piece the elements from `from` on, into
/// `sum`, or added to it.
pub fn sum_of_parts(parts: &[Vec<f32>], from: usize, sum: &mut [f32], add: bool) {
    if !add {
        sum.fill(0.0);
    }
    for part in parts {
        sum.iter_mut().zip(&part[from..]).for_each(|(sum, part)| *sum += part);
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of `z`.
#[inline(always)]
pub fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What dropout multiplies element `index` with: 0 with probability `p`, else 1 / (1 − p). It
/// depends on seed and index alone, so that the backward makes the same mask again instead of
/// keeping it, on any number of threads.
///
/// The hash is MurmurHash3's finalizer for 32 bits with a part of the seed before each of its
/// rounds: multiplications of 32 bits, which all vector instructions have.
#[inline(always)]
pub fn dropout_factor(seed: u64, index: u64, p: f32) -> f32 {
    let seed = mix(seed ^ mix(index >> 32));
    factor_of_low_half(seed, index as u32, p)
}

#[inline(always)]
fn factor_of_low_half(seed: u64, index: u32, p: f32) -> f32 {
    let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
    let z = index ^ seed as u32;
    let z = (z ^ (z >> 16)).wrapping_mul(0x85eb_ca6b).wrapping_add((seed >> 32) as u32);
    let z = (z ^ (z >> 13)).wrapping_mul(0xc2b2_ae35);
    let kept = (z ^ (z >> 16)) >= threshold;
    if kept { 1.0 / (1.0 - p) } else { 0.0 }
}

/// Multiplies elements from number `first` on by their [`dropout_factor`].
#[inline(always)]
pub fn drop_from<T: Element>(x: &mut [T], first: u64, p: f32, seed: u64) {
    let low = first as u32;
    if u64::from(low) + (x.len() as u64) > u64::from(u32::MAX) {
        for (index, x) in x.iter_mut().enumerate() {
            *x = T::narrow(x.widen() * dropout_factor(seed, first + index as u64, p));
        }
        return;
    }
    // All of them have the same upper half.
    let seed = mix(seed ^ mix(first >> 32));
    for (index, x) in x.iter_mut().enumerate() {
        *x = T::narrow(x.widen() * factor_of_low_half(seed, low + index as u32, p));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_erf_are_those_of_libm_to_single_precision() {
        for step in -40_000..40_000 {
            let x = step as f32 / 500.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x})");
            assert!((f64::from(erf(x)) - libm::erf(f64::from(x))).abs() < 5e-7, "erf({x})");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(f32::NAN).is_nan() && erf(f32::NAN).is_nan());
    }

    #[test]
    fn sums_in_lanes_are_those_of_plain_loops() {
        for length in [0, 1, 7, 8, 9, 100] {
            let a: Vec<f32> = (0..length).map(|n| n as f32 * 0.5).collect();
            assert_eq!(sum(&a), a.iter().sum::<f32>());
            assert_eq!(dot(&a, &a), a.iter().map(|x| x * x).sum::<f32>());
        }
    }

    #[test]
    fn a_run_of_elements_is_dropped_as_each_of_them_alone() {
        for first in [0, 77, (1 << 32) - 5, (1 << 33) + 3] {
            let mut x = [1f32; 20];
            drop_from(&mut x, first, 0.4, 9);
            for (index, x) in x.into_iter().enumerate() {
                assert_eq!(x, dropout_factor(9, first + index as u64, 0.4));
            }
        }
    }

    #[test]
    fn dropout_of_neighbours_and_of_other_seeds_is_not_alike() {
        let kept = |seed: u64, index: u64| dropout_factor(seed, index, 0.5) != 0.0;
        let alike = |other: &dyn Fn(u64) -> bool| (0..100_000).filter(|&n| kept(7, n) == other(n)).count();
        let others: [&dyn Fn(u64) -> bool; 6] = [
            &|n| kept(7, n + 1),
            &|n| kept(7, n + 64),
            &|n| kept(8, n),
            &|n| kept(7 | 1 << 40, n),
            &|n| kept(mix(7), n),
            &|n| kept(7, n | 1 << 32),
        ];
        for (place, other) in others.into_iter().enumerate() {
            let share = alike(other) as f64 / 100_000.0;
            assert!((share - 0.5).abs() < 0.01, "{place}: {share}");
        }
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let kept: Vec<f32> = (0..100_000).map(|n| dropout_factor(7, n, 0.1)).collect();
        let dropped = kept.iter().filter(|&&factor| factor == 0.0).count() as f64 / kept.len() as f64;
        assert!((dropped - 0.1).abs() < 0.004, "{dropped}");
        let mean = kept.iter().map(|&factor| f64::from(factor)).sum::<f64>() / kept.len() as f64;
        assert!((mean - 1.0).abs() < 0.004, "{mean}");
    }
}
