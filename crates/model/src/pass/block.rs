//! One layer of a transformer, forward and backward by hand, on any device.

use candle_core::Result;
use compute::{Backend, Dropout, Heads, Matrix};

use super::{
    linear::{self, Lows, Part, backward_side_by_side, side_by_side},
    norm,
    packed::OnDevice,
};
use crate::{
    Gradients, Mode,
    block::{Block, MlpInputs, Order, Projections},
    layers::{Linear, Norm},
};

/// What the backward needs of the forward, each `[total, …]`.
pub(super) struct Kept<B: Backend> {
    qkv: Matrix<B>,
    /// Queries and keys before the norms over their heads, where there are any.
    before_norms: Option<[Matrix<B>; 2]>,
    /// Of the softmax of attention.
    softmax: B::Buffer,
    /// What attention gives, before its output layer.
    attended: Matrix<B>,
    /// After attention and its residual, before any norm of it.
    middle: Matrix<B>,
    /// What the feed-forward block reads.
    mlp_input: Matrix<B>,
    /// Before the activation.
    inner: Matrix<B>,
    /// After the feed-forward block and its residual, where a norm follows.
    last: Option<Matrix<B>>,
    lows: LowsOfBlock<B>,
}

/// What LoRA has in its midst.
struct LowsOfBlock<B: Backend> {
    projections: Lows<B>,
    attention_output: Option<Matrix<B>>,
    mlp_inputs: Lows<B>,
    mlp_output: Option<Matrix<B>>,
}

