use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage, bail};
use rayon::prelude::*;

use super::{
    Mode,
    math::{dot, dropout_factor, exp},
};

/// Softmax attention within each text of a packed batch (Vaswani et al., arXiv 1706.03762).
///
/// Shapes: q, k, v and the result `[total, heads · d]`; offsets `[texts + 1]`. For each text and
/// head P = softmax(q kᵀ / √d), and the result is dropout(P) v. No text sees another one, so
/// that nothing needs a mask.
///
/// Backward, with the gradient g of the result and the dropout mask m: ∂v = (m P)ᵀ g,
/// ∂P = m (g vᵀ), ∂S = P (∂P − Σ ∂P P) over a row, ∂q = ∂S k / √d, ∂k = ∂Sᵀ q / √d. P is
/// computed again rather than kept: it is a small part of the work and a large part of the memory.
pub fn attention(
    [q, k, v]: [&Tensor; 3],
    offsets: Arc<[u32]>,
    heads: usize,
    dropout: f32,
    mode: Mode,
) -> Result<Tensor> {
    let (total, hidden) = q.dims2()?;
    if heads == 0 || hidden % heads != 0 || offsets.last().is_some_and(|&last| last as usize != total) {
        bail!("{total} tokens of width {hidden} cannot be read with {heads} heads");
    }
    let dropout = match mode {
        Mode::Train { seed } if dropout > 0.0 => Some((dropout, seed)),
        _ => None,
    };
    let op = Attention { offsets, heads, d: hidden / heads, dropout };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

struct Attention {
    offsets: Arc<[u32]>,
    heads: usize,
    d: usize,
    /// Probability and seed.
    dropout: Option<(f32, u64)>,
}

/// One text's rows of a packed tensor: where they begin and how many they are.
#[derive(Clone, Copy)]
struct Text {
    start: usize,
    len: usize,
}

impl Attention {
    fn texts(&self) -> impl Iterator<Item = Text> {
        self.offsets
            .windows(2)
            .map(|range| Text { start: range[0] as usize, len: (range[1] - range[0]) as usize })
    }

    fn hidden(&self) -> usize {
        self.heads * self.d
    }

    /// The rows of one text as `[heads, len, d]`, without moving anything.
    fn by_head(&self, text: Text, layout: &Layout) -> Layout {
        let stride = vec![self.d, self.hidden(), 1];
        let start = layout.start_offset() + text.start * self.hidden();
        Layout::new((self.heads, text.len, self.d).into(), stride, start)
    }

    /// `[heads, len, len]`: softmax(q kᵀ / √d), before dropout.
    fn probabilities(
        &self,
        text: Text,
        (q, q_layout): (&CpuStorage, &Layout),
        (k, k_layout): (&CpuStorage, &Layout),
    ) -> Result<Vec<f32>> {
        let shape = (self.heads, text.len, text.len, self.d);
        let k_layout = self.by_head(text, k_layout).transpose(1, 2)?;
        let scores = q.matmul(k, shape, &self.by_head(text, q_layout), &k_layout)?;
        let mut scores = into_f32(scores)?;
        let scale = 1.0 / (self.d as f32).sqrt();
        scores.chunks_exact_mut(text.len).for_each(|row| softmax(row, scale));
        Ok(scores)
    }

    /// Multiplies a `[heads, len, len]` by the mask of dropout, the same in either direction.
    fn drop(&self, text: Text, values: &mut [f32]) {
        let Some((p, seed)) = self.dropout else { return };
        let seed = super::math::mix(seed ^ text.start as u64);
        for (index, value) in values.iter_mut().enumerate() {
            *value *= dropout_factor(seed, index as u64, p);
        }
    }

    /// Cuts packed elements into one piece a text, so that texts can be worked on in parallel.
    fn pieces<'a>(&self, mut rest: &'a mut [f32]) -> Vec<(Text, &'a mut [f32])> {
        let mut pieces = Vec::new();
        for text in self.texts() {
            let (piece, after) = rest.split_at_mut(text.len * self.hidden());
            pieces.push((text, piece));
            rest = after;
        }
        pieces
    }

    /// Writes `[heads, len, d]` into packed rows `[len, heads · d]`.
    fn pack_heads(&self, by_head: &[f32], packed: &mut [f32], factor: f32) {
        let len = packed.len() / self.hidden();
        for (head, rows) in by_head.chunks_exact(len * self.d).enumerate() {
            for (row, values) in rows.chunks_exact(self.d).enumerate() {
                let at = row * self.hidden() + head * self.d;
                packed[at..at + self.d].iter_mut().zip(values).for_each(|(to, from)| *to = from * factor);
            }
        }
    }

    fn text_backward(
        &self,
        text: Text,
        [q, k, v, g]: [(&CpuStorage, &Layout); 4],
        [dq, dk, dv]: [&mut [f32]; 3],
    ) -> Result<()> {
        let (heads, len, d) = (self.heads, text.len, self.d);
        let square = Layout::contiguous((heads, len, len));
        let turned = square.transpose(1, 2)?;
        let p = self.probabilities(text, q, k)?;

        let mut dropped = p.clone();
        self.drop(text, &mut dropped);
        let g_by_head = self.by_head(text, g.1);
        let dropped = CpuStorage::F32(dropped);
        self.pack_heads(&into_f32(dropped.matmul(g.0, (heads, len, d, len), &turned, &g_by_head)?)?, dv, 1.0);

        let v_turned = self.by_head(text, v.1).transpose(1, 2)?;
        let mut ds = into_f32(g.0.matmul(v.0, (heads, len, len, d), &g_by_head, &v_turned)?)?;
        self.drop(text, &mut ds);
        for (ds, p) in ds.chunks_exact_mut(len).zip(p.chunks_exact(len)) {
            let mean = dot(ds, p);
            ds.iter_mut().zip(p).for_each(|(ds, p)| *ds = p * (*ds - mean));
        }
        let ds = CpuStorage::F32(ds);
        let scale = 1.0 / (d as f32).sqrt();
        let shape = (heads, len, d, len);
        self.pack_heads(&into_f32(ds.matmul(k.0, shape, &square, &self.by_head(text, k.1))?)?, dq, scale);
        self.pack_heads(&into_f32(ds.matmul(q.0, shape, &turned, &self.by_head(text, q.1))?)?, dk, scale);
        Ok(())
    }
}

