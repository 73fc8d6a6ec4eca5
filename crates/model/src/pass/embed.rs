//! The embeddings of a packed batch: the sum of each token's rows, the norm, and dropout.

use candle_core::Result;
use compute::{Backend, Dropout, Matrix};

use super::{norm as norms, packed::OnDevice};
use crate::{Gradients, Mode, embeddings::Embeddings, weights::Weight};

/// A table that is added to that of the words, with the row of each token.
struct Other<'a, B: Backend> {
    table: &'a Weight,
    ids: Vec<u32>,
    on_device: B::Ids,
}

fn others<'a, B: Backend>(
    backend: &B,
    embeddings: &'a Embeddings,
    batch: &OnDevice<B>,
) -> Result<Vec<Other<'a, B>>> {
    let positions = embeddings.positions.as_ref().map(|positions| {
        let first = positions.offset;
        let of_text = |range: &[u32]| first..first + (range[1] - range[0]);
        (&positions.table, batch.texts.offsets.windows(2).flat_map(of_text).collect::<Vec<u32>>())
    });
    // A single text has one segment.
    let types = embeddings.token_types.as_ref().map(|types| (types, vec![0; batch.ids.len()]));
    let other = |(table, ids): (&'a Weight, Vec<u32>)| {
        let on_device = backend.ids(&ids)?;
        Ok(Other { table, ids, on_device })
    };
    positions.into_iter().chain(types).map(other).collect()
}

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
    let mut x = Matrix::new(backend, batch.ids.len(), d)?;
    backend.gather(x.all_mut().values, embeddings.words.held(), &batch.ids_on_device, false)?;
    for other in others(backend, embeddings, batch)? {
        backend.gather(x.all_mut().values, other.table.held(), &other.on_device, true)?;
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
    if let Some(place) = embeddings.words.place() {
        gradients.add_rows(place, &batch.ids, &batch.ids_on_device, g)?;
    }
    for other in others(backend, embeddings, batch)? {
        if let Some(place) = other.table.place() {
            gradients.add_rows(place, &other.ids, &other.on_device, g)?;
        }
    }
    Ok(())
}
