//! One layer of a transformer, forward and backward by hand, on any device.

use candle_core::Result;
use compute::{Backend, Closing, Dropout, Heads, LowRank, Matrix};

use super::{
    kept::{Closed, Forward, Kept, LowsOfBlock, Normed},
    linear::{self, Inputs, side_by_side},
    norm,
    packed::OnDevice,
};
use crate::{
    Gradients, Mode,
    block::{Block, MlpInputs, Order, Projections},
    layers::{Linear, Norm},
};

/// A block in one pass.
pub(super) struct Pass<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) block: &'a Block,
    pub(super) batch: &'a OnDevice<B>,
    pub(super) mode: Mode,
}

/// The norm of what a half of a block gives, a layer that reads it, and those of which it makes what LoRA has in its midst.
struct Follows<'a> {
    norm: &'a Norm,
    reader: &'a Linear,
    layers: &'a [(&'a Linear, Mode)],
}

impl<B: Backend> Pass<'_, B> {
    // The places of dropout are those of the oracle in `oracle.rs`, so that both drop the same elements.

    fn attention_dropout(&self) -> Option<Dropout> {
        self.mode.at(2).dropout(self.block.attention_dropout)
    }

    fn probability_dropout(&self) -> Option<Dropout> {
        self.mode.at(1).at(5).dropout(self.block.attention.dropout)
    }

    fn inner_dropout(&self) -> Option<Dropout> {
        self.mode.at(3).at(3).dropout(self.block.mlp.dropout)
    }

    fn mlp_dropout(&self) -> Option<Dropout> {
        self.mode.at(4).dropout(self.block.mlp_dropout)
    }

    fn attention_output_mode(&self) -> Mode {
        self.mode.at(1).at(4)
    }

    fn mlp_output_mode(&self) -> Mode {
        self.mode.at(3).at(4)
    }

    /// The layers that give queries, keys and values.
    fn projections(&self) -> Vec<(&Linear, Mode)> {
        let mode = self.mode.at(1);
        match &self.block.attention.inputs {
            Projections::Fused(qkv) => vec![(qkv, mode.at(1))],
            Projections::Apart(all) => all.iter().zip(1..).map(|(layer, at)| (layer, mode.at(at))).collect(),
        }
    }

    /// The layers that the feed-forward block begins with, and whether there is a gate.
    fn mlp_inputs(&self) -> (Vec<(&Linear, Mode)>, bool) {
        let mode = self.mode.at(3);
        match &self.block.mlp.inputs {
            MlpInputs::Plain(up) => (vec![(up, mode.at(1))], false),
            MlpInputs::Gated { gate, up } => (vec![(gate, mode.at(1)), (up, mode.at(2))], true),
            MlpInputs::GatedFused(both) => (vec![(both, mode.at(1))], true),
        }
    }

    /// Features between the two layers of the feed-forward block.
    fn inner_width(&self) -> Result<usize> {
        Ok(self.block.mlp.output.weight.held().dims()?.1)
    }

    fn matrix(&self, like: &Matrix<B>, cols: usize) -> Result<Matrix<B>> {
        Matrix::new(self.backend, like.rows, cols)
    }

    /// A matrix that a layer reads.
    fn read_by(&self, like: &Matrix<B>, cols: usize, layer: &Linear) -> Result<Matrix<B>> {
        let mut matrix = self.matrix(like, cols)?;
        self.will_be_read(&mut matrix, layer)?;
        Ok(matrix)
    }

    /// What is written to a matrix next is what a layer multiplies, forward or backward.
    fn will_be_read(&self, matrix: &mut Matrix<B>, layer: &Linear) -> Result<()> {
        self.backend.read_by(&mut matrix.buffer, layer.weight.held(), self.mode.products())
    }

    fn normed(&self, norm: &Norm, x: &Matrix<B>) -> Result<Matrix<B>> {
        let mut y = self.matrix(x, x.cols)?;
        norm::forward(self.backend, norm, x, &mut y, Vec::new())?;
        Ok(y)
    }

    /// Norms each head of the queries and of the keys by itself; they as they were.
    fn norm_heads(&self, norms: &[Norm; 2], qkv: &mut Matrix<B>) -> Result<[Matrix<B>; 2]> {
        let mut of = |norm: &Norm, columns: std::ops::Range<usize>| {
            let mut before = self.matrix(qkv, columns.len())?;
            self.backend.copy(before.all_mut(), qkv.columns(columns.clone()))?;
            let normed = self.normed(norm, &before)?;
            self.backend.copy(qkv.columns_mut(columns), normed.all())?;
            Ok::<_, candle_core::Error>(before)
        };
        let [queries, keys] = head_columns(self.block.attention.heads);
        Ok([of(&norms[0], queries)?, of(&norms[1], keys)?])
    }

    /// Of x `[total, hidden]`, with its norm, where the block begins with one and that is there already. `next` is the
    /// block that reads the result.
    pub(super) fn forward(
        &self,
        x: &Matrix<B>,
        normed: Option<Normed<B>>,
        next: Option<&Pass<B>>,
    ) -> Result<Forward<B>> {
        let Pass { backend, block, batch, .. } = *self;
        let attention = &block.attention;
        let first = block.order == Order::NormFirst;

        // Attention.
        let layers = self.projections();
        let input = match (block.first_norm(), normed) {
            (Some(norm), None) => {
                let mut values = self.read_by(x, x.cols, block.first_layer())?;
                let mut lows = linear::lows(backend, &layers, x.rows)?;
                norm::forward(backend, norm, x, &mut values, linear::thin(&layers, &mut lows))?;
                Some(Normed { values, lows })
            }
            (Some(_), normed) => normed,
            (None, _) => None,
        };
        let heads = attention.heads;
        let (input, lows) = Normed::parts(input);
        let read = input.as_ref().unwrap_or(x);
        let projections = lows.map_or_else(|| linear::lows_of(backend, &layers, read.all()), Ok)?;
        let mut qkv = side_by_side(backend, &layers, read.all(), &projections, heads.width())?;
        drop(input);
        let mut added = linear::left(&layers, &projections);
        let rotation = attention.rotation.and_then(|which| batch.angles.get(which));
        if rotation.is_none() || attention.head_norms.is_some() {
            added.take().map_or(Ok(()), |added| added.add_to(backend, qkv.all_mut()))?;
        }
        let before_norms =
            attention.head_norms.as_ref().map(|norms| self.norm_heads(norms, &mut qkv)).transpose()?;
        if let Some(angles) = rotation {
            backend.rotate(qkv.all_mut(), added, angles, heads.query + heads.key_value, heads.d, false)?;
        }
        let mut attended = self.read_by(x, heads.query * heads.d, &attention.output)?;
        let keeps = backend.attention_keeps(x.rows, heads);
        let mut softmax = backend.buffer(keeps)?;
        let (out, kept) = (attended.all_mut().values, B::write(&mut softmax, 0..keeps));
        let (span, dropout, products) = (attention.span, self.probability_dropout(), self.mode.products());
        backend.attention(out, kept, qkv.all().values, &batch.texts, heads, span, dropout, products)?;
        let mode = self.attention_output_mode();
        let (layers, gated) = self.mlp_inputs();
        let norm = if first { Some(&block.mlp_norm) } else { block.attention_norm.as_ref() };
        let norm =
            norm.zip(layers.first()).map(|(norm, (reader, _))| Follows { norm, reader, layers: &layers });
        let Closed { out: middle, normed, low: attention_output } =
            self.output(&attention.output, &attended, mode, self.attention_dropout(), x, norm)?;
        // It is kept as the backward reads it.
        backend.read_by_no_more(&mut attended.buffer);

        // Feed-forward.
        let d = self.inner_width()?;
        let width = if gated { 2 * d } else { d };
        let (mlp_input, lows) = Normed::parts(normed);
        let read = mlp_input.as_ref().unwrap_or(&middle);
        let mlp_inputs = lows.map_or_else(|| linear::lows_of(backend, &layers, read.all()), Ok)?;
        let mut inner = side_by_side(backend, &layers, read.all(), &mlp_inputs, width)?;
        let mut activated = self.read_by(x, d, &block.mlp.output)?;
        let added = linear::left(&layers, &mlp_inputs);
        let (u, y) = (inner.all_mut().values, activated.all_mut().values);
        backend.activation(block.mlp.activation, gated, y, u, added, d)?;
        if let Some(dropout) = self.inner_dropout() {
            backend.drop_in_place(activated.all_mut().values, dropout)?;
        }
        let residual = if first { &middle } else { read };
        let readers = next.map_or_else(Vec::new, Pass::projections);
        let after = next.and_then(|next| {
            let reader = next.block.first_layer();
            next.block.first_norm().map(|norm| Follows { norm, reader, layers: &readers })
        });
        // Norms last, the next block reads what the norm gives; its matrices are held as this one's are. As it may be
        // computed again from there, it makes itself what LoRA has in its midst.
        let last = Follows { norm: &block.mlp_norm, reader: &block.mlp.output, layers: &[] };
        let norm = if first { after } else { Some(last) };
        let mode = self.mlp_output_mode();
        let Closed { out: last, normed, low: mlp_output } =
            self.output(&block.mlp.output, &activated, mode, self.mlp_dropout(), residual, norm)?;
        let (result, normed, last) = match normed {
            Some(Normed { values, .. }) if !first => (values, None, Some(last)),
            normed => (last, normed, None),
        };
        let lows = LowsOfBlock { projections, attention_output, mlp_inputs, mlp_output };
        let kept = Kept { qkv, before_norms, softmax, attended, middle, inner, last, lows };
        Ok(Forward { result, normed, kept })
    }

    /// `dropout(x wᵀ + b) + residual`, and the norm of that, if one follows, which another layer reads.
    fn output(
        &self,
        layer: &Linear,
        x: &Matrix<B>,
        mode: Mode,
        dropout: Option<Dropout>,
        residual: &Matrix<B>,
        follows: Option<Follows>,
    ) -> Result<Closed<B>> {
        let backend = self.backend;
        let mut out = self.matrix(x, residual.cols)?;
        linear::forward(backend, layer, x.all(), out.all_mut(), mode)?;
        let low = linear::lows_of(backend, &[(layer, mode)], x.all())?.pop().flatten();
        let bias = layer.bias.as_ref().map(|bias| bias.values()).transpose()?;
        let added = linear::added(layer, low.as_ref(), mode);
        let (to, width) = (out.all_mut().values, residual.cols);
        let closing = Closing { added, bias: bias.as_ref(), dropout, residual: residual.all().values };
        let Some(Follows { norm, reader, layers }) = follows else {
            backend.close(to, closing, width)?;
            return Ok(Closed { out, normed: None, low });
        };
        let mut values = self.read_by(x, width, reader)?;
        let mut lows = linear::lows(backend, layers, x.rows)?;
        let (y, thin) = (values.all_mut().values, linear::thin(layers, &mut lows));
        norm::with(norm, |norm| backend.close_and_norm(to, closing, norm, y, thin))?;
        Ok(Closed { out, normed: Some(Normed { values, lows }), low })
    }

    /// The gradient of x, where it is wanted, with that of the result; those of the weights go to where they are summed.
    pub(super) fn backward(
        &self,
        x: &Matrix<B>,
        mut kept: Kept<B>,
        mut grad: Matrix<B>,
        wanted: bool,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<Matrix<B>>> {
        let Pass { backend, block, batch, .. } = *self;
        let first = block.order == Order::NormFirst;

        // Of the sum of the feed-forward block's result and its residual.
        let mut to_sum = match &kept.last {
            Some(last) => self.norm_backward(&block.mlp_norm, last, &mut grad, false, gradients)?,
            None => grad,
        };
        let d = self.inner_width()?;
        let dropped = self.through_dropout(&to_sum, self.mlp_dropout())?;
        let g = dropped.as_ref().unwrap_or(&to_sum).all();
        let (output, mode) = (&block.mlp.output, self.mlp_output_mode());
        let mut to_inner = self.matrix(x, d)?;
        let to_low = linear::backward_input(backend, output, g, Some((&mut to_inner, false)), mode)?;
        let mut added = linear::added_back(backend, output, to_low.as_ref(), mode, &mut to_inner)?;
        if let Some(dropout) = self.inner_dropout() {
            self.add_now(added.take(), &mut to_inner)?;
            backend.drop_in_place(to_inner.all_mut().values, dropout)?;
        }
        let (layers, gated) = self.mlp_inputs();
        if let Some((layer, _)) = layers.first() {
            self.will_be_read(&mut kept.inner, layer)?;
        }
        // Afterwards `to_inner` is what the output layer had read.
        let (u, y) = (kept.inner.all_mut().values, to_inner.all_mut().values);
        backend.activation_backward(block.mlp.activation, gated, u, y, added, d)?;
        if let Some(dropout) = self.inner_dropout() {
            backend.drop_in_place(to_inner.all_mut().values, dropout)?;
        }
        let lows = [kept.lows.mlp_output.as_ref(), to_low.as_ref()];
        linear::backward_weights(backend, output, to_inner.all(), g, lows, gradients, mode)?;
        drop((dropped, to_inner, to_low));
        let inputs = Inputs { layers: &layers, g: kept.inner.all(), lows: &kept.lows.mlp_inputs };
        let mut to_middle = if first {
            self.through_norm(&block.mlp_norm, &kept.middle, &inputs, &mut to_sum, gradients)?;
            to_sum
        } else {
            // On top of what comes through the residual.
            let to_lows = inputs.backward(backend, Some((&mut to_sum, true)))?;
            let left = inputs.left(backend, &to_lows, &mut to_sum)?;
            self.add_now(left, &mut to_sum)?;
            let norm = block.attention_norm.as_ref();
            let through = |norm| self.norm_backward(norm, &kept.middle, &mut to_sum, true, gradients);
            let through = norm.map(through).transpose()?;
            // In place of its gradient stands what the layers had read.
            let read = if through.is_some() { &to_sum } else { &kept.middle };
            inputs.backward_weights(backend, read.all(), &to_lows, gradients)?;
            through.unwrap_or(to_sum)
        };

        // Attention.
        let heads = block.attention.heads;
        let dropped = self.through_dropout(&to_middle, self.attention_dropout())?;
        let g = dropped.as_ref().unwrap_or(&to_middle).all();
        let (output, mode) = (&block.attention.output, self.attention_output_mode());
        let mut to_attended = self.matrix(x, heads.query * heads.d)?;
        let to_low = linear::backward_input(backend, output, g, Some((&mut to_attended, false)), mode)?;
        let added = linear::added_back(backend, output, to_low.as_ref(), mode, &mut to_attended)?;
        self.add_now(added, &mut to_attended)?;
        let lows = [kept.lows.attention_output.as_ref(), to_low.as_ref()];
        linear::backward_weights(backend, output, kept.attended.all(), g, lows, gradients, mode)?;
        drop((dropped, to_low));
        let mut to_qkv = self.matrix(x, heads.width())?;
        let keeps = backend.attention_keeps(x.rows, heads);
        let forward = [kept.attended.all().values, B::read(&kept.softmax, 0..keeps)];
        let (g, qkv) = (to_attended.all().values, kept.qkv.all().values);
        let (span, dropout, products) =
            (block.attention.span, self.probability_dropout(), self.mode.products());
        let out = to_qkv.all_mut().values;
        backend.attention_backward(out, qkv, forward, g, &batch.texts, heads, span, dropout, products)?;
        drop(to_attended);
        if let Some(angles) = block.attention.rotation.and_then(|which| batch.angles.get(which)) {
            self.will_be_read(&mut to_qkv, block.first_layer())?;
            backend.rotate(to_qkv.all_mut(), None, angles, heads.query + heads.key_value, heads.d, true)?;
        }
        if let (Some(norms), Some(before)) = (&block.attention.head_norms, &kept.before_norms) {
            self.norm_heads_backward(norms, before, &mut to_qkv, gradients)?;
        }
        let layers = self.projections();
        let inputs = Inputs { layers: &layers, g: to_qkv.all(), lows: &kept.lows.projections };
        // What attention reads is x itself, besides the residual, or its norm, whose weights may want a gradient, too.
        match block.first_norm() {
            Some(norm) if wanted || norm::learns(norm) => {
                self.through_norm(norm, x, &inputs, &mut to_middle, gradients)?;
            }
            norm => {
                let read = norm.map(|norm| self.normed(norm, x)).transpose()?;
                let to_lows = inputs.backward(backend, wanted.then_some((&mut to_middle, true)))?;
                if wanted {
                    let left = inputs.left(backend, &to_lows, &mut to_middle)?;
                    self.add_now(left, &mut to_middle)?;
                }
                inputs.backward_weights(backend, read.as_ref().unwrap_or(x).all(), &to_lows, gradients)?;
            }
        }
        Ok(wanted.then_some(to_middle))
    }

    /// The gradient of x through its norm and the layers that read that, added to `to_x`, and those of all their weights.
    fn through_norm(
        &self,
        norm: &Norm,
        x: &Matrix<B>,
        inputs: &Inputs<B>,
        to_x: &mut Matrix<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let backend = self.backend;
        let mut to_read = self.matrix(x, x.cols)?;
        let to_lows = inputs.backward(backend, Some((&mut to_read, false)))?;
        let left = inputs.left(backend, &to_lows, &mut to_read)?;
        // The next to read it is the layer below, which ends what the residual goes around.
        self.will_be_read(to_x, &self.block.attention.output)?;
        norm::backward(backend, norm, x, (&mut to_read, left), true, (to_x, true), gradients)?;
        // What the layers had read stands in place of its gradient.
        inputs.backward_weights(backend, to_read.all(), &to_lows, gradients)
    }

    /// Adds what is left of a gradient, where no operation comes next that does so.
    fn add_now(&self, added: Option<LowRank<B>>, to: &mut Matrix<B>) -> Result<()> {
        added.map_or(Ok(()), |added| added.add_to(self.backend, to.all_mut()))
    }

    fn norm_backward(
        &self,
        norm: &Norm,
        x: &Matrix<B>,
        g: &mut Matrix<B>,
        again: bool,
        gradients: &mut Gradients<B>,
    ) -> Result<Matrix<B>> {
        let mut dx = self.matrix(x, x.cols)?;
        norm::backward(self.backend, norm, x, (g, None), again, (&mut dx, false), gradients)?;
        Ok(dx)
    }

    /// The gradients of queries and keys before the norms over their heads, in place of those after them.
    fn norm_heads_backward(
        &self,
        norms: &[Norm; 2],
        before: &[Matrix<B>; 2],
        to_qkv: &mut Matrix<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let columns = head_columns(self.block.attention.heads);
        for ((norm, before), columns) in norms.iter().zip(before).zip(columns) {
            let mut g = self.matrix(before, before.cols)?;
            self.backend.copy(g.all_mut(), to_qkv.columns(columns.clone()))?;
            let to_before = self.norm_backward(norm, before, &mut g, false, gradients)?;
            self.backend.copy(to_qkv.columns_mut(columns), to_before.all())?;
        }
        Ok(())
    }

    /// A gradient through the mask of dropout; none where nothing is dropped.
    fn through_dropout(&self, grad: &Matrix<B>, dropout: Option<Dropout>) -> Result<Option<Matrix<B>>> {
        let Some(dropout) = dropout else { return Ok(None) };
        let mut dropped = self.matrix(grad, grad.cols)?;
        self.backend.drop(dropped.all_mut().values, grad.all().values, dropout)?;
        Ok(Some(dropped))
    }
}

/// The columns of queries and those of keys.
fn head_columns(heads: Heads) -> [std::ops::Range<usize>; 2] {
    let (queries, keys) = (heads.query * heads.d, heads.key_value * heads.d);
    [0..queries, queries..queries + keys]
}
