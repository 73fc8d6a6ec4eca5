use std::time::Instant;

use super::{Threads, View, ViewMut, product};

/// Floating point operations a second of a large product of matrices in `f32` on all threads: the
/// limit for everything that is made of them. The best of several.
pub fn product_limit() -> f64 {
    const SIZE: usize = 1024;
    let (a, b) = (vec![0.5f32; SIZE * SIZE], vec![0.25f32; SIZE * SIZE]);
    let mut out = vec![0f32; SIZE * SIZE];
    let time = |out: &mut [f32]| {
        let begin = Instant::now();
        let (a, b) = (View::new(&a, SIZE), View::new(&b, SIZE));
        rayon::scope(|_| product(&mut ViewMut::new(out, SIZE), a, b, 1.0, false, Threads::All)).ok();
        begin.elapsed().as_secs_f64()
    };
    let best = (0..30).map(|_| time(&mut out)).fold(f64::INFINITY, f64::min);
    2.0 * (SIZE * SIZE * SIZE) as f64 / best
}
