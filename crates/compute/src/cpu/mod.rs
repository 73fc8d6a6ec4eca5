//! The CPU. Each file has one kind of operation on plain slices, under the name that it has on every device.

pub mod activation;
pub mod adamw;
pub mod attention;
mod bf16;
mod buffer;
mod cross_entropy;
mod gather;
mod held;
mod limit;
mod memory;
pub mod norm;
mod pool;
mod product;
mod rotate;
pub mod rounding;
pub mod rows;
mod softmax;
mod squares;
mod turned;
mod values;
pub mod vectorised;
mod view;

use std::{borrow::Cow, ops::Range, sync::Arc};

use candle_core::{Device, Result, Tensor, bail};

use crate::{
    Activation, Angles, Backend, Closing, Dropout, Grouped, Heads, Held, In, LowRank, Matrix, Memory,
    Moments, NormGradients, NormKind, NormOf, Out, Pool, Products, Span, Step, Sum, Texts, Thin,
    backend::{has_two_logits, same},
    timing::timed,
};
use attention::Over;
pub use bf16::{bf16_products_are_faster, processor_multiplies_bf16, product_in};
pub use buffer::{Buffer, buffer};
pub use limit::product_limit;
pub use memory::{field, most_held, rss};
pub use product::{Threads, product};
pub use rotate::turn_heads;
pub use squares::sum_of_squares;
pub use turned::turn;
pub use values::{Values, change};
pub use view::{View, ViewMut};

/// The processor, with all threads of rayon's pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu;

