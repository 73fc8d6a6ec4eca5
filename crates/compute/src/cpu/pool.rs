//! A row of each text out of those of its tokens.

use rayon::prelude::*;

use super::rows::add_to_rows;
use crate::Pool;

/// The rows of a text that count, in x `[total, d]`, and what each of them is multiplied by.
fn rows<'a>(x: &'a [f32], range: &[u32], d: usize, pool: Pool) -> (&'a [f32], f32) {
    let (start, end) = (range[0] as usize, range[1] as usize);
    let tokens = pool.tokens(end - start);
    (&x[(start + tokens.start) * d..(start + tokens.end) * d], pool.share(end - start))
}

/// out `[texts, d]`, the rows of each text summed from the first to the last.
pub(super) fn forward(out: &mut [f32], x: &[f32], offsets: &[u32], d: usize, pool: Pool) {
    let d = d.max(1);
    out.par_chunks_mut(d).zip(offsets.par_windows(2)).for_each(|(out, range)| {
        let (rows, share) = rows(x, range, d, pool);
        out.fill(0.0);
        rows.chunks_exact(d).for_each(|row| add_to_rows(out, row));
        out.iter_mut().for_each(|out| *out *= share);
    });
}

/// dx `[total, d]` by g `[texts, d]`.
pub(super) fn backward(dx: &mut [f32], g: &[f32], offsets: &[u32], d: usize, pool: Pool) {
    let d = d.max(1);
    let (mut rest, mut of_texts) = (dx, Vec::with_capacity(offsets.len()));
    for (range, g) in offsets.windows(2).zip(g.chunks_exact(d)) {
        let (own, others) = rest.split_at_mut((range[1] - range[0]) as usize * d);
        of_texts.push((own, g));
        rest = others;
    }
    of_texts.into_par_iter().for_each(|(dx, g)| {
        let n = dx.len() / d;
        let (tokens, share) = (pool.tokens(n), pool.share(n));
        for (token, dx) in dx.chunks_exact_mut(d).enumerate() {
            if tokens.contains(&token) {
                dx.iter_mut().zip(g).for_each(|(dx, g)| *dx = g * share);
            } else {
                dx.fill(0.0);
            }
        }
    });
}
