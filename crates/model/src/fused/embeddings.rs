//! The embeddings of a packed batch as one operation: the sum of each token's rows, the norm, and
//! dropout. The gradients of the tables go straight to where they are summed.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use super::{
    layer::{Norm, Values},
    rows::Dropout,
};
use crate::{
    Mode,
    embeddings::Embeddings,
    kernels::{Buffer, buffer},
    ops::drop_all,
    packed::Packed,
    timing::timed,
    weights::Weight,
};

/// Whether the embeddings can be one operation: all their tables are in `f32`.
pub(crate) fn embeddings_fit(embeddings: &Embeddings) -> bool {
    let positions = embeddings.positions.as_ref().map(|positions| &positions.table);
    let tables = [Some(&embeddings.words), positions, embeddings.token_types.as_ref()];
    tables.into_iter().flatten().all(|table| table.values().dtype() == DType::F32)
}

/// `[total, hidden]`, as `Embeddings::forward`.
pub(crate) fn embed(embeddings: &Arc<Embeddings>, packed: &Packed, mode: Mode) -> Result<Tensor> {
    let words = embeddings.words.get(mode);
    let keeps = mode.tracks() && words.track_op();
    let (ids, offsets) = (packed.ids.clone(), packed.offsets.clone());
    words.apply_op1(Embed {
        embeddings: embeddings.clone(),
        ids,
        offsets,
        mode,
        keeps,
        kept: Mutex::default(),
    })
}

struct Embed {
    embeddings: Arc<Embeddings>,
    ids: Arc<[u32]>,
    offsets: Arc<[u32]>,
    mode: Mode,
    keeps: bool,
    /// The sums before the norm.
    kept: Mutex<Option<Buffer>>,
}

impl Embed {
    fn positions(&self) -> impl Iterator<Item = u32> {
        let first = self.embeddings.positions.as_ref().map_or(0, |positions| positions.offset);
        self.offsets.windows(2).flat_map(move |range| first..first + (range[1] - range[0]))
    }

    fn dropout(&self) -> Dropout {
        self.mode.at(1).dropout(self.embeddings.dropout)
    }

    /// The tables that are added to that of the words, with the row of each token.
    fn others(&self) -> Vec<(&Weight, Vec<u32>)> {
        let positions = self.embeddings.positions.as_ref();
        let positions = positions.map(|positions| (&positions.table, self.positions().collect()));
        // A single text has one segment.
        let types = self.embeddings.token_types.as_ref().map(|types| (types, vec![0; self.ids.len()]));
        positions.into_iter().chain(types).collect()
    }

    fn forward(&self, words: &[f32], d: usize) -> Result<(Vec<f32>, Option<Buffer>)> {
        let mut x = buffer(self.ids.len() * d);
        add_rows(&mut x, words, &self.ids, d, true)?;
        for (table, ids) in self.others() {
            add_rows(&mut x, Values::of(table.values())?.slice(), &ids, d, false)?;
        }
        let mut y = vec![0f32; x.len()];
        let kept = match &self.embeddings.norm {
            Some(norm) => {
                Norm::of(norm)?.forward(&x, &mut y);
                Some(x)
            }
            None => {
                y.copy_from_slice(&x);
                None
            }
        };
        drop_all(&mut y, self.dropout());
        Ok((y, kept))
    }

    fn backward(&self, grad: &[f32], d: usize) -> Result<()> {
        let mut g = super::copy(grad);
        drop_all(&mut g, self.dropout());
        if let Some(norm) = &self.embeddings.norm {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(x) = kept else { bail!("embeddings have one backward, after their own forward") };
            let mut dx = buffer(g.len());
            Norm::of(norm)?.backward(&x, &g, &mut dx)?;
            g = dx;
        }
        timed("embeddings", || {
            put_rows(&self.embeddings.words, &self.ids, &g, d)?;
            self.others().into_iter().try_for_each(|(table, ids)| put_rows(table, &ids, &g, d))
        })
    }
}

/// The rows of a table by their ids, added to x `[ids, d]` or in its place.
fn add_rows(x: &mut [f32], table: &[f32], ids: &[u32], d: usize, replace: bool) -> Result<()> {
    for (x, &id) in x.chunks_exact_mut(d.max(1)).zip(ids) {
        let from = id as usize * d;
        let Some(row) = table.get(from..from + d) else {
            bail!("id {id} is not in a table of {} rows", table.len() / d.max(1))
        };
        if replace {
            x.copy_from_slice(row);
        } else {
            x.iter_mut().zip(row).for_each(|(x, row)| *x += row);
        }
    }
    Ok(())
}

/// Adds each token's gradient to that of its row.
fn put_rows(table: &Weight, ids: &[u32], g: &[f32], d: usize) -> Result<()> {
    let Some(sum) = table.gradient() else { return Ok(()) };
    sum.put_rows(table.values().shape(), ids, |sum| {
        for (&id, g) in ids.iter().zip(g.chunks_exact(d.max(1))) {
            let from = id as usize * d;
            let Some(row) = sum.get_mut(from..from + d) else { bail!("id {id} is not in the table") };
            row.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
        }
        Ok(())
    })
}

impl CustomOp1 for Embed {
    fn name(&self) -> &'static str {
        "embeddings"
    }

    fn cpu_fwd(&self, words: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(words), Some((from, to))) = (words, layout.contiguous_offsets()) else {
            bail!("embeddings as one operation read contiguous f32")
        };
        let (_, d) = layout.shape().dims2()?;
        let (y, kept) = self.forward(&words[from..to], d)?;
        if self.keeps {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        }
        Ok((CpuStorage::F32(y), (self.ids.len(), d).into()))
    }

    fn bwd(&self, words: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        self.backward(Values::of(&grad)?.slice(), words.dim(1)?)?;
        Ok(None)
    }
}
