//! The middle of a feed-forward block on slices: the activation, with its gate where it has one.

use rayon::prelude::*;

use crate::{Activation, WithFunction};

/// Rows that one task works on.
const ROWS: usize = 16;

/// `y = f(u)` for u `[n, d]`, or, `gated`, `y = f(a) b` for u `[n, 2 d]` with a and b side by side.
pub(super) fn forward(activation: Activation, gated: bool, u: &[f32], y: &mut [f32], d: usize) {
    activation.with(Forward { gated, u, y, d: d.max(1) });
}

struct Forward<'a> {
    gated: bool,
    u: &'a [f32],
    y: &'a mut [f32],
    d: usize,
}

impl WithFunction<()> for Forward<'_> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, _: impl Fn(f32) -> f32 + Sync) {
        let (d, width) = (self.d, if self.gated { 2 * self.d } else { self.d });
        let pieces = self.y.par_chunks_mut(ROWS * d).zip(self.u.par_chunks(ROWS * width));
        pieces.for_each(|(y, u)| {
            for (y, u) in y.chunks_exact_mut(d).zip(u.chunks_exact(width)) {
                forward_row(u.split_at(d), y, &value);
            }
        });
    }
}

crate::vectorised! {
    fn forward_row<'a; V: [Fn(f32) -> f32]>(pair: (&'a [f32], &'a [f32]), y: &'a mut [f32], value: &'a V) {
        let (a, b) = pair;
        y.iter_mut().zip(a).for_each(|(y, &a)| *y = value(a));
        // Empty where there is no gate.
        y.iter_mut().zip(b).for_each(|(y, b)| *y *= b);
    }
}

/// With the gradient of y in `g`: u becomes its own gradient, and g becomes y, which the layer
/// after it needs for its weights. So nothing but u is kept for this, and no memory is asked for.
pub(super) fn backward(activation: Activation, gated: bool, u: &mut [f32], g: &mut [f32], d: usize) {
    activation.with(Backward { gated, u, g, d: d.max(1) });
}

struct Backward<'a> {
    gated: bool,
    u: &'a mut [f32],
    g: &'a mut [f32],
    d: usize,
}

impl WithFunction<()> for Backward<'_> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, derivative: impl Fn(f32) -> f32 + Sync) {
        let (d, width) = (self.d, if self.gated { 2 * self.d } else { self.d });
        let pieces = self.g.par_chunks_mut(ROWS * d).zip(self.u.par_chunks_mut(ROWS * width));
        pieces.for_each(|(g, u)| {
            for (g, u) in g.chunks_exact_mut(d).zip(u.chunks_exact_mut(width)) {
                let (a, b) = u.split_at_mut(d);
                if self.gated {
                    backward_gated_row(a, b, g, &value, &derivative);
                } else {
                    backward_row(a, g, &value, &derivative);
                }
            }
        });
    }
}

crate::vectorised! {
    fn backward_row<'a; V: [Fn(f32) -> f32], D: [Fn(f32) -> f32]>(
        a: &'a mut [f32],
        g: &'a mut [f32],
        value: &'a V,
        derivative: &'a D,
    ) {
        for (a, g) in a.iter_mut().zip(g) {
            let (da, y) = (*g * derivative(*a), value(*a));
            (*a, *g) = (da, y);
        }
    }
}

crate::vectorised! {
    fn backward_gated_row<'a; V: [Fn(f32) -> f32], D: [Fn(f32) -> f32]>(
        a: &'a mut [f32],
        b: &'a mut [f32],
        g: &'a mut [f32],
        value: &'a V,
        derivative: &'a D,
    ) {
        for ((a, b), g) in a.iter_mut().zip(b).zip(g) {
            let y = value(*a);
            let (da, db, y) = (*g * *b * derivative(*a), *g * y, y * *b);
            (*a, *b, *g) = (da, db, y);
        }
    }
}
