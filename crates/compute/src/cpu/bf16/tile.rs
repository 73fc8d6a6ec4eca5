//! A tile of a product: sums of products of pairs over the length of two panels.

use super::avx512;
use crate::cpu::ViewMut;

/// Rows and columns of a tile. Its sums take 28 of the 32 registers that AVX-512 has.
pub(super) const ROWS: usize = 14;
pub(super) const COLS: usize = 32;

/// Sums of a part of the result, row by row.
pub(super) struct Tile([[f32; COLS]; ROWS]);

impl Default for Tile {
    fn default() -> Tile {
        Tile([[0.0; COLS]; ROWS])
    }
}

impl Tile {
    /// sum[i][j] = Σ left[pair][i] · right[pair][j], of both elements of each pair.
    ///
    /// `left` has `ROWS` pairs and `right` `COLS` for each step along k, packed as in `pack.rs`.
    /// `by_processor` may be true only where [`avx512::is_there`] is.
    pub(super) fn fill(&mut self, left: &[f32], right: &[f32], by_processor: bool) {
        if by_processor {
            avx512::fill(&mut self.0, left, right);
        } else {
            fill(&mut self.0, left, right);
        }
    }

    /// Writes the sums into the rows of out from `first` on, or adds them; those past its end are left out.
    pub(super) fn write(&self, out: &mut ViewMut, first: usize, add: bool) {
        for (row, sums) in self.0.iter().enumerate() {
            let out = out.row(first + row);
            if add {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
            } else {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum);
            }
        }
    }
}

/// The same on any processor, which the instructions are tested against.
fn fill(sums: &mut [[f32; COLS]; ROWS], left: &[f32], right: &[f32]) {
    for (row, sums) in sums.iter_mut().enumerate() {
        fill_row(sums, left, right, row);
    }
}

crate::vectorised! {
    fn fill_row<'a>(sums: &'a mut [f32; COLS], left: &'a [f32], right: &'a [f32], row: usize) {
        // The bits of a bf16 are the upper half of those of the same number in 32 bits.
        let mut of_row = [0f32; COLS];
        for (left, right) in left.chunks_exact(ROWS).zip(right.chunks_exact(COLS)) {
            let left = left[row].to_bits();
            let (first, second) = (f32::from_bits(left << 16), f32::from_bits(left & 0xffff_0000));
            for (sum, right) in of_row.iter_mut().zip(right) {
                let right = right.to_bits();
                *sum += first * f32::from_bits(right << 16) + second * f32::from_bits(right & 0xffff_0000);
            }
        }
        *sums = of_row;
    }
}
