//! NVIDIA GPUs. Each file has one kind of operation, under the name that it has on every device; `kernels` has what they
//! launch. Weights are candle's tensors on the device, and all work is on candle's stream.

mod activation;
mod adamw;
mod attention;
mod books;
mod buffer;
mod close;
mod cross_entropy;
mod device;
mod factor;
mod gather;
mod held;
mod list;
mod low_rank;
mod memory;
mod norm;
mod pool;
mod product;
mod profile;
mod rotate;
mod rows;
mod squares;
mod thin;
mod tiles;
mod turned;

use std::{borrow::Cow, ops::Range};

use candle_core::{
    DType, Device, Result, Storage, Tensor, bail,
    cuda_backend::{CudaStorage, WrapErr},
    op::BackpropOp,
};

use crate::{
    Activation, Angles, Backend, Closing, Dropout, Grouped, Heads, Held, In, LowRank, Matrix, Memory,
    Moments, NormGradients, NormOf, Out, Pool, Products, Span, Step, Sum, Texts, Thin, Turned, backend::same,
};
pub use adamw::State;
use attention::Over;
pub use buffer::{Buffer, Ids, Part, PartMut};
pub use device::Cuda;
use factor::Factor;
pub use list::{Gpu, ListError, Unfit, list};
use product::product;
pub use profile::Spent;
pub use squares::Sums;

fn read_factor(x: In<'_, Cuda>) -> Factor {
    let rounded = x.values.rounded;
    let rounded = if rounded == 0 { 0 } else { rounded + 2 * x.place.from as u64 };
    Factor { rounded, ..Factor::new(x.values.address, x.place, x.turned) }
}

fn written_factor(out: &Out<'_, Cuda>) -> Factor {
    Factor::new(out.values.address, out.place, false)
}

impl Backend for Cuda {
    type Buffer = Buffer;
    type Ref<'a> = Part<'a>;
    type Mut<'a> = PartMut<'a>;
    type Ids = Ids;
    type State = State;
    type Sums = Sums;

    fn device(&self) -> &Device {
        self.candle_device()
    }

    fn memory(&self) -> Memory {
        memory::memory(self.stream().context())
    }

    fn peak(&self) -> Option<u64> {
        memory::peak(self.stream().context())
    }

    fn forget_peak(&self) {
        memory::forget_peak(self.stream().context());
    }

    fn synchronise(&self) -> Result<()> {
        self.stream().synchronize().w()
    }

    fn buffer(&self, len: usize) -> Result<Buffer> {
        self.scratch(len)
    }

    fn read_by(&self, buffer: &mut Buffer, weight: &Held, products: Products) -> Result<()> {
        let plain = |w: &Tensor| products == Products::Bf16 && w.dtype() == DType::BF16;
        let rounded = match weight {
            Held::Plain(w) => plain(w),
            Held::Nf4(_) | Held::Int8(_) => tiles::fit(weight, products)?,
        };
        if rounded { buffer.round_beside(self) } else { Ok(()) }
    }

    fn read_by_no_more(&self, buffer: &mut Buffer) {
        buffer.round_no_more();
    }

