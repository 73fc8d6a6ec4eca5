//! Blocks of a transformer as one operation in candle's graph, with their backward written by hand.
//!
//! What `block.rs` says in single operations is done here on slices: each product reads and writes
//! its columns in place, biases, dropout and residuals go into one pass, and gradients of weights go
//! straight to where they are summed. In the graph all blocks are one node, so that candle makes
//! no zeros, sums and copies for the hundreds in between. The two are held to one another in
//! `tests.rs`. A block with LoRA, in bf16, or with norms over its heads is left to `block.rs`.

mod attention;
mod embeddings;
mod layer;
mod mlp;
mod rows;
mod softmax;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

pub(crate) use self::embeddings::{embed, embeddings_fit};
use self::{
    attention::Over,
    layer::{Norm, Values, backward_input, backward_weights, forward as linear, normed},
    rows::Dropout,
};
use crate::{
    Mode,
    block::{Block, MlpInputs, Order, Projections},
    kernels::{Buffer, Products, View, ViewMut, buffer},
    layers::Linear,
    ops::{Rotation, drop_all},
    packed::Packed,
    timing::timed,
};

/// Whether a block can be one operation on x.
pub(crate) fn fits(block: &Block, x: &Tensor) -> bool {
    let plain = |layer: &Linear| layer.lora.is_none() && layer.weight.values().dtype() == DType::F32;
    let inputs = match &block.attention.inputs {
        Projections::Fused(qkv) => plain(qkv),
        Projections::Apart(all) => all.iter().all(plain),
    };
    let mlp = match &block.mlp.inputs {
        MlpInputs::Plain(layer) | MlpInputs::GatedFused(layer) => plain(layer),
        MlpInputs::Gated { gate, up } => plain(gate) && plain(up),
    };
    let outputs = plain(&block.attention.output) && plain(&block.mlp.output);
    x.dtype() == DType::F32 && inputs && mlp && outputs && block.attention.head_norms.is_none()
}

/// Blocks one after another, each with its mode: x and the result `[total, hidden]`, as `Block::forward`.
/// They are one node, since between two nodes candle makes zeros, a sum and a copy of every gradient.
pub(crate) fn blocks(blocks: &[(&Arc<Block>, Mode)], x: &Tensor, packed: &Packed) -> Result<Tensor> {
    let (total, _) = x.dims2()?;
    if packed.offsets.last().is_none_or(|&last| last as usize != total) || !packed.offsets.is_sorted() {
        bail!("{total} tokens cannot be parted into texts that end at {:?}", packed.offsets.last());
    }
    let block = |&(block, mode): &(&Arc<Block>, Mode)| {
        let rotation = block.attention.rotation.and_then(|which| packed.rotations.get(which)).cloned();
        let heads = block.attention.heads;
        if rotation.as_ref().is_some_and(|rotation| !rotation.fits(total, heads.d)) {
            bail!("the rotation is not for {total} tokens with heads of {}", heads.d);
        }
        Ok(BlockOp { block: Arc::clone(block), offsets: packed.offsets.clone(), rotation, mode })
    };
    let keeps = x.track_op() && blocks.iter().all(|(_, mode)| mode.tracks());
    let blocks = blocks.iter().map(block).collect::<Result<_>>()?;
    x.contiguous()?.apply_op1(BlocksOp { blocks, keeps, kept: Mutex::default() })
}

struct BlocksOp {
    blocks: Vec<BlockOp>,
    /// Whether there will be a backward.
    keeps: bool,
    /// From the forward for the backward: what each block has kept, and what all but the first have read.
    kept: Mutex<Option<(Vec<Kept>, Vec<Buffer>)>>,
}

struct BlockOp {
    block: Arc<Block>,
    offsets: Arc<[u32]>,
    rotation: Option<Rotation>,
    mode: Mode,
}

/// What the backward needs of the forward, each `[total, …]`.
struct Kept {
    qkv: Buffer,
    /// Of the softmax of attention.
    softmax: Buffer,
    /// What attention gives, before its output layer.
    attended: Buffer,
    /// After attention and its residual, before any norm of it.
    middle: Buffer,
    /// What the feed-forward block reads.
    mlp_input: Buffer,
    /// Before the activation.
    inner: Buffer,
    /// After the feed-forward block and its residual, where a norm follows.
    last: Buffer,
}

impl BlockOp {
    // The places of dropout are those of `block.rs`, so that both drop the same elements.

