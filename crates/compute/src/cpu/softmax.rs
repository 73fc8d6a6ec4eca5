//! Softmax over rows of scores and its gradient, on the vectors that the processor has. Rows are whole
//! vectors long, and of each some neighbouring elements count, those of the keys that are seen.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{View, vectorised::simd};

/// Elements that rows of scores are a multiple of: those of the widest vectors.
pub(super) const LANES: usize = 16;

/// Rows of scores of some queries of a text with some of its keys.
#[derive(Clone, Copy)]
pub(super) struct Rows<S> {
    /// From one row to the next.
    pub(super) stride: usize,
    /// Which of the keys the query of a row sees, one at least.
    pub(super) seen: S,
}

/// Softmax of each row over what is seen of it; zeros elsewhere. Of each row are kept its largest score
/// and what makes the sum one.
pub(super) fn softmax<F: Fn(usize) -> Range<usize>>(
    scores: &mut [f32],
    rows: Rows<F>,
    kept: &mut [[f32; 2]],
) {
    simd(Softmax { scores, rows, kept });
}

struct Softmax<'a, F> {
    scores: &'a mut [f32],
    rows: Rows<F>,
    kept: &'a mut [[f32; 2]],
}

impl<F: Fn(usize) -> Range<usize>> WithSimd for Softmax<'_, F> {
    type Output = ();

    /// Each step goes over all rows before the next begins, so that no row waits for the sum over the one
    /// before it.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Softmax { scores, rows, kept } = self;
        let least = simd.splat_f32s(f32::MIN);
        for (row, (scores, kept)) in scores.chunks_exact_mut(rows.stride).zip(kept.iter_mut()).enumerate() {
            let seen = seen_vectors(simd, scores, (rows.seen)(row), f32::MIN);
            let mut largest = least;
            for x in seen.iter() {
                largest = simd.max_f32s(largest, *x);
            }
            kept[0] = simd.reduce_max_f32s(largest);
        }
        for (row, (scores, kept)) in scores.chunks_exact_mut(rows.stride).zip(kept.iter_mut()).enumerate() {
            let seen = within::<S>(scores, &(rows.seen)(row));
            let largest = simd.splat_f32s(kept[0]);
            let mut sums = simd.splat_f32s(0.0);
            for x in seen.iter_mut() {
                *x = exp(simd, simd.sub_f32s(*x, largest));
                sums = simd.add_f32s(sums, *x);
            }
            kept[1] = 1.0 / simd.reduce_sum_f32s(sums);
        }
        for (row, (scores, kept)) in scores.chunks_exact_mut(rows.stride).zip(kept.iter()).enumerate() {
            let seen = seen_vectors(simd, scores, (rows.seen)(row), 0.0);
            let factor = simd.splat_f32s(kept[1]);
            for x in seen.iter_mut() {
                *x = simd.mul_f32s(*x, factor);
            }
        }
    }
}

/// Of scores their softmax p in place, out of what [`softmax`] has kept, and of its gradient ∂P, `ds`, in
/// place that of the scores: ∂S = P (∂P − Σ ∂P P). Where P v gives the result and g is its gradient, the
/// sum over a row is Σ (g vᵀ) P = Σ g (P v), that over the few features of g and the result; with dropout
/// as without (Dao et al., arXiv 2205.14135).
pub(super) fn gradient<F: Fn(usize) -> Range<usize>>(
    [p, ds]: [&mut [f32]; 2],
    rows: Rows<F>,
    kept: &[[f32; 2]],
    g_and_result: [View; 2],
) {
    simd(Gradient { p, ds, rows, kept, g_and_result });
}

struct Gradient<'a, F> {
    p: &'a mut [f32],
    ds: &'a mut [f32],
    rows: Rows<F>,
    kept: &'a [[f32; 2]],
    g_and_result: [View<'a>; 2],
}

impl<F: Fn(usize) -> Range<usize>> WithSimd for Gradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gradient { p, ds, rows, kept, g_and_result: [g, result] } = self;
        let pairs = p.chunks_exact_mut(rows.stride).zip(ds.chunks_exact_mut(rows.stride));
        for (row, ((p, ds), [largest, factor])) in pairs.zip(kept).enumerate() {
            let mean = simd.splat_f32s(dot(simd, g.row(row), result.row(row)));
            let (largest, factor) = (simd.splat_f32s(*largest), simd.splat_f32s(*factor));
            let range = (rows.seen)(row);
            for (p, ds) in within::<S>(p, &range).iter_mut().zip(within::<S>(ds, &range)) {
                *p = simd.mul_f32s(exp(simd, simd.sub_f32s(*p, largest)), factor);
                *ds = simd.mul_f32s(*p, simd.sub_f32s(*ds, mean));
            }
            seen_vectors(simd, p, range.clone(), 0.0);
            seen_vectors(simd, ds, range, 0.0);
        }
    }
}

/// The vectors of a row in which there is anything that is seen.
#[inline(always)]
fn within<'a, S: Simd>(row: &'a mut [f32], seen: &Range<usize>) -> &'a mut [S::f32s] {
    let (vectors, _) = S::as_mut_simd_f32s(row);
    &mut vectors[seen.start / S::F32_LANES..seen.end.div_ceil(S::F32_LANES)]
}

