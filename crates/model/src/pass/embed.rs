//! The embeddings of a packed batch: the sum of each token's rows, the norm, and dropout.

use candle_core::Result;
use compute::{Backend, Dropout, Matrix};

use super::{norm as norms, packed::OnDevice};
use crate::{Gradients, Mode, embeddings::Embeddings};

fn dropout(embeddings: &Embeddings, mode: Mode) -> Option<Dropout> {
    mode.at(1).dropout(embeddings.dropout)
}

/// `[total, hidden]`, and the sums before the norm where there is one.
pub(super) fn forward<B: Backend>(
    backend: &B,
    embeddings: &Embeddings,
    batch: &OnDevice<B>,
    mode: Mode,
) -> Result<(Matrix<B>, Option<Matrix<B>>)> {
    let (_, d) = embeddings.words.held().dims()?;
    let mut x = Matrix::new(backend, batch.ids.count, d)?;
    backend.gather(x.all_mut().values, embeddings.words.held(), &batch.ids.on_device, false)?;
    for (table, rows) in embeddings.other_tables().zip(&batch.others) {
        backend.gather(x.all_mut().values, table.held(), &rows.on_device, true)?;
    }
    let (mut y, sums) = match &embeddings.norm {
        Some(norm) => {
            let mut y = Matrix::new(backend, x.rows, d)?;
            norms::forward(backend, norm, &x, &mut y, Vec::new())?;
            (y, Some(x))
        }
        None => (x, None),
    };
    if let Some(dropout) = dropout(embeddings, mode) {
        backend.drop_in_place(y.all_mut().values, dropout)?;
    }
    Ok((y, sums))
}

/// The gradients of the tables and of the norm, with that of the result.
pub(super) fn backward<B: Backend>(
    backend: &B,
    embeddings: &Embeddings,
    batch: &OnDevice<B>,
    sums: Option<&Matrix<B>>,
    mut g: Matrix<B>,
    gradients: &mut Gradients<B>,
    mode: Mode,
) -> Result<()> {
    if let Some(dropout) = dropout(embeddings, mode) {
        backend.drop_in_place(g.all_mut().values, dropout)?;
    }
    if let (Some(norm), Some(sums)) = (&embeddings.norm, sums) {
        let mut to_sums = Matrix::new(backend, g.rows, g.cols)?;
        norms::backward(backend, norm, sums, (&mut g, None), false, (&mut to_sums, false), gradients)?;
        g = to_sums;
    }
    let g = g.all().values;
    let tables = std::iter::once(&embeddings.words).chain(embeddings.other_tables());
    for (table, rows) in tables.zip(std::iter::once(&batch.ids).chain(&batch.others)) {
        if let Some(place) = table.place() {
            gradients.add_rows(place, rows.grouped()?, g)?;
        }
    }
    Ok(())
}
