//! Normalisations of rows; their mathematics stand in [`NormKind`](crate::NormKind) and in the contract.

use rayon::prelude::*;

use crate::{
    Element,
    math::{dot, sum, sum_of_squares},
};

/// Rows that one task works on. It is fixed, so that sums over rows are made in the same order
/// on any number of threads.
pub const ROWS: usize = 64;

/// Mean and reciprocal standard deviation of a row.
#[inline(always)]
pub fn moments<T: Element>(row: &[T], eps: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    let variance = {
        let mut lanes = [0f32; 8];
        let chunks = row.chunks_exact(8);
        let tail: f32 = chunks.remainder().iter().map(|x| (x.widen() - mean).powi(2)).sum();
        for chunk in chunks {
            for lane in 0..8 {
                let centred = chunk[lane].widen() - mean;
                lanes[lane] += centred * centred;
            }
        }
        (lanes.iter().sum::<f32>() + tail) / count
    };
    (mean, 1.0 / (variance + eps).sqrt())
}

/// y of every row, for x and y `[n, d]`, w and b `[d]`.
pub fn layer_norm_forward<T: Element>(x: &[T], w: &[f32], b: &[f32], eps: f32, y: &mut [T]) {
    let piece = w.len().max(1) * ROWS;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
        forward_rows(x, w, b, eps, y);
    });
}

crate::vectorised! {
    fn forward_rows<'a; T: [Element]>(x: &'a [T], w: &'a [f32], b: &'a [f32], eps: f32, y: &'a mut [T]) {
        let d = w.len().max(1);
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let (mean, scale) = moments(x, eps);
            for ((y, x), (w, b)) in y.iter_mut().zip(x).zip(w.iter().zip(b)) {
                *y = T::narrow((x.widen() - mean) * scale * w + b);
            }
        }
    }
}

/// The gradient of x into dx, and for every piece of rows its part of those of w and b, `[2 d]`.
pub fn layer_norm_backward<T: Element>(x: &[T], w: &[f32], g: &[T], eps: f32, dx: &mut [T]) -> Vec<Vec<f32>> {
    let d = w.len().max(1);
    by_pieces(d, 2 * d, x, g, dx, |x, g, dx, part, room| backward_rows(x, w, g, eps, dx, part, room))
}

/// Lets `rows` make every piece of dx, of x and g `[n, d]`, and gives the sums `[sums]` of each. Its last argument is room
/// for two rows.
fn by_pieces<T: Element>(
    d: usize,
    sums: usize,
    x: &[T],
    g: &[T],
    dx: &mut [T],
    rows: impl Fn(&[T], &[T], &mut [T], &mut [f32], [&mut [f32]; 2]) + Sync,
) -> Vec<Vec<f32>> {
    let pieces = (dx.par_chunks_mut(d * ROWS), x.par_chunks(d * ROWS), g.par_chunks(d * ROWS));
    let of_piece = |(dx, x, g): (&mut [T], &[T], &[T])| {
        let mut part = vec![0f32; sums];
        let (mut normed, mut h) = (vec![0f32; d], vec![0f32; d]);
        rows(x, g, dx, &mut part, [&mut normed, &mut h]);
        part
    };
    pieces.into_par_iter().map(of_piece).collect()
}

crate::vectorised! {
    fn backward_rows<'a; T: [Element]>(
        x: &'a [T],
        w: &'a [f32],
        g: &'a [T],
        eps: f32,
        dx: &'a mut [T],
        part: &'a mut [f32],
        room: [&'a mut [f32]; 2],
    ) {
        let [normed, h] = room;
        let d = w.len().max(1);
        let (dw, db) = part.split_at_mut(d);
        for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
            let (mean, scale) = moments(x, eps);
            let (normed, h, w) = (&mut normed[..d], &mut h[..d], &w[..d]);
            let (x, g, dw, db) = (&x[..d], &g[..d], &mut dw[..d], &mut db[..d]);
            for index in 0..d {
                let g = g[index].widen();
                normed[index] = (x[index].widen() - mean) * scale;
                h[index] = g * w[index];
                dw[index] += g * normed[index];
                db[index] += g;
            }
            let mean_h = sum(h) / d as f32;
            let mean_hx = dot(h, normed) / d as f32;
            for ((dx, h), normed) in dx.iter_mut().zip(h).zip(normed) {
                *dx = T::narrow(scale * (*h - mean_h - *normed * mean_hx));
            }
        }
    }
}

/// 1 / √(mean(x²) + ε) of a row.
#[inline(always)]
fn scale<T: Element>(row: &[T], eps: f32) -> f32 {
    1.0 / (sum_of_squares(row) / row.len() as f32 + eps).sqrt()
}

/// y of every row, for x and y `[n, d]` and w `[d]`.
pub fn rms_norm_forward<T: Element>(x: &[T], w: &[f32], eps: f32, y: &mut [T]) {
    let piece = w.len().max(1) * ROWS;
    y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
        rms_forward_rows(x, w, eps, y);
    });
}

crate::vectorised! {
    fn rms_forward_rows<'a; T: [Element]>(x: &'a [T], w: &'a [f32], eps: f32, y: &'a mut [T]) {
        let d = w.len().max(1);
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let scale = scale(x, eps);
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = T::narrow(x.widen() * scale * w);
            }
        }
    }
}

/// The gradient of x into dx, and for every piece of rows its part of that of w, `[d]`.
pub fn rms_norm_backward<T: Element>(x: &[T], w: &[f32], g: &[T], eps: f32, dx: &mut [T]) -> Vec<Vec<f32>> {
    let d = w.len().max(1);
    by_pieces(d, d, x, g, dx, |x, g, dx, dw, room| rms_backward_rows(x, w, g, eps, dx, dw, room))
}

crate::vectorised! {
    fn rms_backward_rows<'a; T: [Element]>(
        x: &'a [T],
        w: &'a [f32],
        g: &'a [T],
        eps: f32,
        dx: &'a mut [T],
        dw: &'a mut [f32],
        room: [&'a mut [f32]; 2],
    ) {
        let [normed, h] = room;
        let d = w.len().max(1);
        for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
            let scale = scale(x, eps);
            let (normed, h, w) = (&mut normed[..d], &mut h[..d], &w[..d]);
            let (x, g, dw) = (&x[..d], &g[..d], &mut dw[..d]);
            for index in 0..d {
                let g = g[index].widen();
                normed[index] = x[index].widen() * scale;
                h[index] = g * w[index];
                dw[index] += g * normed[index];
            }
            let mean = dot(h, normed) / d as f32;
            for ((dx, h), normed) in dx.iter_mut().zip(h).zip(normed) {
                *dx = T::narrow(scale * (*h - *normed * mean));
            }
        }
    }
}
