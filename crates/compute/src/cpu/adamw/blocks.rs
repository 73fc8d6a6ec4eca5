use rayon::prelude::*;

use super::{PIECE, code_book::CodeBook};

/// Elements that share one scale: 256, as in bitsandbytes today, where the paper has 2048.
pub(super) const BLOCK: usize = 256;

/// Numbers in 8 bits each, in blocks of 256 with a scale, so that one large number costs only its
/// own block its precision (arXiv 2110.02861, section 2.1). The last block may be shorter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    /// Which number of the code book each element is, relative to the scale of its block.
    pub codes: Vec<u8>,
    /// The largest magnitude in each block.
    pub scales: Vec<f32>,
}

impl Blocks {
    pub(super) fn zeros(count: usize, book: &CodeBook) -> Blocks {
        Blocks { codes: vec![book.zero; count], scales: vec![0.0; count.div_ceil(BLOCK)] }
    }

    /// Pieces of [`PIECE`] elements with the scales of their blocks.
    pub(super) fn pieces(&mut self) -> impl IndexedParallelIterator<Item = (&mut [u8], &mut [f32])> {
        (self.codes.par_chunks_mut(PIECE), self.scales.par_chunks_mut(PIECE / BLOCK)).into_par_iter()
    }
}

/// Writes the numbers of one block as codes and gives their scale.
#[inline]
pub(super) fn quantise(values: &[f32], book: &CodeBook, codes: &mut [u8]) -> f32 {
    // Without their signs, floats are in the order of their bits, whose largest is faster found.
    let bits = values.iter().map(|value| value.abs().to_bits()).max();
    let largest = f32::from_bits(bits.unwrap_or(0));
    if largest == 0.0 {
        codes.fill(book.zero);
        return 0.0;
    }
    // Infinity over itself would not be a number.
    let scale = largest.min(f32::MAX);
    codes.iter_mut().zip(values).for_each(|(code, value)| *code = book.nearest(value / scale));
    scale
}

/// The numbers of one block.
#[inline]
pub(super) fn dequantise(codes: &[u8], scale: f32, book: &CodeBook, values: &mut [f32]) {
    for (value, code) in values.iter_mut().zip(codes) {
        *value = book.values[usize::from(*code)] * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(values: &[f32], book: &CodeBook) -> Vec<f32> {
        let (mut codes, mut back) = (vec![0; values.len()], vec![0.0; values.len()]);
        let scale = quantise(values, book, &mut codes);
        dequantise(&codes, scale, book, &mut back);
        back
    }

    #[test]
    fn numbers_come_back_as_near_as_their_part_of_the_code_book_is_wide() {
        let values: Vec<f32> =
            (0..200).map(|n| 3.7 * 0.97f32.powi(n) * (1.0 - 2.0 * (n % 2) as f32)).collect();
        for (found, exact) in there_and_back(&values, CodeBook::signed()).iter().zip(&values) {
            let largest = 3.7f32;
            // In [0.1, 1] there are 64 parts, half as many in each tenth of it, and so on.
            let power = (exact.abs() / largest).log10().floor();
            let half_part = 0.45 * 10f32.powf(power + 1.0) / (64.0 * 2f32.powf(power + 1.0)) * largest;
            assert!((found - exact).abs() <= half_part * 1.5, "{found} {exact} {half_part}");
        }
        let squares: Vec<f32> = values.iter().map(|value| value * value).collect();
        let back = there_and_back(&squares, CodeBook::unsigned());
        assert!(back.iter().zip(&squares).all(|(found, exact)| (found - exact).abs() <= exact * 0.5));
        assert_eq!(back[0], squares[0]);
    }

    #[test]
    fn zeros_stay_zeros_and_no_number_is_made_of_infinity() {
        assert_eq!(there_and_back(&[0.0; 5], CodeBook::signed()), [0.0; 5]);
        let back = there_and_back(&[f32::INFINITY, 1.0, 0.0], CodeBook::unsigned());
        assert!(back.iter().all(|value| value.is_finite()) && back[2] == 0.0);
        let least = f32::from_bits(1);
        assert_eq!(there_and_back(&[least, 0.0], CodeBook::signed()), [least, 0.0]);
    }
}
