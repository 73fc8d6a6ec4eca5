//! Softmax attention within each text, forward and backward: by tensor cores where products are in bf16 and there is a
//! kernel for the heads, else in f32. Both keep the same of the forward, so that a backward may be the other one.

use candle_core::{Result, bail};

use super::{
    buffer::{Part, PartMut},
    device::{Arg, Cuda, Grid, args},
    rows::dropout_numbers,
};
use crate::{Dropout, Heads, Products, Span, Texts};

/// Rows that a block owns, and rows of a tile; as in the kernels in f32.
const OWN: usize = 16;
const TILE: usize = 32;
const THREADS: u32 = 128;
/// The most features of a head that there is a kernel for, by sizes.
const FEATURES: [usize; 5] = [32, 64, 96, 128, 256];
/// Features of a head that there are kernels for in bf16, and rows of their tiles, forward and backward; as there.
const IN_BF16: [(usize, [usize; 2]); 4] = [(32, [64, 32]), (64, [64, 32]), (96, [32, 32]), (128, [32, 16])];
const OWN_IN_BF16: usize = 64;
/// Kernels in bf16 read and write four numbers at once.
const ALIGNMENT: u64 = 16;
/// The most texts or heads of one launch.
const MOST: usize = 65_535;

/// What attention is over.
pub(super) struct Over<'a> {
    pub texts: &'a Texts<Cuda>,
    pub heads: Heads,
    pub span: Span,
    pub dropout: Option<Dropout>,
    pub products: Products,
}

/// What a launch is, of the kernels of either kind.
#[derive(Debug, Clone, Copy)]
enum Pass {
    Forward,
    Queries,
    Keys,
}

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::Queries => "backward_queries",
            Pass::Keys => "backward_keys",
        }
    }
}

/// Rows that a block owns, and bytes of its shared memory.
struct Block {
    rows: usize,
    shared: usize,
}

impl Over<'_> {
    fn longest(&self) -> usize {
        self.texts.offsets.windows(2).map(|text| (text[1] - text[0]) as usize).max().unwrap_or(0)
    }

    /// The tiles of the kernels in bf16, where they are to be used and can be.
    fn tiles_in_bf16(&self, addresses: &[u64]) -> Option<[usize; 2]> {
        let aligned = addresses.iter().all(|address| address.is_multiple_of(ALIGNMENT));
        // They count the probabilities of a text, which dropout's mask goes by, in 32 bits.
        let probabilities = (self.heads.query as u64).saturating_mul((self.longest() as u64).pow(2));
        let counted = self.dropout.is_none() || probabilities <= 1 << 32;
        let of_size = IN_BF16.into_iter().find(|(d, _)| *d == self.heads.d);
        of_size.filter(|_| aligned && counted && self.products == Products::Bf16).map(|(_, tiles)| tiles)
    }

    /// A kernel's name, and what its blocks are: `tiles` where it is one in bf16.
    fn kernel(&self, pass: Pass, tiles: Option<[usize; 2]>) -> Result<(String, Block)> {
        let (name, d) = (pass.name(), self.heads.d);
        let Some([forward, backward]) = tiles else {
            let owned = if matches!(pass, Pass::Forward) { 1 } else { 2 };
            let shared = 4 * (owned * OWN * d + 2 * TILE * (d + 1));
            return Ok((format!("attention_{name}_{}", self.features()?), Block { rows: OWN, shared }));
        };
        // Two tiles in each of two places, and in the backward two matrices of the block's own rows; in the forward they
        // lie where the tiles come later. A backward wants two numbers in f32 of each row, too: the queries' of the
        // block's own, the keys' of those of a tile.
        let numbers = match pass {
            Pass::Forward => (4 * forward).max(OWN_IN_BF16) * d,
            Pass::Queries => (4 * backward + 2 * OWN_IN_BF16) * d + 4 * OWN_IN_BF16,
            Pass::Keys => (4 * backward + 2 * OWN_IN_BF16) * d + 8 * backward,
        };
        let block = Block { rows: OWN_IN_BF16, shared: 2 * numbers };
        Ok((format!("attention_{name}_bf16_{d}"), block))
    }

    fn features(&self) -> Result<usize> {
        let d = self.heads.d;
        let size = FEATURES.into_iter().find(|&size| d <= size);
        size.ok_or_else(|| {
            candle_core::Error::Msg(format!(
                "there is no attention for heads of {d} features; 256 are the most"
            ))
        })
    }

    /// A block for some rows of each head of each text.
    fn grid(&self, heads: usize, block: &Block) -> Result<Grid> {
        let texts = self.texts.offsets.len().saturating_sub(1);
        if texts > MOST || heads > MOST {
            bail!("{texts} texts and {heads} heads are too many for one launch; {MOST} are the most");
        }
        let blocks = [self.longest().div_ceil(block.rows) as u32, heads as u32, texts as u32];
        Ok(Grid { blocks, threads: THREADS, shared: block.shared as u32 })
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
        let tiles = self.tiles_in_bf16(&[out.address, qkv.address]);
        let (name, block) = self.kernel(Pass::Forward, tiles)?;
        // In f32 nothing is written in bf16 beside.
        let rounded = tiles.map(|_| Arg::U64(out.rounded_beside()));
        let after = args![kept.address, qkv, self.texts.on_device.address()];
        let args = [args![out.address], rounded.as_slice(), after, &self.shape()[..]].concat();
        cuda.launch(&name, self.grid(self.heads.query, &block)?, &args)
    }

    pub(super) fn backward(
        &self,
        cuda: &Cuda,
        dqkv: &PartMut,
        qkv: Part,
        [result, kept, g]: [Part; 3],
    ) -> Result<()> {
        let Heads { query, key_value, d } = self.heads;
        let tiles = self.tiles_in_bf16(&[dqkv.address, qkv.address, g.address, result.address]);
        let rows = self.texts.total() * query;
        let delta = cuda.scratch(rows)?;
        let offsets = self.texts.on_device.address();
        let (before, after) = (args![dqkv.address, qkv, g], args![kept, delta.all(), offsets]);
        // In bf16 the kernel of the queries makes Σ g out, too.
        let result = if tiles.is_some() {
            vec![Arg::from(result)]
        } else {
            let shape = [self.texts.total(), query, d].map(|number| Arg::U32(number as u32));
            let args = [args![delta.all(), g, result], &shape[..]].concat();
            cuda.launch("attention_delta", Grid::of(32 * rows), &args)?;
            Vec::new()
        };
        for (pass, heads, result) in [(Pass::Queries, query, result), (Pass::Keys, key_value, Vec::new())] {
            let (name, block) = self.kernel(pass, tiles)?;
            let args = [before, &result[..], after, &self.shape()[..]].concat();
            cuda.launch(&name, self.grid(heads, &block)?, &args)?;
        }
        Ok(())
    }
}