/// A matrix as views have it.
fn view(x: In<'_, Cpu>) -> View<'_> {
    let place = x.place;
    let view = View::new(x.values, place.stride.max(1)).columns(place.from..place.from + place.cols);
    if x.turned { view.turned() } else { view }
}

fn view_mut(out: Out<'_, Cpu>) -> ViewMut<'_> {
    let place = out.place;
    let (_, behind) = ViewMut::new(out.values, place.stride).split_columns(place.from);
    behind.split_columns(place.cols).0
}

/// Adds what LoRA adds to rows of `cols` numbers.
fn add_low_rank(x: &mut [f32], added: Option<LowRank<Cpu>>, cols: usize) -> Result<()> {
    added.map_or(Ok(()), |added| added.add_to(&Cpu, Out::rows(x, cols)))
}

impl Backend for Cpu {
    type Buffer = Buffer;
    type Ref<'a> = &'a [f32];
    type Mut<'a> = &'a mut [f32];
    type Ids = Arc<[u32]>;
    type State = adamw::State;
    type Sums = Vec<f64>;

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn memory(&self) -> Memory {
        Memory { free: memory::free(), held: memory::rss() }
    }

    fn peak(&self) -> Option<u64> {
        memory::peak()
    }

    fn forget_peak(&self) {
        memory::forget_peak();
    }

    fn synchronise(&self) -> Result<()> {
        Ok(())
    }

    fn buffer(&self, len: usize) -> Result<Buffer> {
        Ok(buffer(len))
    }

    fn read(buffer: &Buffer, range: Range<usize>) -> &[f32] {
        &buffer[range]
    }

    fn write(buffer: &mut Buffer, range: Range<usize>) -> &mut [f32] {
        &mut buffer[range]
    }

    fn split<'a>(values: Self::Mut<'a>, at: usize) -> (Self::Mut<'a>, Self::Mut<'a>) {
        values.split_at_mut(at)
    }

    fn len(values: &[f32]) -> usize {
        values.len()
    }

    fn len_mut(values: &&mut [f32]) -> usize {
        values.len()
    }

    fn ids(&self, ids: &[u32]) -> Result<Arc<[u32]>> {
        Ok(ids.into())
    }

    fn bring(&self, ids: &[&[u32]], numbers: &[&[f32]]) -> Result<(Vec<Arc<[u32]>>, Vec<Buffer>)> {
        let taken = |from: &&[f32]| {
            let mut into = buffer(from.len());
            into.copy_from_slice(from);
            into
        };
        Ok((ids.iter().map(|&ids| ids.into()).collect(), numbers.iter().map(taken).collect()))
    }

    fn upload(&self, from: &[f32], to: &mut [f32]) -> Result<()> {
        same(from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn download(&self, from: &[f32]) -> Result<Vec<f32>> {
        Ok(from.to_vec())
    }

    fn to_tensor(&self, x: &Matrix<Cpu>) -> Result<Tensor> {
        Tensor::from_vec(x.buffer.to_vec(), (x.rows, x.cols), &Device::Cpu)
    }

    fn to_matrix(&self, tensor: &Tensor) -> Result<Matrix<Cpu>> {
        let (rows, cols) = tensor.dims2()?;
        let mut matrix = Matrix::new(self, rows, cols)?;
        let tensor = tensor.contiguous()?;
        matrix.buffer.copy_from_slice(Values::of(&tensor)?.slice());
        Ok(matrix)
    }

    fn copy(&self, out: Out<Cpu>, x: In<Cpu>) -> Result<()> {
        let (rows, cols) = (out.place.rows, out.place.cols);
        if x.turned || (x.place.rows, x.place.cols) != (rows, cols) {
            bail!("{:?} cannot be copied to {:?}", x.place, out.place);
        }
        rows::copy(view_mut(out), view(x));
        Ok(())
    }

    fn clear(&self, out: &mut [f32]) -> Result<()> {
        rows::clear(out);
        Ok(())
    }

    fn add(&self, out: &mut [f32], x: &[f32]) -> Result<()> {
        same(x.len(), out.len())?;
        rows::add(out, x);
        Ok(())
    }

    fn product(
        &self,
        out: Out<Cpu>,
        a: In<Cpu>,
        b: In<Cpu>,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()> {
        product_in(products, &mut view_mut(out), view(a), view(b), scale, add)
    }

    fn product_held(
        &self,
        out: Out<Cpu>,
        x: In<Cpu>,
        weight: &Held,
        turned: bool,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()> {
        held::product(&mut view_mut(out), view(x), weight, turned, (scale, add), products)
    }

    fn norm(&self, norm: NormOf, y: &mut [f32], x: &[f32], thin: Vec<Thin<Cpu>>) -> Result<()> {
        same(x.len(), y.len())?;
        let weight = Values::of(norm.weight)?;
        let bias = norm.bias.map(Values::of).transpose()?;
        let (w, b) = (weight.slice(), bias.as_ref().map(Values::slice));
        same(b.map_or(w.len(), <[f32]>::len), w.len())?;
        let eps = norm.eps;
        timed("norms", || match norm.kind {
            NormKind::RootMeanSquare => norm::rms_norm_forward(x, w, eps, y),
            NormKind::Layer => match b {
                Some(b) => norm::layer_norm_forward(x, w, b, eps, y),
                None => norm::layer_norm_forward(x, w, &vec![0.0; w.len()], eps, y),
            },
        });
        thin.into_iter().try_for_each(|thin| thin.of(self, In::rows(&*y, w.len())))
    }

    fn norm_backward(
        &self,
        norm: NormOf,
        dx: Sum<Cpu>,
        x: &[f32],
        g: &mut [f32],
        added: Option<LowRank<Cpu>>,
        again: bool,
        gradients: NormGradients<Cpu>,
    ) -> Result<()> {
        same(x.len(), dx.values.len())?;
        same(g.len(), x.len())?;
        add_low_rank(g, added, norm.weight.elem_count())?;
        let weight = Values::of(norm.weight)?;
        let (w, eps) = (weight.slice(), norm.eps);
        let into = |dx: &mut [f32]| {
            timed("norms", || match norm.kind {
                NormKind::RootMeanSquare => norm::rms_norm_backward(x, w, g, eps, dx),
                NormKind::Layer => norm::layer_norm_backward(x, w, g, eps, dx),
            })
        };
        let parts = if dx.add {
            let mut own = buffer(x.len());
            let parts = into(&mut own);
            rows::add(dx.values, &own);
            parts
        } else {
            into(dx.values)
        };
        if let Some(sum) = gradients.weight {
            same(sum.values.len(), w.len())?;
            crate::math::sum_of_parts(&parts, 0, sum.values, sum.add);
        }
        if let Some(sum) = gradients.bias {
            same(sum.values.len(), w.len())?;
            crate::math::sum_of_parts(&parts, w.len(), sum.values, sum.add);
        }
        if again { self.norm(norm, g, x, Vec::new()) } else { Ok(()) }
    }

    fn rotate(
        &self,
        x: Out<Cpu>,
        added: Option<LowRank<Cpu>>,
        angles: &Angles<Cpu>,
        heads: usize,
        d: usize,
        back: bool,
    ) -> Result<()> {
        let Out { values, place } = x;
        if let Some(added) = added {
            added.add_to(self, Out { values: &mut *values, place })?;
        }
        let x = Out { values, place };
        if !angles.fit(x.place.rows, d) || heads * d > x.place.cols {
            let Angles { total, half, .. } = angles;
            bail!("{:?} cannot be turned as {heads} heads of {d} by {total} × {half} angles", x.place);
        }
        rotate::rotate(view_mut(x), &angles.cos, &angles.sin, angles.half, (heads, d), back);
        Ok(())
    }

    fn attention_keeps(&self, tokens: usize, heads: Heads) -> usize {
        2 * tokens * heads.query
    }

    fn attention(
        &self,
        out: &mut [f32],
        kept: &mut [f32],
        qkv: &[f32],
        texts: &Texts<Cpu>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        _: Products,
    ) -> Result<()> {
        heads.check()?;
        let total = texts.total();
        same(qkv.len(), total * heads.width())?;
        same(out.len(), total * heads.query * heads.d)?;
        same(kept.len(), self.attention_keeps(total, heads))?;
        let over = Over { offsets: &texts.offsets, heads, span, dropout };
        timed("attention", || over.forward(qkv, out, kept))
    }

    fn attention_backward(
        &self,
        dqkv: &mut [f32],
        qkv: &[f32],
        [result, kept]: [&[f32]; 2],
        g: &[f32],
        texts: &Texts<Cpu>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        _: Products,
    ) -> Result<()> {
        heads.check()?;
        let total = texts.total();
        same(qkv.len(), total * heads.width())?;
        same(dqkv.len(), qkv.len())?;
        same(result.len(), total * heads.query * heads.d)?;
        same(g.len(), result.len())?;
        same(kept.len(), self.attention_keeps(total, heads))?;
        let over = Over { offsets: &texts.offsets, heads, span, dropout };
        timed("attention", || over.backward(qkv, [result, kept, g], dqkv))
    }

    fn activation(
        &self,
        activation: Activation,
        gated: bool,
        y: &mut [f32],
        u: &mut [f32],
        added: Option<LowRank<Cpu>>,
        d: usize,
    ) -> Result<()> {
        same(u.len(), if gated { 2 * y.len() } else { y.len() })?;
        add_low_rank(u, added, if gated { 2 * d } else { d })?;
        timed("activation", || activation::forward(activation, gated, u, y, d));
        Ok(())
    }

    fn activation_backward(
        &self,
        activation: Activation,
        gated: bool,
        u: &mut [f32],
        g: &mut [f32],
        added: Option<LowRank<Cpu>>,
        d: usize,
    ) -> Result<()> {
        same(u.len(), if gated { 2 * g.len() } else { g.len() })?;
        add_low_rank(g, added, d)?;
        timed("activation", || activation::backward(activation, gated, u, g, d));
        Ok(())
    }

    fn add_bias(&self, x: Out<Cpu>, bias: &Tensor) -> Result<()> {
        let bias = Values::of(bias)?;
        same(bias.slice().len(), x.place.cols)?;
        timed("biases and residuals", || rows::add_bias(view_mut(x), bias.slice()));
        Ok(())
    }

    fn column_sums(&self, sum: Sum<Cpu>, g: In<Cpu>) -> Result<()> {
        same(sum.values.len(), g.shape().1)?;
        timed("biases and residuals", || rows::column_sums(view(g), sum.values, sum.add));
        Ok(())
    }

    fn close(&self, x: &mut [f32], closing: Closing<Cpu>, d: usize) -> Result<()> {
        let Closing { added, bias, dropout, residual } = closing;
        same(residual.len(), x.len())?;
        add_low_rank(x, added, d)?;
        let bias = bias.map(Values::of).transpose()?;
        let bias = bias.as_ref().map_or(&[][..], Values::slice);
        timed("biases and residuals", || rows::close(x, bias, dropout, residual, d));
        Ok(())
    }

    fn close_and_norm(
        &self,
        x: &mut [f32],
        closing: Closing<Cpu>,
        norm: NormOf,
        y: &mut [f32],
        thin: Vec<Thin<Cpu>>,
    ) -> Result<()> {
        self.close(x, closing, norm.weight.elem_count())?;
        self.norm(norm, y, x, thin)
    }

    fn drop(&self, x: &mut [f32], y: &[f32], dropout: Dropout) -> Result<()> {
        same(y.len(), x.len())?;
        rows::copy_dropped(x, y, dropout);
        Ok(())
    }

    fn drop_in_place(&self, x: &mut [f32], dropout: Dropout) -> Result<()> {
        rows::drop_all(x, Some(dropout));
        Ok(())
    }

    fn gather(&self, x: &mut [f32], table: &Held, ids: &Arc<[u32]>, add: bool) -> Result<()> {
        gather::gather(x, table, ids, add)
    }

    fn gather_rows(&self, out: &mut [f32], x: In<Cpu>, ids: &Arc<[u32]>) -> Result<()> {
        gather::gather_rows(out, view(x), ids)
    }

    fn scatter(&self, sum: Out<Cpu>, grouped: &Grouped<Cpu>, g: &[f32]) -> Result<()> {
        timed("embeddings", || gather::scatter(view_mut(sum), grouped, g))
    }

    fn clear_rows(&self, x: Out<Cpu>, ids: &Arc<[u32]>) -> Result<()> {
        let mut x = view_mut(x);
        ids.iter().for_each(|&id| x.row(id as usize).fill(0.0));
        Ok(())
    }

    fn pool(&self, out: &mut [f32], x: &[f32], texts: &Texts<Cpu>, pool: Pool) -> Result<()> {
        let d = texts.width(x.len(), out.len())?;
        timed("pooling", || pool::forward(out, x, &texts.offsets, d, pool));
        Ok(())
    }

    fn pool_backward(&self, dx: &mut [f32], g: &[f32], texts: &Texts<Cpu>, pool: Pool) -> Result<()> {
        let d = texts.width(dx.len(), g.len())?;
        timed("pooling", || pool::backward(dx, g, &texts.offsets, d, pool));
        Ok(())
    }

    fn cross_entropy(&self, loss: &mut [f32], logits: &mut [f32], targets: &[f32]) -> Result<()> {
        same(loss.len(), 1)?;
        let two = has_two_logits(logits.len(), targets.len())?;
        loss.fill(cross_entropy::cross_entropy(logits, targets, two));
        Ok(())
    }

    fn sums_of_squares(&self, all: &[(In<Cpu>, Option<&Arc<[u32]>>)]) -> Result<Vec<f64>> {
        let of_one = |&(x, rows): &(In<Cpu>, Option<&Arc<[u32]>>)| match rows {
            Some(rows) => Ok(squares::of_rows(view(x), rows)),
            None => Ok(sum_of_squares(x.contiguous()?)),
        };
        all.iter().map(of_one).collect()
    }

    fn read_sums(&self, sums: &[Vec<f64>], scalars: &[&[f32]]) -> Result<(Vec<Vec<f64>>, Vec<f32>)> {
        scalars.iter().try_for_each(|scalar| same(scalar.len(), 1))?;
        Ok((sums.to_vec(), scalars.concat()))
    }

    fn state(&self, count: usize, moments: Moments, remainder: Vec<i16>) -> Result<adamw::State> {
        Ok(adamw::State::new(count, moments, remainder))
    }

    fn state_bytes(state: &adamw::State) -> usize {
        state.bytes()
    }

    fn state_to_host<'a>(&self, state: &'a adamw::State) -> Result<Cow<'a, adamw::State>> {
        Ok(Cow::Borrowed(state))
    }

    fn state_from_host(&self, state: adamw::State) -> Result<adamw::State> {
        Ok(state)
    }

    fn adamw(&self, weight: &Tensor, gradient: &[f32], state: &mut adamw::State, step: &Step) -> Result<()> {
        adamw::step(weight, gradient, state, step)
    }
}

#[cfg(test)]
mod tests {
    crate::conforms!(crate::Cpu);
}