/// The same, where what is not seen has been set in them, and to zero in the others.
#[inline(always)]
fn seen_vectors<S: Simd>(simd: S, row: &mut [f32], seen: Range<usize>, unseen: f32) -> &mut [S::f32s] {
    let (vectors, _) = S::as_mut_simd_f32s(row);
    let (first, end) = (seen.start / S::F32_LANES, seen.end.div_ceil(S::F32_LANES));
    let (before, rest) = vectors.split_at_mut(first);
    let (vectors, behind) = rest.split_at_mut(end - first);
    for x in before.iter_mut().chain(behind) {
        *x = simd.splat_f32s(0.0);
    }
    let unseen = simd.splat_f32s(unseen);
    if let Some(x) = vectors.first_mut() {
        *x = between(simd, *x, seen.start - first * S::F32_LANES..S::F32_LANES, unseen);
    }
    if let Some(x) = vectors.last_mut() {
        *x = between(simd, *x, 0..seen.end - (end - 1) * S::F32_LANES, unseen);
    }
    vectors
}

/// x in these lanes, y in the others.
#[inline(always)]
fn between<S: Simd>(simd: S, x: S::f32s, lanes: Range<usize>, y: S::f32s) -> S::f32s {
    let mask = simd.mask_between_m32s(lanes.start as u32, lanes.end as u32).mask();
    let (x, y) = (simd.transmute_u32s_f32s(x), simd.transmute_u32s_f32s(y));
    simd.transmute_f32s_u32s(simd.select_u32s(mask, x, y))
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = simd.mul_add_e_f32s(*a, *b, sums);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    simd.reduce_sum_f32s(sums) + rest
}

/// The exponential function of `ops/math`, with multiplications and additions fused.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ROUND: f32 = 12_582_912.0;
    // Of a number and none the second is taken, so that what is no number stays so.
    let x = simd.min_f32s(simd.splat_f32s(88.0), simd.max_f32s(simd.splat_f32s(-87.0), x));
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUND));
    let n = simd.sub_f32s(rounded, simd.splat_f32s(ROUND));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    let mut p = simd.splat_f32s(1.0 / 5040.0);
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0 / 720.0));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0 / 120.0));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0 / 24.0));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0 / 6.0));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(0.5));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.0));
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(127));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Span, math};

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7919 + seed * 104_729) % 2003) as f32 / 200.0 - 5.0).collect()
    }

    const SPANS: [Span; 4] =
        [Span::ALL, Span::CAUSAL, Span { before: 3, after: 1 }, Span { before: 20, after: 17 }];

    #[test]
    fn rows_and_their_gradient_are_those_of_the_definition_whatever_is_seen_of_them() {
        const D: usize = 5;
        for (len, span) in (1..70usize).flat_map(|len| SPANS.map(|span| (len, span))) {
            let stride = len.next_multiple_of(LANES) + LANES * (len % 2);
            let rows = || Rows { stride, seen: |row| span.of(row, len) };
            let (scores, dp) = (numbers(len * stride, 1), numbers(len * stride, 2));
            let (values, g) = (numbers(len * D, 3), numbers(len * D, 4));

            let mut p = scores.clone();
            let mut kept = vec![[0f32; 2]; len];
            softmax(&mut p, rows(), &mut kept);
            let mut exact = vec![0f32; len * stride];
            for row in 0..len {
                let seen = span.of(row, len);
                let seen = row * stride + seen.start..row * stride + seen.end;
                exact[seen.clone()].copy_from_slice(&scores[seen.clone()]);
                math::softmax(&mut exact[seen]);
            }
            let close = |found: &[f32], exact: &[f32], within: f32| {
                assert!(found.iter().zip(exact).all(|(a, b)| (a - b).abs() <= within), "{len} {span:?}");
            };
            close(&p, &exact, 1e-6);

            // The result is P v, and ∂P = g vᵀ, as attention has them; other numbers behind the last key.
            let result: Vec<f32> = (0..len * D)
                .map(|at| (0..len).map(|key| exact[at / D * stride + key] * values[key * D + at % D]).sum())
                .collect();
            let mut ds = dp;
            for (row, key) in (0..len).flat_map(|row| (0..len).map(move |key| (row, key))) {
                ds[row * stride + key] = math::dot(&g[row * D..][..D], &values[key * D..][..D]);
            }
            let mut exact_ds = vec![0f32; len * stride];
            for row in 0..len {
                let (p, ds) = (&exact[row * stride..][..len], &ds[row * stride..][..len]);
                let mean: f32 = p.iter().zip(ds).map(|(p, ds)| p * ds).sum();
                let all = exact_ds[row * stride..].iter_mut().zip(p.iter().zip(ds));
                all.for_each(|(exact, (p, ds))| *exact = p * (ds - mean));
            }
            let mut again = scores;
            gradient([&mut again, &mut ds], rows(), &kept, [View::new(&g, D), View::new(&result, D)]);
            close(&again, &exact, 1e-6);
            close(&ds, &exact_ds, 2e-4);
        }
    }

    #[test]
    fn what_is_no_number_stays_so() {
        let mut scores = numbers(LANES, 1);
        scores[3] = f32::NAN;
        softmax(&mut scores, Rows { stride: LANES, seen: |_| 0..9 }, &mut [[0.0; 2]]);
        assert!(scores[3].is_nan());
    }
}