    fn attention_dropout(&self) -> Dropout {
        self.mode.at(2).dropout(self.block.attention_dropout)
    }

    fn inner_dropout(&self) -> Dropout {
        self.mode.at(3).at(3).dropout(self.block.mlp.dropout)
    }

    fn mlp_dropout(&self) -> Dropout {
        self.mode.at(4).dropout(self.block.mlp_dropout)
    }

    fn over(&self) -> Over<'_> {
        let attention = &self.block.attention;
        let dropout = self.mode.at(1).at(5).dropout(attention.dropout);
        Over { offsets: &self.offsets, heads: attention.heads, span: attention.span, dropout }
    }

    /// The layers that give queries, keys and values.
    fn projections(&self) -> Vec<&Linear> {
        match &self.block.attention.inputs {
            Projections::Fused(qkv) => vec![qkv],
            Projections::Apart(all) => all.iter().collect(),
        }
    }

    /// The layers that the feed-forward block begins with, and whether there is a gate.
    fn mlp_inputs(&self) -> (Vec<&Linear>, bool) {
        match &self.block.mlp.inputs {
            MlpInputs::Plain(up) => (vec![up], false),
            MlpInputs::Gated { gate, up } => (vec![gate, up], true),
            MlpInputs::GatedFused(both) => (vec![both], true),
        }
    }

    /// Features between the two layers of the feed-forward block.
    fn inner_width(&self) -> Result<usize> {
        self.block.mlp.output.weight.values().dim(1)
    }

    /// The result into y.
    fn forward(&self, x: &[f32], y: &mut [f32], hidden: usize) -> Result<Kept> {
        let block = &self.block;
        let n = x.len() / hidden.max(1);
        let attention_norm = block.attention_norm.as_ref().map(Norm::of).transpose()?;
        let mlp_norm = Norm::of(&block.mlp_norm)?;
        let first = block.order == Order::NormFirst;

        // Attention.
        let input = attention_norm.as_ref().filter(|_| first).map(|norm| normed(norm, x));
        let read = View::new(input.as_deref().unwrap_or(x), hidden);
        let heads = block.attention.heads;
        let width = (heads.query + 2 * heads.key_value) * heads.d;
        let mut qkv = side_by_side(self.mode.products(), &self.projections(), read, width)?;
        if let Some(rotation) = &self.rotation {
            rotation.turn(&mut qkv, width, heads.query + heads.key_value, heads.d, 1.0);
        }
        drop(input);
        let mut attended = buffer(n * heads.query * heads.d);
        let mut softmax = buffer(self.over().kept());
        timed("attention", || self.over().forward(&qkv, &mut attended, &mut softmax))?;
        let mut middle = buffer(n * hidden);
        self.output(&block.attention.output, &attended, &mut middle, self.attention_dropout(), x)?;

        // Feed-forward.
        let mlp_input = match (first, &attention_norm) {
            (true, _) => normed(&mlp_norm, &middle),
            (false, Some(norm)) => normed(norm, &middle),
            (false, None) => copy(&middle),
        };
        let (layers, gated) = self.mlp_inputs();
        let d = self.inner_width()?;
        let inner_width = if gated { 2 * d } else { d };
        let inner = side_by_side(self.mode.products(), &layers, View::new(&mlp_input, hidden), inner_width)?;
        let mut activated = buffer(n * d);
        timed("activation", || mlp::forward(block.mlp.activation, gated, &inner, &mut activated, d));
        drop_all(&mut activated, self.inner_dropout());
        let residual = if first { &middle } else { &mlp_input };
        let mut last = buffer(n * hidden);
        self.output(&block.mlp.output, &activated, &mut last, self.mlp_dropout(), residual)?;
        if first {
            y.copy_from_slice(&last);
            last = Buffer::default();
        } else {
            mlp_norm.forward(&last, y);
        }
        Ok(Kept { qkv, softmax, attended, middle, mlp_input, inner, last })
    }

    /// `out = dropout(x wᵀ + b) + residual`
    fn output(
        &self,
        layer: &Linear,
        x: &[f32],
        out: &mut [f32],
        dropped: Dropout,
        residual: &[f32],
    ) -> Result<()> {
        let [hidden, width] = [layer.weight.values().dim(0)?, layer.weight.values().dim(1)?];
        linear(self.mode.products(), layer, View::new(x, width), &mut ViewMut::new(out, hidden))?;
        let bias = layer.bias.as_ref().map(|bias| Values::of(bias.values())).transpose()?;
        timed("biases and residuals", || {
            rows::close(out, bias.as_ref().map_or(&[][..], Values::slice), dropped, residual, hidden);
        });
        Ok(())
    }

    /// The gradient of x into dx, with that of the result; those of the weights go to where they are summed.
    fn backward(&self, x: &[f32], mut kept: Kept, grad: &[f32], dx: &mut [f32], hidden: usize) -> Result<()> {
        let block = &self.block;
        let products = self.mode.products();
        let n = x.len() / hidden.max(1);
        let attention_norm = block.attention_norm.as_ref().map(Norm::of).transpose()?;
        let mlp_norm = Norm::of(&block.mlp_norm)?;
        let first = block.order == Order::NormFirst;

        // Of the sum of the feed-forward block's result and its residual.
        let mut to_sum = buffer(n * hidden);
        if first {
            to_sum.copy_from_slice(grad);
        } else {
            mlp_norm.backward(&kept.last, grad, &mut to_sum)?;
        }
        let d = self.inner_width()?;
        let mut to_inner = buffer(n * d);
        let dropped = through_dropout(&to_sum, self.mlp_dropout());
        let g = View::new(dropped.as_deref().unwrap_or(&to_sum), hidden);
        backward_input(products, &block.mlp.output, g, &mut ViewMut::new(&mut to_inner, d), false)?;
        drop_all(&mut to_inner, self.inner_dropout());
        let (layers, gated) = self.mlp_inputs();
        // Afterwards `to_inner` is what the output layer had read.
        timed("activation", || {
            mlp::backward(block.mlp.activation, gated, &mut kept.inner, &mut to_inner, d);
        });
        drop_all(&mut to_inner, self.inner_dropout());
        backward_weights(products, &block.mlp.output, View::new(&to_inner, d), g)?;
        drop((dropped, to_inner));
        let inner = View::new(&kept.inner, if gated { 2 * d } else { d });
        let read = View::new(&kept.mlp_input, hidden);
        // Norms last: on top of what comes through the residual; first: through the norm.
        let mut to_input = if first { buffer(n * hidden) } else { to_sum };
        backward_side_by_side(products, &layers, read, inner, &mut to_input, !first)?;
        let mut to_middle = buffer(n * hidden);
        match (first, &attention_norm) {
            (true, _) => {
                mlp_norm.backward(&kept.middle, &to_input, &mut to_middle)?;
                rows::add(&mut to_middle, grad);
            }
            (false, Some(norm)) => norm.backward(&kept.middle, &to_input, &mut to_middle)?,
            (false, None) => to_middle.copy_from_slice(&to_input),
        }
        drop(to_input);

        // Attention.
        let heads = block.attention.heads;
        let (width, out_width) = ((heads.query + 2 * heads.key_value) * heads.d, heads.query * heads.d);
        let dropped = through_dropout(&to_middle, self.attention_dropout());
        let g = View::new(dropped.as_deref().unwrap_or(&to_middle), hidden);
        backward_weights(products, &block.attention.output, View::new(&kept.attended, out_width), g)?;
        let mut to_attended = buffer(n * out_width);
        backward_input(
            products,
            &block.attention.output,
            g,
            &mut ViewMut::new(&mut to_attended, out_width),
            false,
        )?;
        drop(dropped);
        let mut to_qkv = buffer(n * width);
        timed("attention", || {
            let forward = [&kept.attended[..], &kept.softmax, &to_attended];
            self.over().backward(&kept.qkv, forward, &mut to_qkv)
        })?;
        drop(to_attended);
        if let Some(rotation) = &self.rotation {
            rotation.turn(&mut to_qkv, width, heads.query + heads.key_value, heads.d, -1.0);
        }
        let norm = attention_norm.as_ref().filter(|_| first);
        let input = norm.map(|norm| normed(norm, x));
        let read = View::new(input.as_deref().unwrap_or(x), hidden);
        // The gradient of what attention reads: x itself, besides the residual, or its norm.
        let mut to_norm = norm.map(|_| buffer(n * hidden));
        if to_norm.is_none() {
            dx.copy_from_slice(&to_middle);
        }
        let (out, add) = match &mut to_norm {
            Some(to_norm) => (&mut to_norm[..], false),
            None => (&mut *dx, true),
        };
        backward_side_by_side(products, &self.projections(), read, View::new(&to_qkv, width), out, add)?;
        if let (Some(norm), Some(to_norm)) = (norm, &to_norm) {
            norm.backward(x, to_norm, dx)?;
            rows::add(dx, &to_middle);
        }
        Ok(())
    }
}

