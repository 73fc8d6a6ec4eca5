//! What operations are told besides numbers.

use std::{ops::Range, sync::Arc};

use candle_core::{Result, Tensor, bail};

use super::Backend;

/// How the features of a token are parted among heads. With fewer heads for keys and values than
/// for queries, consecutive query heads share one of them (Ainslie et al., arXiv 2305.13245).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    pub query: usize,
    pub key_value: usize,
    /// Features of a head.
    pub d: usize,
}

impl Heads {
    /// Query heads that share one head of keys.
    pub fn group(self) -> usize {
        self.query / self.key_value.max(1)
    }

    /// What scores are multiplied by.
    pub fn scale(self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    /// Features of queries, keys and values beside one another.
    pub fn width(self) -> usize {
        (self.query + 2 * self.key_value) * self.d
    }

    pub fn check(self) -> Result<()> {
        let Heads { query, key_value, d } = self;
        if key_value == 0 || d == 0 || !query.is_multiple_of(key_value) {
            bail!("{query} heads of queries cannot share {key_value} of keys");
        }
        Ok(())
    }
}

/// Which keys a token sees: those of its own text from so many before it to so many after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub before: usize,
    pub after: usize,
}

impl Span {
    /// All tokens of the text.
    pub const ALL: Span = Span { before: usize::MAX, after: usize::MAX };
    /// The token itself and all before it.
    pub const CAUSAL: Span = Span { before: usize::MAX, after: 0 };

    /// The keys that token `i` of a text of `len` tokens sees. It always sees itself, so that no
    /// row of a softmax is empty.
    pub fn of(self, i: usize, len: usize) -> Range<usize> {
        i.saturating_sub(self.before)..i.saturating_add(self.after).saturating_add(1).min(len)
    }
}

/// Probability and seed of dropout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    pub p: f32,
    pub seed: u64,
}

/// How the factors of a product are read. Sums are in `f32` either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Products {
    #[default]
    F32,
    /// With 10 bits of their 23 behind the point, where the device has such products; else as `F32`.
    Tf32,
    /// Rounded to bf16, where the product is large enough: by the processor's own instructions, or the
    /// same in plain arithmetic, which is slower than `F32`.
    Bf16,
}

/// A normalisation over the features of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// y = w x̂ + b with x̂ = (x − μ) / √(σ² + ε) (Ba et al., arXiv 1607.06450), as PyTorch's.
    Layer,
    /// y = w x / √(mean(x²) + ε) (Zhang and Sennrich, arXiv 1910.07467), as Transformers' `LlamaRMSNorm`.
    RootMeanSquare,
}

/// A norm with its weights w and b `[d]` in `f32`; no b for none.
#[derive(Debug, Clone, Copy)]
pub struct NormOf<'a> {
    pub kind: NormKind,
    pub weight: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    pub eps: f32,
}

/// The texts of a packed batch: cumulative lengths, `[texts + 1]`, here and in the device's memory.
pub struct Texts<B: Backend> {
    pub offsets: Arc<[u32]>,
    pub on_device: B::Ids,
}

impl<B: Backend> Texts<B> {
    pub fn new(backend: &B, offsets: Arc<[u32]>) -> Result<Texts<B>> {
        if offsets.first() != Some(&0) || !offsets.is_sorted() {
            bail!("texts cannot end at {offsets:?}");
        }
        let on_device = backend.ids(&offsets)?;
        Ok(Texts { offsets, on_device })
    }

    /// Tokens of all texts together.
    pub fn total(&self) -> usize {
        self.offsets.last().map_or(0, |&last| last as usize)
    }
}

/// The angles by which the tokens of a batch are turned: cos and sin of each, each `[total, half]`.
pub struct Angles<B: Backend> {
    pub cos: B::Buffer,
    pub sin: B::Buffer,
    pub total: usize,
    /// Pairs of features that are turned in each head; the features after them stay.
    pub half: usize,
}

impl<B: Backend> Angles<B> {
    /// Whether there are angles for so many tokens and for heads of `d` features.
    pub fn fit(&self, total: usize, d: usize) -> bool {
        2 * self.half <= d && total == self.total
    }
}
