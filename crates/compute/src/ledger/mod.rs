//! A GPU's memory without the GPU: a backend that computes nothing and keeps account of what [`Cuda`](crate) would take for
//! the same calls, to the byte. Whatever goes through it, such as a step of a run over a network that is known by its shapes
//! alone, is told by it what memory that step needs: no formula has to be kept in step with the pass.
//!
//! What each operation takes for itself is in the file of the same name in `cuda`; `train/tests/memory_plan.rs` holds
//! whole steps to the emulated GPU's own count.

mod account;
mod buffer;

use std::{borrow::Cow, ops::Range, sync::Arc};

use candle_core::{DType, Device, Result, Tensor, bail};
use half::bf16;

use crate::{
    Activation, Angles, Backend, Closing, Dropout, Grouped, Heads, Held, In, LowRank, Matrix, Memory,
    Moments, NormGradients, NormOf, Out, Pool, Products, Span, Step, Sum, Texts, Thin, Turned,
    backend::{ALIGNED, has_two_logits, same},
    cpu::adamw::State as HostState,
    quantised::{CHUNK, has_tiles},
};
use account::{Account, Room};
pub use buffer::{Buffer, Ids, Part, PartMut, State, Sums};

/// Numbers of a weight that are unpacked at a time, as in `cuda/held.rs`.
const STRIP: usize = 8 << 20;
/// Rows whose sum of a column is a part of its whole sum, as in `cuda/rows.rs`.
const ROWS_OF_A_PART: usize = 64;
/// Numbers whose sum of squares is a part of its matrix', as in `cuda/squares.rs`.
const SQUARES_OF_A_PART: usize = 1 << 15;

/// Features of the heads whose attention has kernels in bf16, as in `cuda/attention.rs`.
const HEADS_IN_BF16: [usize; 4] = [32, 64, 96, 128];
/// As many products with thin matrices of so many rows at most as a norm makes, as in `cuda/thin.rs`.
const THIN_AT_ONCE: usize = 3;
const THIN: usize = 16;

/// The account of a GPU's memory. Clones write to the same one.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    account: Arc<Account>,
}

impl Ledger {
    fn room<T>(&self, len: usize) -> Room {
        Room::of::<T>(&self.account, len)
    }

    /// Takes what the weight takes in the device's memory, until it is dropped.
    pub fn hold(&self, weight: &Held) -> Vec<Room> {
        let of_tensor =
            |tensor: &Tensor| self.room::<u8>(tensor.elem_count().max(1) * tensor.dtype().size_in_bytes());
        match weight {
            Held::Plain(tensor) => vec![of_tensor(tensor)],
            Held::Nf4(held) => held.tensors().0.map(of_tensor).into(),
            Held::Int8(held) => held.tensors().map(of_tensor).into(),
        }
    }

    /// What a device takes that is opened, before anything is done with it: the tables that kernels read, which are the code
    /// books of moments in 8 bits, `[4, 256]`, and of NF4, `[16 + 256]`.
    pub fn open(&self) -> Vec<Room> {
        vec![self.room::<f32>(4 * 256), self.room::<f32>(16 + 256)]
    }

    /// How often memory was taken.
    pub fn allocations(&self) -> u64 {
        self.account.taken()
    }

    /// What LoRA adds in the kernel that reads the result next, or, where its matrix is not in `f32`, by a product.
    fn low_rank(&self, added: Option<LowRank<Ledger>>) -> Result<()> {
        match added {
            Some(LowRank { low, weight, .. }) => self.by(low, weight, added.map(|added| added.products)),
            None => Ok(()),
        }
    }

    /// A product with a weight: of one in bf16, and of one that is decoded by tiles, the other factor narrowed; of one in
    /// other precisions than the product's a strip of it.
    fn by(&self, x: In<Ledger>, weight: &Held, products: Option<Products>) -> Result<()> {
        let (rows, cols) = weight.dims()?;
        let narrowed = |rounded: bool| {
            if !rounded {
                self.room::<bf16>(x.place.rows * x.place.cols);
            }
        };
        match weight {
            Held::Plain(w) if w.dtype() == DType::F32 => {}
            Held::Plain(w) if products == Some(Products::Bf16) && w.dtype() == DType::BF16 => {
                narrowed(x.values.rounded);
            }
            Held::Nf4(_) | Held::Int8(_)
                if products == Some(Products::Bf16) && !x.turned && has_tiles((rows, cols)) =>
            {
                let aligned = [x.place.from, x.place.stride].iter().all(|at| at.is_multiple_of(CHUNK));
                narrowed(x.values.rounded && aligned);
            }
            _ => {
                self.room::<f32>((STRIP / cols.max(1)).clamp(1, rows.max(1)) * cols);
            }
        }
        Ok(())
    }