/// A gradient through the mask of dropout; none where nothing is dropped.
fn through_dropout(grad: &[f32], dropout: Dropout) -> Option<Buffer> {
    let (p, seed) = dropout?;
    let mut dropped = buffer(grad.len());
    rows::copy_dropped(&mut dropped, grad, p, seed);
    Some(dropped)
}

fn copy(values: &[f32]) -> Buffer {
    let mut copy = buffer(values.len());
    copy.copy_from_slice(values);
    copy
}

/// What layers give for the same x `[n, in]`, beside one another in rows of `width` features.
fn side_by_side(products: Products, layers: &[&Linear], x: View, width: usize) -> Result<Buffer> {
    let mut out = buffer(x.row_count() * width);
    let mut rest = ViewMut::new(&mut out, width);
    let mut biases = Vec::with_capacity(width);
    for layer in layers {
        let columns = layer.weight.values().dim(0)?;
        let (mut part, after) = rest.split_columns(columns);
        linear(products, layer, x, &mut part)?;
        match &layer.bias {
            Some(bias) => biases.extend_from_slice(Values::of(bias.values())?.slice()),
            None => biases.resize(biases.len() + columns, 0.0),
        }
        rest = after;
    }
    if layers.iter().any(|layer| layer.bias.is_some()) {
        timed("biases and residuals", || rows::add_bias(&mut out, &biases));
    }
    Ok(out)
}

