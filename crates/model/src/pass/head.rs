//! What comes after the blocks: the last norm, pooling and the classifier, a row a text. All products are in `f32`, as the
//! weights are; of so few rows they cost nothing.

use candle_core::Result;
use compute::{Backend, Matrix, Pool};

use super::{linear, norm as norms, packed::OnDevice};
use crate::{
    Gradients, Mode,
    classifier::{Classifier, Dense},
    layers::{Linear, Norm},
    transformer::Transformer,
};

/// What the backward needs of the forward.
pub(super) struct Kept<B: Backend> {
    /// What the last norm reads, where there is one: of all tokens, or of those that are pooled.
    before_norm: Option<Matrix<B>>,
    dense: Option<KeptOfDense<B>>,
    /// What the output layer reads, `[texts, hidden]`.
    read: Matrix<B>,
}

struct KeptOfDense<B: Backend> {
    /// What the dense layer reads, `[texts, hidden]`.
    read: Matrix<B>,
    /// Before the activation.
    inner: Matrix<B>,
    /// After it, where a norm follows.
    activated: Option<Matrix<B>>,
}

fn normed<B: Backend>(backend: &B, norm: &Norm, x: &Matrix<B>) -> Result<Matrix<B>> {
    let mut y = Matrix::new(backend, x.rows, x.cols)?;
    norms::forward(backend, norm, x, &mut y, Vec::new())?;
    Ok(y)
}

fn pooled<B: Backend>(backend: &B, pool: Pool, batch: &OnDevice<B>, x: &Matrix<B>) -> Result<Matrix<B>> {
    let mut rows = Matrix::new(backend, batch.texts.count(), x.cols)?;
    backend.pool(rows.all_mut().values, x.all().values, &batch.texts, pool)?;
    Ok(rows)
}

/// A linear layer with its bias.
fn through<B: Backend>(backend: &B, layer: &Linear, x: &Matrix<B>, mode: Mode) -> Result<Matrix<B>> {
    let mut y = Matrix::new(backend, x.rows, layer.weight.held().dims()?.0)?;
    linear::forward(backend, layer, x.all(), y.all_mut(), mode)?;
    if let Some(bias) = &layer.bias {
        backend.add_bias(y.all_mut(), &bias.values()?)?;
    }
    Ok(y)
}

/// Dropout on a matrix, and on the gradient of what it has given.
fn drop_in_place<B: Backend>(backend: &B, x: &mut Matrix<B>, p: f32, mode: Mode) -> Result<()> {
    mode.dropout(p).map_or(Ok(()), |dropout| backend.drop_in_place(x.all_mut().values, dropout))
}

/// What the base model gives for every token, by what its last block gives.
pub(super) fn after_blocks<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    x: Matrix<B>,
) -> Result<Matrix<B>> {
    match &transformer.final_norm {
        Some(norm) => normed(backend, norm, &x),
        None => Ok(x),
    }
}

/// Logits `[texts, outputs]` of what the last block gives, `[total, hidden]`.
pub(super) fn forward<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    x: Matrix<B>,
    batch: &OnDevice<B>,
    mode: Mode,
) -> Result<(Matrix<B>, Kept<B>)> {
    let mode = mode.in_f32();
    let Classifier { pool, pooled_dropout, dense, dropout, output } = &transformer.classifier;
    // A norm works on each token alone, so that only the tokens that are read need one.
    let (before_norm, mut read) = match &transformer.final_norm {
        None => (None, pooled(backend, *pool, batch, &x)?),
        Some(norm) if pool.is_of_one_token() => {
            let rows = pooled(backend, *pool, batch, &x)?;
            let normed = normed(backend, norm, &rows)?;
            (Some(rows), normed)
        }
        Some(norm) => {
            let normed = normed(backend, norm, &x)?;
            let rows = pooled(backend, *pool, batch, &normed)?;
            (Some(x), rows)
        }
    };
    drop_in_place(backend, &mut read, *pooled_dropout, mode.at(1))?;
    let mut kept = None;
    if let Some(Dense { linear, activation, norm }) = dense {
        let mut inner = through(backend, linear, &read, mode)?;
        let d = inner.cols;
        let mut activated = Matrix::new(backend, inner.rows, d)?;
        let (y, u) = (activated.all_mut().values, inner.all_mut().values);
        backend.activation(*activation, false, y, u, None, d)?;
        let (next, activated) = match norm {
            Some(norm) => (normed(backend, norm, &activated)?, Some(activated)),
            None => (activated, None),
        };
        kept = Some(KeptOfDense { read: std::mem::replace(&mut read, next), inner, activated });
    }
    drop_in_place(backend, &mut read, *dropout, mode.at(2))?;
    let logits = through(backend, output, &read, mode)?;
    Ok((logits, Kept { before_norm, dense: kept, read }))
}

