use std::sync::Arc;

/// The angles by which the tokens of a batch are turned.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// cos and sin of each token's angles, each `[total, half]`.
    pub(crate) cos: Arc<[f32]>,
    pub(crate) sin: Arc<[f32]>,
    /// Pairs of features that are turned in each head; the features after them stay.
    pub(crate) half: usize,
}

impl Rotation {
    /// The angles of each token: its position in its text times each frequency, both in `f32` as
    /// Transformers has them. `frequencies` gives, for a text of so many tokens, the frequencies
    /// `[half]` and a factor on cos and sin, which is 1 but for scaled kinds of RoPE.
    pub fn new<'a>(offsets: &[u32], frequencies: impl Fn(usize) -> (&'a [f32], f32)) -> Rotation {
        let total = offsets.last().map_or(0, |&last| last as usize);
        let half = frequencies(1).0.len();
        let (mut cos, mut sin) = (Vec::with_capacity(total * half), Vec::with_capacity(total * half));
        for range in offsets.windows(2) {
            let length = (range[1] - range[0]) as usize;
            let (frequencies, factor) = frequencies(length);
            for position in 0..length {
                for frequency in frequencies {
                    let (s, c) = (position as f32 * frequency).sin_cos();
                    cos.push(c * factor);
                    sin.push(s * factor);
                }
            }
        }
        Rotation { cos: cos.into(), sin: sin.into(), half }
    }

    /// Whether it has angles for so many tokens and can turn heads of `d` features.
    pub(crate) fn fits(&self, total: usize, d: usize) -> bool {
        2 * self.half <= d && total * self.half == self.cos.len()
    }
}