    /// Products with thin matrices that the kernel of a norm does not make.
    fn thin(&self, thin: Vec<Thin<Ledger>>, y: &PartMut<'_>, d: usize) -> Result<()> {
        let mut free = THIN_AT_ONCE;
        for thin in thin {
            let (rank, cols) = thin.a.dims()?;
            let held = matches!(thin.a, Held::Plain(a) if a.dtype() == DType::F32);
            if held && cols == d && rank <= THIN && free > 0 {
                free -= 1;
            } else {
                thin.of(self, In::rows(y.written(), d))?;
            }
        }
        Ok(())
    }
}

impl Backend for Ledger {
    type Buffer = Buffer;
    type Ref<'a> = Part<'a>;
    type Mut<'a> = PartMut<'a>;
    type Ids = Ids;
    type State = State;
    type Sums = Sums;

    /// Tensors that are made on the way lie on the CPU.
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn memory(&self) -> Memory {
        Memory { free: None, held: Some(self.account.held()) }
    }

    fn peak(&self) -> Option<u64> {
        Some(self.account.peak())
    }

    fn forget_peak(&self) {
        self.account.forget_peak();
    }

    fn synchronise(&self) -> Result<()> {
        Ok(())
    }

    fn buffer(&self, len: usize) -> Result<Buffer> {
        Ok(Buffer::new(self, len))
    }

    fn read_by(&self, buffer: &mut Buffer, weight: &Held, products: Products) -> Result<()> {
        let rounded = match weight {
            Held::Plain(w) => w.dtype() == DType::BF16,
            Held::Nf4(_) | Held::Int8(_) => has_tiles(weight.dims()?),
        };
        if rounded && products == Products::Bf16 {
            buffer.round_beside(self);
        }
        Ok(())
    }

    fn read_by_no_more(&self, buffer: &mut Buffer) {
        buffer.round_no_more();
    }

