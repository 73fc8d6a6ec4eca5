//! Turning queries and keys by the angles of their positions.

use rayon::prelude::*;

use super::ViewMut;
use crate::Element;

/// Turns the first `heads · d` features of every row of x, which has an angle for each pair of them; `back` the other way.
pub(super) fn rotate(
    mut x: ViewMut,
    cos: &[f32],
    sin: &[f32],
    half: usize,
    (heads, d): (usize, usize),
    back: bool,
) {
    let sign = if back { -1.0 } else { 1.0 };
    x.par_rows().with_min_len(16).enumerate().for_each(|(row, x)| {
        let angles = row * half..(row + 1) * half;
        turn_heads(&mut x[..heads * d], d, &cos[angles.clone()], &sin[angles], sign);
    });
}

crate::vectorised! {
    /// Turns one row of heads of `d` features.
    pub fn turn_heads<'a; T: [Element]>(row: &'a mut [T], d: usize, cos: &'a [f32], sin: &'a [f32], sign: f32) {
        let half = cos.len();
        for head in row.chunks_exact_mut(d) {
            let (first, second) = head[..2 * half].split_at_mut(half);
            for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                let (a, b, sin) = (first.widen(), second.widen(), sin * sign);
                *first = T::narrow(a * cos - b * sin);
                *second = T::narrow(b * cos + a * sin);
            }
        }
    }
}
