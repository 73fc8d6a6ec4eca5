//! What `pack.rs` and `tile.rs` say in plain arithmetic, by the instructions of AVX512-BF16. None of
//! these may be called where [`is_there`] is false.
#![allow(unsafe_code)]

#[cfg(not(target_arch = "x86_64"))]
pub(super) use elsewhere::{fill, is_there, pack_columns, pack_rows};
#[cfg(target_arch = "x86_64")]
pub(super) use here::{fill, is_there, pack_columns, pack_rows};

#[cfg(target_arch = "x86_64")]
mod here {
    use std::arch::x86_64::{
        __m256, __m256bh, __m256i, __m512, __m512bh, _mm256_mask_storeu_ps, _mm256_permute2f128_ps,
        _mm256_shuffle_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_castsi512_ps,
        _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
        _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32,
        _mm512_storeu_ps,
    };

    use super::super::{
        View,
        tile::{COLS, ROWS},
    };

    /// Whether the processor has the instructions. All that have AVX512-BF16 so far have the others.
    pub(in super::super) fn is_there() -> bool {
        is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
    }

    // The functions below that other files see are safe, since the processor is asked once more: it costs
    // a look at a number that the standard library keeps.

    pub(in super::super) fn fill(sums: &mut [[f32; COLS]; ROWS], left: &[f32], right: &[f32]) {
        if is_there() {
            // SAFETY: the processor was just found to have these instructions.
            unsafe { fill_tile(sums, left, right) }
        }
    }

    pub(in super::super) fn pack_rows(panel: &mut [f32], rows: View, width: usize) {
        if is_there() {
            // SAFETY: the processor was just found to have these instructions.
            unsafe { pack_panel_of_rows(panel, rows, width) }
        }
    }

    pub(in super::super) fn pack_columns(panel: &mut [f32], columns: View, width: usize) {
        if is_there() {
            // SAFETY: the processor was just found to have these instructions.
            unsafe { pack_panel_of_columns(panel, columns, width) }
        }
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    fn fill_tile(sums: &mut [[f32; COLS]; ROWS], left: &[f32], right: &[f32]) {
        // SAFETY: both are 64 bytes, and any bits are valid for either.
        let pairs = |bits: __m512| unsafe { std::mem::transmute::<__m512, __m512bh>(bits) };
        let mut of_rows = [[_mm512_setzero_ps(); 2]; ROWS];
        for (left, right) in left.chunks_exact(ROWS).zip(right.chunks_exact(COLS)) {
            // SAFETY: there are 32 elements, of which each load takes 16.
            let right = unsafe { [_mm512_loadu_ps(right.as_ptr()), _mm512_loadu_ps(right.as_ptr().add(16))] }
                .map(pairs);
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

    /// A bit for each of the first `count` elements of a register.
    fn first(count: usize) -> u16 {
        u16::MAX.checked_shr(16u32.saturating_sub(count as u32)).unwrap_or(0)
    }

    /// The first 16 elements, rounded; zeros where there are fewer.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    fn rounded(values: &[f32]) -> __m256bh {
        // SAFETY: elements that the mask leaves out are not touched, and the others are the slice's.
        _mm512_cvtneps_pbh(unsafe { _mm512_maskz_loadu_ps(first(values.len()), values.as_ptr()) })
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    fn pack_panel_of_rows(panel: &mut [f32], rows: View, width: usize) {
        // SAFETY: both are 32 bytes, and any bits are valid for either.
        let words = |bits: __m256bh| unsafe { std::mem::transmute::<__m256bh, __m256i>(bits) };
        for (place, line) in panel.chunks_exact_mut(width).enumerate() {
            let (upper, lower) = (rows.row(2 * place), rows.row(2 * place + 1));
            for from in (0..width).step_by(16) {
                let upper = _mm512_cvtepu16_epi32(words(rounded(upper.get(from..).unwrap_or_default())));
                let lower = _mm512_cvtepu16_epi32(words(rounded(lower.get(from..).unwrap_or_default())));
                let pairs = _mm512_castsi512_ps(_mm512_or_si512(upper, _mm512_slli_epi32::<16>(lower)));
                let out = &mut line[from..];
                // SAFETY: elements that the mask leaves out are not touched, and the others are the slice's.
                unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), pairs) };
            }
        }
    }

    /// Pairs and columns that are turned at a time.
    const SIDE: usize = 8;

    /// 8 × 8 pairs at a time, by exchanging ever larger parts of two registers.
    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    fn pack_panel_of_columns(panel: &mut [f32], columns: View, width: usize) {
        // SAFETY: both are 32 bytes, and any bits are valid for either.
        let pairs = |bits: __m256bh| unsafe { std::mem::transmute::<__m256bh, __m256>(bits) };
        for (place, lines) in panel.chunks_mut(width * SIDE).enumerate() {
            for from in (0..width).step_by(SIDE) {
                let column = |at: usize| columns.row(from + at).get(2 * SIDE * place..).unwrap_or_default();
                let r: [_; SIDE] = std::array::from_fn(|at| pairs(rounded(column(at))));
                let one: [_; SIDE] = std::array::from_fn(|at| {
                    let (a, b) = (r[at & !1], r[at | 1]);
                    if at % 2 == 0 { _mm256_unpacklo_ps(a, b) } else { _mm256_unpackhi_ps(a, b) }
                });
                // Of columns 0 to 3, then of 4 to 7: their pairs 0 and 4, 1 and 5, 2 and 6, 3 and 7.
                let two: [_; SIDE] = std::array::from_fn(|at| {
                    let first = (at & 4) + (at & 3) / 2;
                    let (a, b) = (one[first], one[first + 2]);
                    if at % 2 == 0 {
                        _mm256_shuffle_ps::<0x44>(a, b)
                    } else {
                        _mm256_shuffle_ps::<0xee>(a, b)
                    }
                });
                let turned: [_; SIDE] = std::array::from_fn(|at| {
                    let (a, b) = (two[at & 3], two[(at & 3) + 4]);
                    if at < 4 {
                        _mm256_permute2f128_ps::<0x20>(a, b)
                    } else {
                        _mm256_permute2f128_ps::<0x31>(a, b)
                    }
                });
                for (line, turned) in lines.chunks_exact_mut(width).zip(turned) {
                    let out = &mut line[from..];
                    // SAFETY: elements that the mask leaves out are not touched, and the others are the slice's.
                    unsafe {
                        _mm256_mask_storeu_ps(out.as_mut_ptr(), first(out.len().min(SIDE)) as u8, turned)
                    };
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn a_mask_has_a_bit_for_each_element_that_is_there() {
            assert_eq!([0, 1, 8, 15, 16, 99].map(super::first), [0, 1, 0xff, 0x7fff, 0xffff, 0xffff]);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use super::super::{
        View,
        tile::{COLS, ROWS},
    };

    pub(in super::super) fn is_there() -> bool {
        false
    }

    pub(in super::super) fn fill(_: &mut [[f32; COLS]; ROWS], _: &[f32], _: &[f32]) {}

    pub(in super::super) fn pack_rows(_: &mut [f32], _: View, _: usize) {}

    pub(in super::super) fn pack_columns(_: &mut [f32], _: View, _: usize) {}
}