/// The gradient of x into dx, or added to it, with that of what the layers gave, g; those of the
/// weights to where they are summed.
fn backward_side_by_side(
    products: Products,
    layers: &[&Linear],
    x: View,
    g: View,
    dx: &mut [f32],
    add: bool,
) -> Result<()> {
    let mut from = 0;
    for (place, layer) in layers.iter().enumerate() {
        let [columns, hidden] = [layer.weight.values().dim(0)?, layer.weight.values().dim(1)?];
        let g = g.columns(from..from + columns);
        backward_weights(products, layer, x, g)?;
        backward_input(products, layer, g, &mut ViewMut::new(dx, hidden), add || place > 0)?;
        from += columns;
    }
    Ok(())
}

impl BlocksOp {
    fn forward(&self, x: &[f32], hidden: usize) -> Result<Vec<f32>> {
        let mut y = vec![0f32; x.len()];
        let (mut all_kept, mut between) = (Vec::with_capacity(self.blocks.len()), Vec::<Buffer>::new());
        for (place, block) in self.blocks.iter().enumerate() {
            let read = between.last().map_or(x, |read| read);
            if place + 1 == self.blocks.len() {
                let kept = block.forward(read, &mut y, hidden)?;
                all_kept.extend(self.keeps.then_some(kept));
            } else {
                let mut next = buffer(x.len());
                let kept = block.forward(read, &mut next, hidden)?;
                if self.keeps {
                    all_kept.push(kept);
                } else {
                    between.clear();
                }
                between.push(next);
            }
        }
        if self.keeps {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((all_kept, between));
        }
        Ok(y)
    }

    fn backward(&self, x: &[f32], grad: &[f32], hidden: usize) -> Result<Vec<f32>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut all_kept, mut between)) = kept else {
            bail!("blocks have one backward, after their own forward")
        };
        let mut dx = vec![0f32; x.len()];
        let mut above: Option<Buffer> = None;
        for block in self.blocks.iter().rev() {
            let Some(kept) = all_kept.pop() else { bail!("a block has kept nothing") };
            let g = above.as_deref().unwrap_or(grad);
            match between.pop() {
                Some(read) => {
                    let mut next = buffer(x.len());
                    block.backward(&read, kept, g, &mut next, hidden)?;
                    above = Some(next);
                }
                None => block.backward(x, kept, g, &mut dx, hidden)?,
            }
        }
        Ok(dx)
    }
}

impl CustomOp1 for BlocksOp {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(x), Some((from, to))) = (x, layout.contiguous_offsets()) else {
            bail!("blocks as one operation read contiguous f32")
        };
        let (_, hidden) = layout.shape().dims2()?;
        Ok((CpuStorage::F32(self.forward(&x[from..to], hidden)?), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, hidden) = x.dims2()?;
        let grad = grad.contiguous()?;
        let dx = self.backward(Values::of(x)?.slice(), Values::of(&grad)?.slice(), hidden)?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
