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

/// What one row of a text is made of those of its n tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The first token's, `[CLS]`.
    First,
    /// The last token's, the only one of a decoder that has seen all others.
    Last,
    /// Σ x / n.
    Mean,
    /// Σ x / √n, as of a bag of n different features, whose vector has length 1 so whatever n is.
    Bag,
}

impl Pool {
    /// Which of a text's n tokens count.
    pub fn tokens(self, n: usize) -> Range<usize> {
        match self {
            Pool::First => 0..n.min(1),
            Pool::Last => n.saturating_sub(1)..n,
            Pool::Mean | Pool::Bag => 0..n,
        }
    }

    /// What each of them is multiplied by.
    pub fn share(self, n: usize) -> f32 {
        match self {
            Pool::First | Pool::Last => 1.0,
            Pool::Mean => 1.0 / n.max(1) as f32,
            Pool::Bag => 1.0 / (n.max(1) as f32).sqrt(),
        }
    }

    /// Whether it is one of a text's rows as it is, so that the others need not be there.
    pub fn is_of_one_token(self) -> bool {
        matches!(self, Pool::First | Pool::Last)
    }
}

/// The texts of a packed batch: cumulative lengths, `[texts + 1]`, here and in the device's memory.
pub struct Texts<B: Backend> {
    pub offsets: Arc<[u32]>,
    pub on_device: B::Ids,
}

impl<B: Backend> Texts<B> {
    pub fn new(backend: &B, offsets: Arc<[u32]>) -> Result<Texts<B>> {
        let on_device = backend.ids(&offsets)?;
        Texts::of(offsets, on_device)
    }

    /// The same of lengths that have been [brought](Backend::bring) to the device.
    pub fn of(offsets: Arc<[u32]>, on_device: B::Ids) -> Result<Texts<B>> {
        if offsets.first() != Some(&0) || !offsets.is_sorted() {
            bail!("texts cannot end at {offsets:?}");
        }
        Ok(Texts { offsets, on_device })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// An error unless there are rows for all tokens, and as many of all texts, of the same length each; that length.
    pub(crate) fn width(&self, tokens: usize, texts: usize) -> Result<usize> {
        let d = texts.checked_div(self.count()).unwrap_or(0);
        if d * self.count() != texts || d * self.total() != tokens {
            bail!(
                "{tokens} numbers of {} tokens are not those of rows that have {texts} for {} texts",
                self.total(),
                self.count()
            );
        }
        Ok(d)
    }

    /// Tokens of all texts together.
    pub fn total(&self) -> usize {
        self.offsets.last().map_or(0, |&last| last as usize)
    }
}

/// Which tokens have each row of a table, by which the rows of their gradients are summed in an order that is the same each
/// time.
pub struct Grouped<B: Backend> {
    /// The rows that some token has, each once and in order, here and in the device's memory.
    pub rows: Arc<[u32]>,
    pub on_device: B::Ids,
    /// Where in `tokens` those of each row begin, and where the last one's end.
    pub starts: B::Ids,
    /// The places of the tokens, in order for each row.
    pub tokens: B::Ids,
}

impl<B: Backend> Grouped<B> {
    pub fn new(backend: &B, ids: &[u32]) -> Result<Grouped<B>> {
        let lists = grouped(ids);
        let (on_device, _) = backend.bring(&lists.each_ref().map(Vec::as_slice), &[])?;
        Grouped::of(&lists, &mut on_device.into_iter())
    }

    /// The same of [`grouped`] lists, the next that have been [brought](Backend::bring) to the device.
    pub fn of(lists: &[Vec<u32>; 3], on_device: &mut impl Iterator<Item = B::Ids>) -> Result<Grouped<B>> {
        let [rows, _, tokens] = lists;
        let (Some(of_rows), Some(starts), Some(of_tokens)) =
            (on_device.next(), on_device.next(), on_device.next())
        else {
            bail!("{} rows of {} tokens did not come to the device", rows.len(), tokens.len())
        };
        Ok(Grouped { rows: rows.as_slice().into(), on_device: of_rows, starts, tokens: of_tokens })
    }
}

/// Of the row that each token has: each row once, where its tokens begin, and the tokens, in their order.
pub fn grouped(ids: &[u32]) -> [Vec<u32>; 3] {
    let mut tokens: Vec<u32> = (0..ids.len() as u32).collect();
    tokens.sort_by_key(|&at| ids[at as usize]);
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    for (number, &at) in tokens.iter().enumerate() {
        let id = ids[at as usize];
        if rows.last() != Some(&id) {
            rows.push(id);
            starts.push(number as u32);
        }
    }
    starts.push(ids.len() as u32);
    [rows, starts, tokens]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_equal_ids_stand_together_in_their_order() {
        assert_eq!(
            grouped(&[8, 0, 3, 8, 8, 1]),
            [vec![0, 1, 3, 8], vec![0, 1, 2, 3, 6], vec![1, 5, 2, 0, 3, 4]]
        );
        assert_eq!(grouped(&[]), [vec![], vec![0], vec![]]);
    }
}
