//! The bag of words: of each text the sum of the rows of its different features over the root of their number, and a bias.

use candle_core::{Result, Tensor};
use compute::{Backend, Matrix, Pool};

use super::{cross_entropy, packed::OnDevice};
use crate::{Gradients, Targets, packed::Packed, words::Words};

fn forward<B: Backend>(backend: &B, words: &Words, batch: &OnDevice<B>) -> Result<Matrix<B>> {
    let table = words.weight.held();
    let (_, outputs) = table.dims()?;
    let mut rows = Matrix::new(backend, batch.ids.count, outputs)?;
    backend.gather(rows.all_mut().values, table, &batch.ids.on_device, false)?;
    let mut logits = Matrix::new(backend, batch.texts.count(), outputs)?;
    backend.pool(logits.all_mut().values, rows.all().values, &batch.texts, Pool::Bag)?;
    backend.add_bias(logits.all_mut(), &words.bias.values()?)?;
    Ok(logits)
}

/// Logits `[texts, outputs]`.
pub(crate) fn logits<B: Backend>(backend: &B, words: &Words, packed: &Packed) -> Result<Tensor> {
    backend.to_tensor(&forward(backend, words, &OnDevice::new(backend, packed)?)?)
}

/// Forward and backward: the loss, and the gradients added to where they are summed.
pub(crate) fn learn<B: Backend>(
    backend: &B,
    words: &Words,
    packed: &Packed,
    targets: &Targets,
    gradients: &mut Gradients<B>,
) -> Result<B::Buffer> {
    let (batch, targets) = OnDevice::to_learn(backend, packed, targets, true)?;
    let mut g = forward(backend, words, &batch)?;
    let loss = cross_entropy(backend, &mut g, &targets)?;
    if let Some(place) = words.bias.place() {
        backend.column_sums(gradients.sum(place)?, g.all())?;
    }
    let mut to_rows = Matrix::new(backend, batch.ids.count, g.cols)?;
    backend.pool_backward(to_rows.all_mut().values, g.all().values, &batch.texts, Pool::Bag)?;
    if let Some(place) = words.weight.place() {
        gradients.add_rows(place, batch.ids.grouped()?, to_rows.all().values)?;
    }
    Ok(loss)
}