/// A block in one pass.
pub(super) struct Pass<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) block: &'a Block,
    pub(super) batch: &'a OnDevice<B>,
    pub(super) mode: Mode,
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

    fn copied(&self, x: &Matrix<B>) -> Result<Matrix<B>> {
        let mut copy = self.matrix(x, x.cols)?;
        self.backend.copy(copy.all_mut(), x.all())?;
        Ok(copy)
    }

    fn normed(&self, norm: &Norm, x: &Matrix<B>) -> Result<Matrix<B>> {
        let mut y = self.matrix(x, x.cols)?;
        norm::forward(self.backend, norm, x, &mut y)?;
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

    /// The result `[total, hidden]`, and what the backward needs.
    pub(super) fn forward(&self, x: &Matrix<B>) -> Result<(Matrix<B>, Kept<B>)> {
        let Pass { backend, block, batch, .. } = *self;
        let attention = &block.attention;
        let hidden = x.cols;
        let first = block.order == Order::NormFirst;

        // Attention.
        let input = block.attention_norm.as_ref().filter(|_| first);
        let input = input.map(|norm| self.normed(norm, x)).transpose()?;
        let read = input.as_ref().unwrap_or(x);
        let heads = attention.heads;
        let (mut qkv, projections) = side_by_side(backend, &self.projections(), read.all(), heads.width())?;
        drop(input);
        let before_norms =
            attention.head_norms.as_ref().map(|norms| self.norm_heads(norms, &mut qkv)).transpose()?;
        if let Some(angles) = attention.rotation.and_then(|which| batch.angles.get(which)) {
            backend.rotate(qkv.all_mut(), angles, heads.query + heads.key_value, heads.d, false)?;
        }
        let mut attended = self.matrix(x, heads.query * heads.d)?;
        let keeps = backend.attention_keeps(x.rows, heads);
        let mut softmax = backend.buffer(keeps)?;
        let (out, kept) = (attended.all_mut().values, B::write(&mut softmax, 0..keeps));
        let (span, dropout, products) = (attention.span, self.probability_dropout(), self.mode.products());
        backend.attention(out, kept, qkv.all().values, &batch.texts, heads, span, dropout, products)?;
        let mode = self.attention_output_mode();
        let (middle, attention_output) =
            self.output(&attention.output, &attended, mode, self.attention_dropout(), x)?;

        // Feed-forward.
        let mlp_input = match (first, &block.attention_norm) {
            (true, _) => self.normed(&block.mlp_norm, &middle)?,
            (false, Some(norm)) => self.normed(norm, &middle)?,
            (false, None) => self.copied(&middle)?,
        };
        let (layers, gated) = self.mlp_inputs();
        let d = self.inner_width()?;
        let width = if gated { 2 * d } else { d };
        let (inner, mlp_inputs) = side_by_side(backend, &layers, mlp_input.all(), width)?;
        let mut activated = self.matrix(x, d)?;
        let activation = block.mlp.activation;
        backend.activation(activation, gated, activated.all_mut().values, inner.all().values, d)?;
        if let Some(dropout) = self.inner_dropout() {
            backend.drop_in_place(activated.all_mut().values, dropout)?;
        }
        let residual = if first { &middle } else { &mlp_input };
        let mode = self.mlp_output_mode();
        let (last, mlp_output) =
            self.output(&block.mlp.output, &activated, mode, self.mlp_dropout(), residual)?;
        let (result, last) = match first {
            true => (last, None),
            false => {
                let mut result = self.matrix(x, hidden)?;
                norm::forward(backend, &block.mlp_norm, &last, &mut result)?;
                (result, Some(last))
            }
        };
        let lows = LowsOfBlock { projections, attention_output, mlp_inputs, mlp_output };
        Ok((result, Kept { qkv, before_norms, softmax, attended, middle, mlp_input, inner, last, lows }))
    }

    /// `dropout(x wᵀ + b) + residual`
    fn output(
        &self,
        layer: &Linear,
        x: &Matrix<B>,
        mode: Mode,
        dropout: Option<Dropout>,
        residual: &Matrix<B>,
    ) -> Result<(Matrix<B>, Option<Matrix<B>>)> {
        let mut out = self.matrix(x, residual.cols)?;
        let low = linear::forward(self.backend, layer, x.all(), Part::all(&mut out), mode)?;
        let bias = layer.bias.as_ref().map(|bias| bias.values()).transpose()?;
        let (width, residual) = (residual.cols, residual.all().values);
        self.backend.close(out.all_mut().values, bias.as_ref(), dropout, residual, width)?;
        Ok((out, low))
    }

    /// The gradient of x, where it is wanted, with that of the result; those of the weights go to where they are summed.
    pub(super) fn backward(
        &self,
        x: &Matrix<B>,
        mut kept: Kept<B>,
        grad: &Matrix<B>,
        wanted: bool,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<Matrix<B>>> {
        let Pass { backend, block, batch, .. } = *self;
        let hidden = x.cols;
        let first = block.order == Order::NormFirst;

        // Of the sum of the feed-forward block's result and its residual.
        let to_sum = match &kept.last {
            Some(last) => self.norm_backward(&block.mlp_norm, last, grad, gradients)?,
            None => self.copied(grad)?,
        };
        let d = self.inner_width()?;
        let dropped = self.through_dropout(&to_sum, self.mlp_dropout())?;
        let g = dropped.as_ref().unwrap_or(&to_sum).all();
        let (output, mode) = (&block.mlp.output, self.mlp_output_mode());
        let mut to_inner = self.matrix(x, d)?;
        let to_low = linear::backward_input(backend, output, g, Some((&mut to_inner, false)), mode)?;
        if let Some(dropout) = self.inner_dropout() {
            backend.drop_in_place(to_inner.all_mut().values, dropout)?;
        }
        let (layers, gated) = self.mlp_inputs();
        // Afterwards `to_inner` is what the output layer had read.
        let (u, y) = (kept.inner.all_mut().values, to_inner.all_mut().values);
        backend.activation_backward(block.mlp.activation, gated, u, y, d)?;
        if let Some(dropout) = self.inner_dropout() {
            backend.drop_in_place(to_inner.all_mut().values, dropout)?;
        }
        let lows = [kept.lows.mlp_output.as_ref(), to_low.as_ref()];
        linear::backward_weights(backend, output, to_inner.all(), g, lows, gradients, mode)?;
        drop((dropped, to_inner, to_low));
        // Norms last: on top of what comes through the residual; first: through the norm.
        let mut to_input = if first { self.matrix(x, hidden)? } else { to_sum };
        backward_side_by_side(
            backend,
            &layers,
            kept.mlp_input.all(),
            kept.inner.all(),
            Some(&mut to_input),
            !first,
            &kept.lows.mlp_inputs,
            gradients,
        )?;
        let to_middle = match (first, &block.attention_norm) {
            (true, _) => {
                let mut to_middle =
                    self.norm_backward(&block.mlp_norm, &kept.middle, &to_input, gradients)?;
                backend.add(to_middle.all_mut().values, grad.all().values)?;
                to_middle
            }
            (false, Some(norm)) => self.norm_backward(norm, &kept.middle, &to_input, gradients)?,
            (false, None) => to_input,
        };

        // Attention.
        let heads = block.attention.heads;
        let dropped = self.through_dropout(&to_middle, self.attention_dropout())?;
        let g = dropped.as_ref().unwrap_or(&to_middle).all();
        let (output, mode) = (&block.attention.output, self.attention_output_mode());
        let mut to_attended = self.matrix(x, heads.query * heads.d)?;
        let to_low = linear::backward_input(backend, output, g, Some((&mut to_attended, false)), mode)?;
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
            backend.rotate(to_qkv.all_mut(), angles, heads.query + heads.key_value, heads.d, true)?;
        }
        if let (Some(norms), Some(before)) = (&block.attention.head_norms, &kept.before_norms) {
            self.norm_heads_backward(norms, before, &mut to_qkv, gradients)?;
        }
        let norm = block.attention_norm.as_ref().filter(|_| first);
        let input = norm.map(|norm| self.normed(norm, x)).transpose()?;
        let read = input.as_ref().unwrap_or(x).all();
        // The gradient of what attention reads: x itself, besides the residual, or its norm, whose weights want it too.
        let norm_learns = norm.is_some_and(norm::learns);
        let mut to_read = match (norm.is_some(), wanted) {
            (true, _) if wanted || norm_learns => Some(self.matrix(x, hidden)?),
            (false, true) => Some(self.copied(&to_middle)?),
            _ => None,
        };
        let add = norm.is_none();
        let (layers, lows) = (self.projections(), &kept.lows.projections);
        backward_side_by_side(backend, &layers, read, to_qkv.all(), to_read.as_mut(), add, lows, gradients)?;
        match (norm, to_read) {
            (Some(norm), Some(to_read)) => {
                let mut dx = self.norm_backward(norm, x, &to_read, gradients)?;
                backend.add(dx.all_mut().values, to_middle.all().values)?;
                Ok(wanted.then_some(dx))
            }
            (_, to_read) => Ok(to_read),
        }
    }

    fn norm_backward(
        &self,
        norm: &Norm,
        x: &Matrix<B>,
        g: &Matrix<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<Matrix<B>> {
        let mut dx = self.matrix(x, x.cols)?;
        norm::backward(self.backend, norm, x, g, &mut dx, gradients)?;
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
            let to_before = self.norm_backward(norm, before, &g, gradients)?;
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
