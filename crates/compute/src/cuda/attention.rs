//! Softmax attention within each text, forward and backward.

use candle_core::{Result, bail};

use super::{
    buffer::{Part, PartMut},
    device::{Arg, Cuda, Grid, args},
    rows::dropout_numbers,
};
use crate::{Dropout, Heads, Span, Texts};

/// Rows that a block owns, and rows of a tile; as in the kernels.
const OWN: usize = 16;
const TILE: usize = 32;
const THREADS: u32 = 128;
/// The most features of a head that there is a kernel for, by sizes.
const FEATURES: [usize; 5] = [32, 64, 96, 128, 256];
/// The most texts or heads of one launch.
const MOST: usize = 65_535;

/// What attention is over.
pub(super) struct Over<'a> {
    pub texts: &'a Texts<Cuda>,
    pub heads: Heads,
    pub span: Span,
    pub dropout: Option<Dropout>,
}

impl Over<'_> {
    fn features(&self) -> Result<usize> {
        let d = self.heads.d;
        let size = FEATURES.into_iter().find(|&size| d <= size);
        size.ok_or_else(|| {
            candle_core::Error::Msg(format!(
                "there is no attention for heads of {d} features; 256 are the most"
            ))
        })
    }

    /// A block for each 16 rows of each head of each text; `owned` matrices of them and two tiles are in shared memory.
    fn grid(&self, heads: usize, owned: usize) -> Result<Grid> {
        let texts = self.texts.offsets.len().saturating_sub(1);
        if texts > MOST || heads > MOST {
            bail!("{texts} texts and {heads} heads are too many for one launch; {MOST} are the most");
        }
        let lengths = self.texts.offsets.windows(2).map(|text| (text[1] - text[0]) as usize);
        let longest = lengths.max().unwrap_or(0);
        let d = self.heads.d;
        let shared = 4 * (owned * OWN * d + 2 * TILE * (d + 1));
        let blocks = [longest.div_ceil(OWN) as u32, heads as u32, texts as u32];
        Ok(Grid { blocks, threads: THREADS, shared: shared as u32 })
    }

    /// The structures `Shape` and `Dropout` of the kernels.
    fn shape(&self) -> [Arg; 2] {
        let Heads { query, key_value, d } = self.heads;
        let numbers = [self.texts.total(), query, key_value, d, self.span.before, self.span.after];
        let [total, query, key_value, d, before, after] =
            numbers.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let (seed, threshold, factor) = dropout_numbers(self.dropout);
        [
            Arg::U32x7([total, query, key_value, d, before, after, self.heads.scale().to_bits()]),
            Arg::U64x2([seed, u64::from(threshold) | u64::from(factor.to_bits()) << 32]),
        ]
    }

    pub(super) fn forward(&self, cuda: &Cuda, out: &PartMut, kept: &PartMut, qkv: Part) -> Result<()> {
        let name = format!("attention_forward_{}", self.features()?);
        let before = args![out.address, kept.address, qkv, self.texts.on_device.address(cuda)];
        cuda.launch(&name, self.grid(self.heads.query, 1)?, &[before, &self.shape()[..]].concat())
    }

    pub(super) fn backward(
        &self,
        cuda: &Cuda,
        dqkv: &PartMut,
        qkv: Part,
        [result, kept, g]: [Part; 3],
    ) -> Result<()> {
        let Heads { query, key_value, d } = self.heads;
        let rows = self.texts.total() * query;
        let delta = cuda.scratch(rows)?;
        let of_rows = args![delta.all(), g, result, self.texts.total() as u32, query as u32, d as u32];
        cuda.launch("attention_delta", Grid::of(32 * rows), of_rows)?;
        let offsets = self.texts.on_device.address(cuda);
        let before = args![dqkv.address, qkv, g, kept, delta.all(), offsets];
        let all = [before, &self.shape()[..]].concat();
        let features = self.features()?;
        for (pass, heads) in [("queries", query), ("keys", key_value)] {
            cuda.launch(&format!("attention_backward_{pass}_{features}"), self.grid(heads, 2)?, &all)?;
        }
        Ok(())
    }
}