fn into_f32(storage: CpuStorage) -> Result<Vec<f32>> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("attention computes in f32"),
    }
}

/// softmax(scale · row) in place, with the largest element taken off first so that nothing overflows.
fn softmax(row: &mut [f32], scale: f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in row.iter_mut() {
        *x = exp((*x - largest) * scale);
    }
    let factor = 1.0 / super::math::sum(row);
    row.iter_mut().for_each(|x| *x *= factor);
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut result = vec![0f32; q_layout.shape().elem_count()];
        self.pieces(&mut result).into_par_iter().try_for_each(|(text, piece)| {
            let mut p = self.probabilities(text, (q, q_layout), (k, k_layout))?;
            self.drop(text, &mut p);
            let shape = (self.heads, text.len, self.d, text.len);
            let square = Layout::contiguous((self.heads, text.len, text.len));
            let by_head = CpuStorage::F32(p).matmul(v, shape, &square, &self.by_head(text, v_layout))?;
            self.pack_heads(&into_f32(by_head)?, piece, 1.0);
            Ok::<_, candle_core::Error>(())
        })?;
        Ok((CpuStorage::F32(result), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let operands = [q.clone(), k.clone(), v.clone(), grad.contiguous()?];
        let mut guards = Vec::with_capacity(4);
        for operand in &operands {
            guards.push(operand.storage_and_layout());
        }
        let mut parts = Vec::with_capacity(4);
        for (storage, layout) in &guards {
            match &**storage {
                candle_core::Storage::Cpu(storage) => parts.push((storage, *layout)),
                _ => bail!("only the CPU is supported"),
            }
        }
        let parts = [parts[0], parts[1], parts[2], parts[3]];
        let mut gradients = [(); 3].map(|()| vec![0f32; q.elem_count()]);
        let [dq, dk, dv] = &mut gradients;
        let pieces = (self.pieces(dq), self.pieces(dk), self.pieces(dv));
        pieces
            .into_par_iter()
            .try_for_each(|((text, dq), (_, dk), (_, dv))| self.text_backward(text, parts, [dq, dk, dv]))?;
        let [dq, dk, dv] = gradients.map(|values| Tensor::from_vec(values, q.shape(), q.device()));
        Ok((Some(dq?), Some(dk?), Some(dv?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, random};
    use candle_core::D;

    /// The textbook formula with candle's plain operations, one text and head after another.
    fn plain(q: &Tensor, k: &Tensor, v: &Tensor, offsets: &[u32], heads: usize) -> Tensor {
        let d = q.dim(1).unwrap() / heads;
        let texts = offsets.windows(2).map(|range| {
            let (start, len) = (range[0] as usize, (range[1] - range[0]) as usize);
            let by_head: Vec<Tensor> = (0..heads)
                .map(|head| {
                    let cut = |t: &Tensor| {
                        t.narrow(0, start, len).unwrap().narrow(1, head * d, d).unwrap().contiguous().unwrap()
                    };
                    let scores = (cut(q).matmul(&cut(k).t().unwrap()).unwrap() / (d as f64).sqrt()).unwrap();
                    let weights = scores.exp().unwrap();
                    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1).unwrap()).unwrap();
                    weights.matmul(&cut(v)).unwrap()
                })
                .collect();
            Tensor::cat(&by_head, 1).unwrap()
        });
        Tensor::cat(&texts.collect::<Vec<_>>(), 0).unwrap()
    }

    #[test]
    fn the_result_is_that_of_the_textbook_formula_for_every_text_alone() {
        let offsets = [0, 3, 4, 9];
        let (q, k, v) = (random(&[9, 6], 1), random(&[9, 6], 2), random(&[9, 6], 3));
        let found = attention([&q, &k, &v], offsets.into(), 2, 0.1, Mode::Evaluate).unwrap();
        let difference = (found - plain(&q, &k, &v, &offsets, 2)).unwrap().abs().unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_with_and_without_dropout() {
        for mode in [Mode::Evaluate, Mode::Train { seed: 3 }] {
            check(&[random(&[6, 4], 1), random(&[6, 4], 2), random(&[6, 4], 3)], |v| {
                attention([&v[0], &v[1], &v[2]], [0, 4, 6].into(), 2, 0.3, mode)
            });
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let q = (random(&[4, 2], 1) * 1e4).unwrap();
        let found = attention([&q, &q, &q], [0, 4].into(), 1, 0.0, Mode::Evaluate).unwrap();
        assert!(found.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_packing_that_does_not_fit_is_an_error_and_no_panic() {
        let q = random(&[4, 6], 1);
        assert!(attention([&q, &q, &q], [0, 5].into(), 2, 0.0, Mode::Evaluate).is_err());
        assert!(attention([&q, &q, &q], [0, 4].into(), 4, 0.0, Mode::Evaluate).is_err());
    }
}
