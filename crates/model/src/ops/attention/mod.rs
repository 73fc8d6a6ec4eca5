mod part;

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};
use compute::{Dropout, Heads, Span};
use rayon::prelude::*;

use super::{
    Mode,
    element::{Element, by_dtype, slice, storage_dtype, tensor, with_slices},
};
use part::{Columns, Gradients, Part, Text};

/// Softmax attention within each text of a packed batch (Vaswani et al., arXiv 1706.03762).
///
/// Shapes: q and the result `[total, query · d]`; k, v `[total, key_value · d]`; offsets
/// `[texts + 1]`. For each text and head P = softmax(q kᵀ / √d) over the keys in the span, and
/// the result is dropout(P) v. No text sees another one, and keys outside the span are left out
/// rather than masked by a large negative number, so that there is no mask to be wrong.
///
/// Backward, with the gradient g of the result and the dropout mask m: ∂v = (m P)ᵀ g,
/// ∂P = m (g vᵀ), ∂S = P (∂P − Σ ∂P P) over a row, ∂q = ∂S k / √d, ∂k = ∂Sᵀ q / √d. P is
/// computed again rather than kept: it is a small part of the work and a large part of the memory.
pub fn attention(
    [q, k, v]: [&Tensor; 3],
    offsets: Arc<[u32]>,
    heads: Heads,
    span: Span,
    dropout: f32,
    mode: Mode,
) -> Result<Tensor> {
    let op = Attention::new(offsets, heads, span, dropout, mode);
    let (queries, keys) = (q.dims2()?, k.dims2()?);
    if keys != v.dims2()? || queries.1 != heads.query * heads.d || keys.1 != heads.key_value * heads.d {
        bail!("queries {queries:?} and keys {keys:?} do not fit {heads:?}");
    }
    op.check(queries.0)?;
    op.check(keys.0)?;
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

/// The same with q, k and v side by side in the rows of one tensor
/// `[total, (query + 2 key_value) · d]`, as Phi-3 and ModernBERT have them.
pub fn attention_fused(
    qkv: &Tensor,
    offsets: Arc<[u32]>,
    heads: Heads,
    span: Span,
    dropout: f32,
    mode: Mode,
) -> Result<Tensor> {
    let op = Attention::new(offsets, heads, span, dropout, mode);
    let (total, width) = qkv.dims2()?;
    if width != (heads.query + 2 * heads.key_value) * heads.d {
        bail!("rows of {width} features do not fit {heads:?}");
    }
    op.check(total)?;
    qkv.contiguous()?.apply_op1(op)
}

struct Attention {
    offsets: Arc<[u32]>,
    heads: Heads,
    span: Span,
    dropout: Option<Dropout>,
}

impl Attention {
    fn new(offsets: Arc<[u32]>, heads: Heads, span: Span, dropout: f32, mode: Mode) -> Attention {
        Attention { offsets, heads, span, dropout: mode.dropout(dropout) }
    }

    fn check(&self, total: usize) -> Result<()> {
        let Heads { query, key_value, d } = self.heads;
        if key_value == 0 || d == 0 || !query.is_multiple_of(key_value) {
            bail!("{query} heads of queries cannot share {key_value} of keys");
        }
        if !self.offsets.is_sorted() || self.offsets.last().map_or(0, |&last| last as usize) != total {
            bail!("{total} tokens cannot be parted into texts that end at {:?}", self.offsets.last());
        }
        Ok(())
    }

    fn texts(&self) -> Vec<Text> {
        let text = |range: &[u32]| Text { start: range[0] as usize, len: (range[1] - range[0]) as usize };
        self.offsets.windows(2).map(text).collect()
    }

    fn forward<T: Element>(&self, columns: [Columns<'_, T>; 3]) -> Result<(CpuStorage, Shape)> {
        let parts = self.parts();
        let results: Vec<Vec<f32>> =
            parts.par_iter().map(|part| self.forward_part(part, columns)).collect::<Result<_>>()?;
        let total = self.offsets.last().map_or(0, |&last| last as usize);
        let width = self.heads.query * self.heads.d;
        let mut result = vec![T::narrow(0.0); total * width];
        let placed: Vec<(Part, &[f32])> = parts.into_iter().zip(results.iter().map(Vec::as_slice)).collect();
        self.place(&placed, self.heads.group(), &mut result, (width, 0));
        Ok((<T as WithDType>::to_cpu_storage_owned(result), (total, width).into()))
    }

    /// The gradients of all parts.
    fn backward<T: Element>(&self, operands: [Columns<'_, T>; 4]) -> Result<Vec<(Part, Gradients)>> {
        let of_part = |part: Part| self.backward_part(&part, operands).map(|gradients| (part, gradients));
        self.parts().into_par_iter().map(of_part).collect()
    }

    /// Writes one of q, k and v out of all parts' gradients into packed rows.
    fn gather<T: Element>(
        &self,
        parts: &[(Part, Gradients)],
        of: fn(&Gradients) -> &[f32],
        group: usize,
        packed: &mut [T],
        columns: (usize, usize),
    ) {
        let placed: Vec<(Part, &[f32])> =
            parts.iter().map(|(part, gradients)| (part.clone(), of(gradients))).collect();
        self.place(&placed, group, packed, columns);
    }
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
        let Heads { query, key_value, d } = self.heads;
        by_dtype!(storage_dtype(q), T => {
            let columns = |rows, heads| Columns::<T> { rows, stride: heads * d, from: 0 };
            self.forward([
                columns(slice(q, q_layout)?, query),
                columns(slice(k, k_layout)?, key_value),
                columns(slice(v, v_layout)?, key_value),
            ])
        })
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Heads { query, key_value, d } = self.heads;
        by_dtype!(q.dtype(), T => {
            let parts = with_slices::<T, T, _>(q, k, |q, k| with_slices::<T, T, _>(v, grad, |v, g| {
                let columns = |rows, heads| Columns::<T> { rows, stride: heads * d, from: 0 };
                self.backward([columns(q, query), columns(k, key_value), columns(v, key_value), columns(g, query)])
            }))?;
            let gather = |of: fn(&Gradients) -> &[f32], group: usize, like: &Tensor| {
                let mut packed = vec![T::narrow(0.0); like.elem_count()];
                self.gather(&parts, of, group, &mut packed, (group * key_value * d, 0));
                tensor(packed, like.shape())
            };
            Ok((
                Some(gather(|part| &part.q, self.heads.group(), q)?),
                Some(gather(|part| &part.k, 1, k)?),
                Some(gather(|part| &part.v, 1, v)?),
            ))
        })
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention-fused"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_dtype!(storage_dtype(qkv), T => self.forward(self.side_by_side(slice::<T>(qkv, layout)?)))
    }

    fn bwd(&self, qkv: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(qkv.dtype(), T => {
            let parts = with_slices::<T, T, _>(qkv, grad, |qkv, g| {
                let g = Columns { rows: g, stride: self.heads.query * self.heads.d, from: 0 };
                let [q, k, v] = self.side_by_side(qkv);
                self.backward([q, k, v, g])
            })?;
            let mut packed = vec![T::narrow(0.0); qkv.elem_count()];
            let (stride, [_, k, v]) = self.columns();
            self.gather(&parts, |part| &part.q, self.heads.group(), &mut packed, (stride, 0));
            self.gather(&parts, |part| &part.k, 1, &mut packed, (stride, k));
            self.gather(&parts, |part| &part.v, 1, &mut packed, (stride, v));
            Ok(Some(tensor(packed, qkv.shape())?))
        })
    }
}

impl Attention {
    /// Features of a row that has q, k and v side by side, and where each of them begins.
    fn columns(&self) -> (usize, [usize; 3]) {
        let Heads { query, key_value, d } = self.heads;
        ((query + 2 * key_value) * d, [0, query * d, (query + key_value) * d])
    }

    fn side_by_side<'a, T>(&self, rows: &'a [T]) -> [Columns<'a, T>; 3] {
        let (stride, starts) = self.columns();
        starts.map(|from| Columns { rows, stride, from })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::{check, check_bf16, random};
    use candle_core::{D, Device};

    const HEADS: Heads = Heads { query: 4, key_value: 2, d: 3 };
    const LOCAL: Span = Span { before: 1, after: 1 };
    const SLIDING: Span = Span { before: 2, after: 0 };
    const SPANS: [Span; 4] = [Span::ALL, Span::CAUSAL, LOCAL, SLIDING];

    /// The textbook formula with candle's plain operations, one text and head after another.
    fn plain(q: &Tensor, k: &Tensor, v: &Tensor, offsets: &[u32], heads: Heads, span: Span) -> Tensor {
        let d = heads.d;
        let texts = offsets.windows(2).map(|range| {
            let (start, len) = (range[0] as usize, (range[1] - range[0]) as usize);
            let seen = |i: usize, j: usize| j + span.before.min(len) >= i && j <= i + span.after.min(len);
            let mask: Vec<f32> =
                (0..len * len).map(|at| if seen(at / len, at % len) { 1.0 } else { 0.0 }).collect();
            let mask = Tensor::from_vec(mask, (len, len), &Device::Cpu).unwrap();
            let by_head: Vec<Tensor> = (0..heads.query)
                .map(|head| {
                    let cut = |t: &Tensor, head: usize| {
                        t.narrow(0, start, len).unwrap().narrow(1, head * d, d).unwrap().contiguous().unwrap()
                    };
                    let kv = head / (heads.query / heads.key_value);
                    let scores = cut(q, head).matmul(&cut(k, kv).t().unwrap()).unwrap();
                    let weights = ((scores / (d as f64).sqrt()).unwrap().exp().unwrap() * &mask).unwrap();
                    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1).unwrap()).unwrap();
                    weights.matmul(&cut(v, kv)).unwrap()
                })
                .collect();
            Tensor::cat(&by_head, 1).unwrap()
        });
        Tensor::cat(&texts.collect::<Vec<_>>(), 0).unwrap()
    }

    fn operands(total: usize) -> [Tensor; 3] {
        [random(&[total, 12], 1), random(&[total, 6], 2), random(&[total, 6], 3)]
    }

    fn difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn the_result_is_that_of_the_textbook_formula_for_every_text_alone() {
        let offsets = [0, 3, 4, 9, 9];
        let [q, k, v] = operands(9);
        let fused = Tensor::cat(&[&q, &k, &v], 1).unwrap();
        for span in SPANS {
            let expected = plain(&q, &k, &v, &offsets[..4], HEADS, span);
            let found = attention([&q, &k, &v], offsets.into(), HEADS, span, 0.1, Mode::Evaluate).unwrap();
            assert!(difference(&found, &expected) < 1e-6, "{span:?}");
            let found = attention_fused(&fused, offsets.into(), HEADS, span, 0.1, Mode::Evaluate).unwrap();
            assert!(difference(&found, &expected) < 1e-6, "{span:?}");
        }
    }

    #[test]
    fn texts_longer_than_a_block_of_queries_are_whole() {
        // Two query heads a part and their scores are more than one block may hold.
        let total = 800;
        assert!(2 * total * total > compute::cpu::attention::SCORES);
        let [q, k, v] = operands(total);
        for span in [Span::ALL, Span::CAUSAL, Span { before: 60, after: 0 }] {
            let offsets = [0, total as u32];
            let found = attention([&q, &k, &v], offsets.into(), HEADS, span, 0.0, Mode::Evaluate).unwrap();
            assert!(difference(&found, &plain(&q, &k, &v, &offsets, HEADS, span)) < 1e-5, "{span:?}");
        }
        // The gradients of both blocks against those that candle itself finds for the formula.
        let vars = operands(total).map(|t| candle_core::Var::from_tensor(&t).unwrap());
        let [q, k, v] = &vars;
        let offsets = [0, total as u32];
        let weights = random(&[total, 12], 9);
        let gradients = |result: Tensor| (result * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let ours = attention([q, k, v], offsets.into(), HEADS, Span::CAUSAL, 0.0, Mode::Evaluate).unwrap();
        let (ours, theirs) = (gradients(ours), gradients(plain(q, k, v, &offsets, HEADS, Span::CAUSAL)));
        for var in &vars {
            assert!(difference(ours.get(var).unwrap(), theirs.get(var).unwrap()) < 1e-4);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_with_and_without_dropout() {
        let inputs = operands(6);
        let fused = [Tensor::cat(&inputs, 1).unwrap()];
        for (mode, span) in [(Mode::Evaluate, SLIDING), (Mode::train(3), Span::ALL), (Mode::train(3), LOCAL)]
        {
            let offsets: Arc<[u32]> = [0, 4, 6].into();
            let apart =
                |v: &[Tensor]| attention([&v[0], &v[1], &v[2]], offsets.clone(), HEADS, span, 0.3, mode);
            let side_by_side = |v: &[Tensor]| attention_fused(&v[0], offsets.clone(), HEADS, span, 0.3, mode);
            check(&inputs, apart);
            check(&fused, side_by_side);
            check_bf16(&inputs, &[true; 3], apart);
            check_bf16(&fused, &[true], side_by_side);
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let q = (random(&[4, 2], 1) * 1e4).unwrap();
        let heads = Heads { query: 1, key_value: 1, d: 2 };
        let found = attention([&q, &q, &q], [0, 4].into(), heads, Span::CAUSAL, 0.0, Mode::Evaluate).unwrap();
        assert!(found.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_packing_that_does_not_fit_is_an_error_and_no_panic() {
        let q = random(&[4, 6], 1);
        let attend = |offsets: &[u32], query, d| {
            let heads = Heads { query, key_value: query, d };
            attention([&q, &q, &q], offsets.into(), heads, Span::ALL, 0.0, Mode::Evaluate)
        };
        assert!(attend(&[0, 4], 2, 3).is_ok());
        assert!(attend(&[0, 5], 2, 3).is_err());
        assert!(attend(&[0, 3, 2, 4], 2, 3).is_err());
        assert!(attend(&[0, 4], 4, 2).is_err());
        assert!(attend(&[0, 4], 0, 3).is_err());
    }
}
