//! A tile of a product: sums of products of pairs, in registers, over the length of two panels.
#![allow(unsafe_code)]

use super::ViewMut;

/// Rows and columns of a tile. Its sums take 28 of the 32 registers that AVX-512 has.
pub(super) const ROWS: usize = 14;
pub(super) const COLS: usize = 32;

/// Whether the processor has the instructions for it.
pub(super) fn is_there() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

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
    /// `by_processor` may be true only where [`is_there`] is.
    pub(super) fn fill(&mut self, left: &[f32], right: &[f32], by_processor: bool) {
        #[cfg(target_arch = "x86_64")]
        if by_processor && is_there() {
            // SAFETY: the processor was just found to have these instructions.
            unsafe { avx512(&mut self.0, left, right) };
            return;
        }
        let _ = by_processor;
        plain(&mut self.0, left, right);
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
fn plain(sums: &mut [[f32; COLS]; ROWS], left: &[f32], right: &[f32]) {
    for (row, sums) in sums.iter_mut().enumerate() {
        plain_row(sums, left, right, row);
    }
}

crate::vectorised! {
    fn plain_row<'a>(sums: &'a mut [f32; COLS], left: &'a [f32], right: &'a [f32], row: usize) {
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn avx512(sums: &mut [[f32; COLS]; ROWS], left: &[f32], right: &[f32]) {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };
    // SAFETY: both are 64 bytes, and any bits are valid for either.
    let pairs = |bits: __m512| unsafe { std::mem::transmute::<__m512, __m512bh>(bits) };
    let mut of_rows = [[_mm512_setzero_ps(); 2]; ROWS];
    for (left, right) in left.chunks_exact(ROWS).zip(right.chunks_exact(COLS)) {
        // SAFETY: there are 32 elements, of which each load takes 16.
        let right =
            unsafe { [_mm512_loadu_ps(right.as_ptr()), _mm512_loadu_ps(right.as_ptr().add(16))] }.map(pairs);
        for (sums, left) in of_rows.iter_mut().zip(left) {
            let left = pairs(_mm512_set1_ps(*left));
            for (sums, right) in sums.iter_mut().zip(right) {
                *sums = _mm512_dpbf16_ps(*sums, left, right);
            }
        }
    }
    for (sums, of_row) in sums.iter_mut().zip(of_rows) {
        // SAFETY: a row has 32 elements, of which each store takes 16.
        unsafe {
            _mm512_storeu_ps(sums.as_mut_ptr(), of_row[0]);
            _mm512_storeu_ps(sums.as_mut_ptr().add(16), of_row[1]);
        }
    }
}
