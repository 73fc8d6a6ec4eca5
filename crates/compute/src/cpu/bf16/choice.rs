//! Whether products in bf16 are worth having on this processor.

use std::{sync::OnceLock, time::Instant};

use super::{Products, View, ViewMut, avx512::is_there, product_in};

/// Whether the processor has instructions for products of bf16.
pub fn processor_multiplies_bf16() -> bool {
    is_there()
}

/// Whether it makes them faster than products in `f32`, and right. Found out once, by products of the
/// shapes of a small encoder's feed-forward block, in some hundredths of a second; the variable
/// `MBTI_BF16_PRODUCTS`, on or off, decides it where runs are to be compared to the last bit.
pub fn bf16_products_are_faster() -> bool {
    static FASTER: OnceLock<bool> = OnceLock::new();
    let found = || rayon::scope(|_| are_faster_and_right());
    *FASTER.get_or_init(|| is_there() && set().unwrap_or_else(found))
}

fn set() -> Option<bool> {
    match std::env::var("MBTI_BF16_PRODUCTS").ok()?.as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Times that each is tried, and the best of which counts.
const TRIES: usize = 7;

fn are_faster_and_right() -> bool {
    let [tokens, hidden, inner] = [392, 384, 1536];
    let numbers = |count: usize| -> Vec<f32> {
        (0..count).map(|at| (at * 7919 % 2001) as f32 / 1000.0 - 1.0).collect()
    };
    let (x, w) = (numbers(tokens * hidden), numbers(inner * hidden));
    let mut out =
        [Products::F32, Products::Bf16].map(|products| (products, vec![0f32; tokens * inner], f64::INFINITY));
    for _ in 0..TRIES {
        for (products, out, best) in &mut out {
            let begin = Instant::now();
            let (x, w) = (View::new(&x, hidden), View::new(&w, hidden).turned());
            if product_in(*products, &mut ViewMut::new(out, inner), x, w, 1.0, false).is_err() {
                return false;
            }
            *best = best.min(begin.elapsed().as_secs_f64());
        }
    }
    let [(_, exact, in_f32), (_, rounded, in_bf16)] = &out;
    in_bf16 < in_f32 && are_close(exact, rounded, hidden)
}

/// Whether every sum of `terms` products of numbers up to 1 is what roundings to bf16 leave of it: the
/// two of a term are off by at most 2⁻⁸ of it, and seldom all in one direction.
fn are_close(exact: &[f32], rounded: &[f32], terms: usize) -> bool {
    let most = (terms as f32).sqrt() * 8.0 / 256.0;
    exact.iter().zip(rounded).all(|(exact, rounded)| (exact - rounded).abs() <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_wrong_or_no_numbers_are_not_close() {
        assert!(are_close(&[3.0, -2.0], &[3.01, -2.02], 16));
        assert!(!are_close(&[3.0, -2.0], &[3.01, 2.0], 16));
        assert!(!are_close(&[3.0, -2.0], &[f32::NAN, -2.0], 16));
    }

    #[test]
    fn the_choice_is_made_once_and_never_for_a_processor_without_the_instructions() {
        let first = bf16_products_are_faster();
        assert!(!first || processor_multiplies_bf16());
        assert_eq!(first, bf16_products_are_faster());
    }
}