    fn read(buffer: &Buffer, range: Range<usize>) -> Part<'_> {
        buffer.part(&range)
    }

    fn write(buffer: &mut Buffer, range: Range<usize>) -> PartMut<'_> {
        buffer.part_mut(&range)
    }

    fn split<'a>(values: Self::Mut<'a>, at: usize) -> (Self::Mut<'a>, Self::Mut<'a>) {
        values.split(at)
    }

    fn len(values: Part<'_>) -> usize {
        values.len
    }

    fn len_mut(values: &PartMut<'_>) -> usize {
        values.len
    }

    fn ids(&self, ids: &[u32]) -> Result<Ids> {
        Ok(Ids::new(self, ids))
    }

    fn bring(&self, ids: &[&[u32]], numbers: &[&[f32]]) -> Result<(Vec<Ids>, Vec<Buffer>)> {
        let lengths = ids.iter().map(|ids| ids.len()).chain(numbers.iter().map(|list| list.len()));
        let words = lengths.map(|len| len.next_multiple_of(ALIGNED)).sum();
        let room = Arc::new(self.room::<u32>(words));
        let ids = ids.iter().map(|ids| Ids::within(&room, ids));
        Ok((ids.collect(), numbers.iter().map(|list| Buffer::within(&room, list.len())).collect()))
    }

    fn upload(&self, from: &[f32], _: PartMut<'_>) -> Result<()> {
        self.room::<f32>(from.len());
        Ok(())
    }

    /// Zeros.
    fn download(&self, from: Part<'_>) -> Result<Vec<f32>> {
        self.room::<f32>(from.len);
        Ok(vec![0.0; from.len])
    }

    /// Zeros, whose memory on the device counts while it is copied; of a few rows a text.
    fn to_tensor(&self, x: &Matrix<Ledger>) -> Result<Tensor> {
        self.room::<f32>(x.rows * x.cols);
        Tensor::zeros((x.rows, x.cols), DType::F32, &Device::Cpu)
    }

    fn to_matrix(&self, tensor: &Tensor) -> Result<Matrix<Ledger>> {
        let (rows, cols) = tensor.dims2()?;
        Matrix::new(self, rows, cols)
    }

    fn copy(&self, _: Out<Ledger>, _: In<Ledger>) -> Result<()> {
        Ok(())
    }

    fn clear(&self, _: PartMut<'_>) -> Result<()> {
        Ok(())
    }

    fn add(&self, _: PartMut<'_>, _: Part<'_>) -> Result<()> {
        Ok(())
    }

    fn product(
        &self,
        _: Out<Ledger>,
        _: In<Ledger>,
        _: In<Ledger>,
        _: f32,
        _: bool,
        _: Products,
    ) -> Result<()> {
        Ok(())
    }

    fn turned_products(&self, _: Turned<Ledger>, _: Turned<Ledger>, _: Products) -> Result<()> {
        Ok(())
    }

    fn product_held(
        &self,
        _: Out<Ledger>,
        x: In<Ledger>,
        weight: &Held,
        _: bool,
        _: f32,
        _: bool,
        products: Products,
    ) -> Result<()> {
        self.by(x, weight, Some(products))
    }

    fn norm(&self, norm: NormOf, y: PartMut<'_>, _: Part<'_>, thin: Vec<Thin<Ledger>>) -> Result<()> {
        y.rounds_beside();
        self.thin(thin, &y, norm.weight.elem_count())
    }

    fn norm_backward(
        &self,
        norm: NormOf,
        dx: Sum<Ledger>,
        x: Part<'_>,
        g: PartMut<'_>,
        added: Option<LowRank<Ledger>>,
        again: bool,
        NormGradients { weight, bias }: NormGradients<Ledger>,
    ) -> Result<()> {
        let d = norm.weight.elem_count();
        let n = x.len / d.max(1);
        self.low_rank(added)?;
        let learns = weight.is_some() || bias.is_some();
        let _of_rows = learns.then(|| self.room::<f32>(2 * n));
        dx.values.rounds_beside();
        let parts = n.div_ceil(ROWS_OF_A_PART) * d;
        let _parts = [weight, bias].map(|wanted| wanted.map(|_| self.room::<f32>(parts)));
        if again && learns {
            g.rounds_beside();
        }
        Ok(())
    }

    fn rotate(
        &self,
        x: Out<Ledger>,
        added: Option<LowRank<Ledger>>,
        _: &Angles<Ledger>,
        _: usize,
        _: usize,
        _: bool,
    ) -> Result<()> {
        if x.place.cols == x.place.stride {
            x.values.rounds_beside();
        }
        self.low_rank(added)
    }

    fn attention_keeps(&self, tokens: usize, heads: Heads) -> usize {
        tokens * heads.query
    }

    fn attention(
        &self,
        out: PartMut<'_>,
        _: PartMut<'_>,
        _: Part<'_>,
        _: &Texts<Ledger>,
        heads: Heads,
        _: Span,
        _: Option<Dropout>,
        products: Products,
    ) -> Result<()> {
        if products == Products::Bf16 && HEADS_IN_BF16.contains(&heads.d) {
            out.rounds_beside();
        }
        Ok(())
    }

    fn attention_backward(
        &self,
        _: PartMut<'_>,
        _: Part<'_>,
        _: [Part<'_>; 2],
        _: Part<'_>,
        texts: &Texts<Ledger>,
        heads: Heads,
        _: Span,
        _: Option<Dropout>,
        _: Products,
    ) -> Result<()> {
        self.room::<f32>(texts.total() * heads.query);
        Ok(())
    }

    fn activation(
        &self,
        _: Activation,
        _: bool,
        y: PartMut<'_>,
        _: PartMut<'_>,
        added: Option<LowRank<Ledger>>,
        _: usize,
    ) -> Result<()> {
        y.rounds_beside();
        self.low_rank(added)
    }

    fn activation_backward(
        &self,
        _: Activation,
        _: bool,
        u: PartMut<'_>,
        _: PartMut<'_>,
        added: Option<LowRank<Ledger>>,
        _: usize,
    ) -> Result<()> {
        u.rounds_beside();
        self.low_rank(added)
    }

    fn add_bias(&self, _: Out<Ledger>, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn column_sums(&self, _: Sum<Ledger>, g: In<Ledger>) -> Result<()> {
        self.room::<f32>(g.place.rows.div_ceil(ROWS_OF_A_PART) * g.place.cols);
        Ok(())
    }

    fn close(&self, _: PartMut<'_>, closing: Closing<Ledger>, _: usize) -> Result<()> {
        self.low_rank(closing.added)
    }

    fn close_and_norm(
        &self,
        _: PartMut<'_>,
        closing: Closing<Ledger>,
        norm: NormOf,
        y: PartMut<'_>,
        thin: Vec<Thin<Ledger>>,
    ) -> Result<()> {
        y.rounds_beside();
        self.low_rank(closing.added)?;
        self.thin(thin, &y, norm.weight.elem_count())
    }

    fn drop(&self, _: PartMut<'_>, _: Part<'_>, _: Dropout) -> Result<()> {
        Ok(())
    }

    fn drop_in_place(&self, _: PartMut<'_>, _: Dropout) -> Result<()> {
        Ok(())
    }

    fn gather(&self, _: PartMut<'_>, _: &Held, _: &Ids, _: bool) -> Result<()> {
        Ok(())
    }

    fn gather_rows(&self, _: PartMut<'_>, _: In<Ledger>, _: &Ids) -> Result<()> {
        Ok(())
    }

    fn scatter(&self, _: Out<Ledger>, _: &Grouped<Ledger>, _: Part<'_>) -> Result<()> {
        Ok(())
    }

    fn clear_rows(&self, _: Out<Ledger>, ids: &Ids) -> Result<()> {
        let rows = distinct(&ids.host);
        if rows < ids.host.len() {
            self.room::<u32>(rows);
        }
        Ok(())
    }

    fn pool(&self, out: PartMut<'_>, x: Part<'_>, texts: &Texts<Ledger>, _: Pool) -> Result<()> {
        texts.width(x.len, out.len).map(|_| ())
    }

    fn pool_backward(&self, dx: PartMut<'_>, g: Part<'_>, texts: &Texts<Ledger>, _: Pool) -> Result<()> {
        texts.width(dx.len, g.len).map(|_| ())
    }

    fn cross_entropy(&self, loss: PartMut<'_>, logits: PartMut<'_>, targets: Part<'_>) -> Result<()> {
        same(loss.len, 1)?;
        has_two_logits(logits.len, targets.len).map(|_| ())
    }

    fn sums_of_squares(&self, all: &[(In<Ledger>, Option<&Ids>)]) -> Result<Sums> {
        let rows = |x: &In<Ledger>, ids: &Option<&Ids>| ids.map_or(x.place.rows, |ids| ids.host.len());
        let parts =
            |(x, ids): &(In<Ledger>, Option<&Ids>)| (rows(x, ids) * x.place.cols).div_ceil(SQUARES_OF_A_PART);
        Ok(Sums::new(self, all.len(), all.iter().map(parts).sum()))
    }

    /// Zeros.
    fn read_sums(&self, sums: &[Sums], scalars: &[Part<'_>]) -> Result<(Vec<Vec<f64>>, Vec<f32>)> {
        let words = 2 * sums.iter().map(|sums| sums.parts).sum::<usize>() + scalars.len();
        if words > 0 {
            self.room::<f32>(words);
        }
        Ok((sums.iter().map(|sums| vec![0.0; sums.matrices]).collect(), vec![0.0; scalars.len()]))
    }

    fn state(&self, count: usize, moments: Moments, remainder: Vec<i16>) -> Result<State> {
        Ok(State::new(self, count, moments, !remainder.is_empty()))
    }

    fn state_bytes(state: &State) -> usize {
        state.bytes
    }

    fn state_to_host<'a>(&self, _: &'a State) -> Result<Cow<'a, HostState>> {
        bail!("a ledger has sizes and no numbers, so that nothing of it can be saved")
    }

    fn state_from_host(&self, state: HostState) -> Result<State> {
        let moments = match state.moments {
            crate::cpu::adamw::Kept::F32 { .. } => Moments::F32,
            crate::cpu::adamw::Kept::Blocks8 { .. } => Moments::Blocks8,
        };
        Ok(State::new(self, state.count(), moments, !state.remainder.is_empty()))
    }

    fn adamw(&self, _: &Tensor, _: Part<'_>, _: &mut State, _: &Step) -> Result<()> {
        Ok(())
    }
}

/// How many different ids there are.
fn distinct(ids: &[u32]) -> usize {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}