    fn read(buffer: &Buffer, range: Range<usize>) -> Part<'_> {
        buffer.part(range)
    }

    fn write(buffer: &mut Buffer, range: Range<usize>) -> PartMut<'_> {
        buffer.part_mut(range)
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
        Ids::new(self, ids)
    }

    fn bring(&self, ids: &[&[u32]], numbers: &[&[f32]]) -> Result<(Vec<Ids>, Vec<Buffer>)> {
        buffer::bring(self, ids, numbers)
    }

    fn upload(&self, from: &[f32], to: PartMut<'_>) -> Result<()> {
        same(from.len(), to.len)?;
        let uploaded = buffer::upload(self, from)?;
        let from = buffer::address(&uploaded, self.stream());
        rows::copy(self, Factor::rows(to.address, to.len, 1), Factor::rows(from, to.len, 1))
    }

    fn download(&self, from: Part<'_>) -> Result<Vec<f32>> {
        if from.len == 0 {
            return Ok(Vec::new());
        }
        let whole = self.alloc::<f32>(from.len)?;
        let to = buffer::address(&whole, self.stream());
        rows::copy(self, Factor::rows(to, from.len, 1), Factor::rows(from.address, from.len, 1))?;
        self.stream().clone_dtoh(&whole).w()
    }

    fn to_tensor(&self, x: &Matrix<Cuda>) -> Result<Tensor> {
        let copy = self.alloc::<f32>(x.rows * x.cols)?;
        let (to, from) = (buffer::address(&copy, self.stream()), x.buffer.all().address);
        rows::copy(self, Factor::rows(to, x.rows, x.cols), Factor::rows(from, x.rows, x.cols))?;
        let storage = CudaStorage::wrap_cuda_slice(copy, self.candle().clone());
        Ok(Tensor::from_storage(Storage::Cuda(storage), (x.rows, x.cols), BackpropOp::none(), false))
    }

    fn to_matrix(&self, tensor: &Tensor) -> Result<Matrix<Cuda>> {
        let (rows, cols) = tensor.dims2()?;
        let matrix = Matrix::new(self, rows, cols)?;
        let tensor = tensor.contiguous()?;
        let from = buffer::tensor(self, &tensor, DType::F32)?;
        rows::copy(
            self,
            Factor::rows(matrix.buffer.all().address, rows, cols),
            Factor::rows(from, rows, cols),
        )?;
        Ok(matrix)
    }

    fn copy(&self, out: Out<Cuda>, x: In<Cuda>) -> Result<()> {
        if x.turned || (x.place.rows, x.place.cols) != (out.place.rows, out.place.cols) {
            bail!("{:?} cannot be copied to {:?}", x.place, out.place);
        }
        rows::copy(self, written_factor(&out), read_factor(x))
    }

    fn clear(&self, out: PartMut<'_>) -> Result<()> {
        rows::clear(self, &out)
    }

    fn add(&self, out: PartMut<'_>, x: Part<'_>) -> Result<()> {
        same(x.len, out.len)?;
        rows::add(self, &out, x)
    }

    fn product(
        &self,
        out: Out<Cuda>,
        a: In<Cuda>,
        b: In<Cuda>,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()> {
        product(self, written_factor(&out), read_factor(a), read_factor(b), (scale, add), products)
    }

    fn turned_products(&self, first: Turned<Cuda>, second: Turned<Cuda>, products: Products) -> Result<()> {
        let tasks = [turned::task(self, first, products)?, turned::task(self, second, products)?];
        turned::launch(self, tasks.into_iter().flatten().collect())
    }

    fn product_held(
        &self,
        out: Out<Cuda>,
        x: In<Cuda>,
        weight: &Held,
        turned: bool,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()> {
        held::product_held(self, written_factor(&out), read_factor(x), weight, turned, (scale, add), products)
    }

    fn norm(&self, norm: NormOf, y: PartMut<'_>, x: Part<'_>, thin: Vec<Thin<Cuda>>) -> Result<()> {
        same(x.len, y.len)?;
        norm::forward(self, norm, &y, x, thin)
    }

    fn norm_backward(
        &self,
        norm: NormOf,
        dx: Sum<Cuda>,
        x: Part<'_>,
        g: PartMut<'_>,
        added: Option<LowRank<Cuda>>,
        again: bool,
        gradients: NormGradients<Cuda>,
    ) -> Result<()> {
        same(x.len, dx.values.len)?;
        same(g.len, x.len)?;
        let sums = [&gradients.weight, &gradients.bias].into_iter().flatten();
        sums.map(|sum| sum.values.len).try_for_each(|len| same(len, norm.weight.elem_count()))?;
        norm::backward(self, norm, &dx, x, (&g, added), again, gradients)
    }

    fn rotate(
        &self,
        x: Out<Cuda>,
        added: Option<LowRank<Cuda>>,
        angles: &Angles<Cuda>,
        heads: usize,
        d: usize,
        back: bool,
    ) -> Result<()> {
        if !angles.fit(x.place.rows, d) || heads * d > x.place.cols {
            let Angles { total, half, .. } = angles;
            bail!("{:?} cannot be turned as {heads} heads of {d} by {total} × {half} angles", x.place);
        }
        rotate::rotate(self, &x, added, angles, (heads, d), back)
    }

    /// The log of the sum of exponentials of each token and head.
    fn attention_keeps(&self, tokens: usize, heads: Heads) -> usize {
        tokens * heads.query
    }

    fn attention(
        &self,
        out: PartMut<'_>,
        kept: PartMut<'_>,
        qkv: Part<'_>,
        texts: &Texts<Cuda>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        products: Products,
    ) -> Result<()> {
        heads.check()?;
        let total = texts.total();
        same(qkv.len, total * heads.width())?;
        same(out.len, total * heads.query * heads.d)?;
        same(kept.len, self.attention_keeps(total, heads))?;
        Over { texts, heads, span, dropout, products }.forward(self, &out, &kept, qkv)
    }

    fn attention_backward(
        &self,
        dqkv: PartMut<'_>,
        qkv: Part<'_>,
        [result, kept]: [Part<'_>; 2],
        g: Part<'_>,
        texts: &Texts<Cuda>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        products: Products,
    ) -> Result<()> {
        heads.check()?;
        let total = texts.total();
        same(qkv.len, total * heads.width())?;
        same(dqkv.len, qkv.len)?;
        same(result.len, total * heads.query * heads.d)?;
        same(g.len, result.len)?;
        same(kept.len, self.attention_keeps(total, heads))?;
        Over { texts, heads, span, dropout, products }.backward(self, &dqkv, qkv, [result, kept, g])
    }

    fn activation(
        &self,
        activation: Activation,
        gated: bool,
        y: PartMut<'_>,
        u: PartMut<'_>,
        added: Option<LowRank<Cuda>>,
        d: usize,
    ) -> Result<()> {
        same(u.len, if gated { 2 * y.len } else { y.len })?;
        activation::forward(self, activation, gated, &y, (&u, added), d)
    }

    fn activation_backward(
        &self,
        activation: Activation,
        gated: bool,
        u: PartMut<'_>,
        g: PartMut<'_>,
        added: Option<LowRank<Cuda>>,
        d: usize,
    ) -> Result<()> {
        same(u.len, if gated { 2 * g.len } else { g.len })?;
        activation::backward(self, activation, gated, &u, (&g, added), d)
    }

    fn add_bias(&self, x: Out<Cuda>, bias: &Tensor) -> Result<()> {
        rows::add_bias(self, written_factor(&x), bias)
    }

    fn column_sums(&self, sum: Sum<Cuda>, g: In<Cuda>) -> Result<()> {
        same(sum.values.len, g.shape().1)?;
        if g.turned {
            bail!("columns are summed of a matrix as it lies");
        }
        rows::column_sums(self, &sum.values, sum.add, read_factor(g))
    }

    fn close(&self, x: PartMut<'_>, closing: Closing<Cuda>, d: usize) -> Result<()> {
        same(closing.residual.len, x.len)?;
        close::close(self, &x, closing, d)
    }

    fn close_and_norm(
        &self,
        x: PartMut<'_>,
        closing: Closing<Cuda>,
        norm: NormOf,
        y: PartMut<'_>,
        thin: Vec<Thin<Cuda>>,
    ) -> Result<()> {
        same(closing.residual.len, x.len)?;
        same(y.len, x.len)?;
        norm::close(self, &x, closing, norm, &y, thin)
    }

    fn drop(&self, x: PartMut<'_>, y: Part<'_>, dropout: Dropout) -> Result<()> {
        same(y.len, x.len)?;
        rows::drop(self, &x, y.address, dropout)
    }

    fn drop_in_place(&self, x: PartMut<'_>, dropout: Dropout) -> Result<()> {
        rows::drop(self, &x, x.address, dropout)
    }

    fn gather(&self, x: PartMut<'_>, table: &Held, ids: &Ids, add: bool) -> Result<()> {
        gather::gather(self, &x, table, ids, add)
    }

    fn gather_rows(&self, out: PartMut<'_>, x: In<Cuda>, ids: &Ids) -> Result<()> {
        gather::gather_rows(self, &out, read_factor(x), ids)
    }

    fn scatter(&self, sum: Out<Cuda>, grouped: &Grouped<Cuda>, g: Part<'_>) -> Result<()> {
        gather::scatter(self, written_factor(&sum), grouped, g)
    }

    fn clear_rows(&self, x: Out<Cuda>, ids: &Ids) -> Result<()> {
        gather::clear_rows(self, written_factor(&x), ids)
    }

    fn pool(&self, out: PartMut<'_>, x: Part<'_>, texts: &Texts<Cuda>, pool: Pool) -> Result<()> {
        pool::forward(self, &out, x, texts, pool)
    }

    fn pool_backward(&self, dx: PartMut<'_>, g: Part<'_>, texts: &Texts<Cuda>, pool: Pool) -> Result<()> {
        pool::backward(self, &dx, g, texts, pool)
    }

    fn cross_entropy(&self, loss: PartMut<'_>, logits: PartMut<'_>, targets: Part<'_>) -> Result<()> {
        cross_entropy::cross_entropy(self, &loss, &logits, targets)
    }

    fn sums_of_squares(&self, all: &[(In<Cuda>, Option<&Ids>)]) -> Result<Sums> {
        let all: Vec<_> = all.iter().map(|(x, rows)| (read_factor(*x), *rows)).collect();
        squares::start(self, &all)
    }

    fn read_sums(&self, sums: &[Sums], scalars: &[Part<'_>]) -> Result<(Vec<Vec<f64>>, Vec<f32>)> {
        scalars.iter().try_for_each(|scalar| same(scalar.len, 1))?;
        squares::read(self, sums, scalars)
    }

    fn state(&self, count: usize, moments: Moments, remainder: Vec<i16>) -> Result<State> {
        State::new(self, count, moments, remainder)
    }

    fn state_bytes(state: &State) -> usize {
        state.bytes()
    }

    fn state_to_host<'a>(&self, state: &'a State) -> Result<Cow<'a, adamw::HostState>> {
        Ok(Cow::Owned(state.save(self)?))
    }

    fn state_from_host(&self, state: adamw::HostState) -> Result<State> {
        State::load(self, &state)
    }

    fn adamw(&self, weight: &Tensor, gradient: Part<'_>, state: &mut State, step: &Step) -> Result<()> {
        adamw::step(self, weight, gradient, state, step)
    }
}