/// The gradient of what the last block gives, where it is wanted, by that of the logits, g; those of the head's weights go to
/// where they are summed.
#[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
pub(super) fn backward<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    kept: Kept<B>,
    g: &Matrix<B>,
    batch: &OnDevice<B>,
    mode: Mode,
    wanted: bool,
    gradients: &mut Gradients<B>,
) -> Result<Option<Matrix<B>>> {
    let mode = mode.in_f32();
    let Classifier { pool, pooled_dropout, dense, dropout, output } = &transformer.classifier;
    let Kept { before_norm, dense: kept_of_dense, read } = kept;
    let norm = transformer.final_norm.as_ref();
    let below = wanted || norm.is_some_and(norms::learns);
    linear::backward_weights(backend, output, read.all(), g.all(), [None, None], gradients, mode)?;
    if !below && dense.is_none() {
        return Ok(None);
    }
    let mut to_read = read;
    linear::backward_input(backend, output, g.all(), Some((&mut to_read, false)), mode)?;
    drop_in_place(backend, &mut to_read, *dropout, mode.at(2))?;
    if let (Some(Dense { linear, activation, norm }), Some(kept)) = (dense, kept_of_dense) {
        let KeptOfDense { mut read, mut inner, activated } = kept;
        if let (Some(norm), Some(activated)) = (norm, activated) {
            let mut dx = Matrix::new(backend, activated.rows, activated.cols)?;
            norms::backward(
                backend,
                norm,
                &activated,
                (&mut to_read, None),
                false,
                (&mut dx, false),
                gradients,
            )?;
            to_read = dx;
        }
        let d = inner.cols;
        let (u, g) = (inner.all_mut().values, to_read.all_mut().values);
        backend.activation_backward(*activation, false, u, g, None, d)?;
        linear::backward_weights(backend, linear, read.all(), inner.all(), [None, None], gradients, mode)?;
        if !below {
            return Ok(None);
        }
        linear::backward_input(backend, linear, inner.all(), Some((&mut read, false)), mode)?;
        to_read = read;
    }
    drop_in_place(backend, &mut to_read, *pooled_dropout, mode.at(1))?;
    let of_tokens = |g: &Matrix<B>| -> Result<Matrix<B>> {
        let mut dx = Matrix::new(backend, batch.texts.total(), g.cols)?;
        backend.pool_backward(dx.all_mut().values, g.all().values, &batch.texts, *pool)?;
        Ok(dx)
    };
    let (Some(norm), Some(x)) = (norm, before_norm) else { return of_tokens(&to_read).map(Some) };
    let mut of_norm = |g: &mut Matrix<B>| -> Result<Matrix<B>> {
        let mut dx = Matrix::new(backend, x.rows, x.cols)?;
        norms::backward(backend, norm, &x, (g, None), false, (&mut dx, false), gradients)?;
        Ok(dx)
    };
    let dx = match pool.is_of_one_token() {
        true => of_norm(&mut to_read).and_then(|dx| of_tokens(&dx))?,
        false => of_norm(&mut of_tokens(&to_read)?)?,
    };
    Ok(Some(dx))
}
