//! The arithmetic of attention on one part of a batch: some heads of one text.

use std::ops::Range;

use candle_core::{CpuStorage, Layout, Result, backend::BackendStorage, bail};
use compute::{
    Dropout,
    cpu::attention::SCORES,
    math::{dot, drop_from, mix, softmax},
};
use rayon::prelude::*;

use super::{super::element::Element, Attention};

/// Tasks that a batch is parted into at least, where it has heads enough. The number does not
/// depend on the threads, so that sums are made in the same order on any machine.
const TASKS: usize = 8;

/// Packed rows of features of which some columns are wanted.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a, T> {
    pub(super) rows: &'a [T],
    pub(super) stride: usize,
    pub(super) from: usize,
}

impl<T: Element> Columns<'_, T> {
    /// These heads of rows `from..to` of a text as `[heads, to − from, d]`, times `factor`.
    fn heads(
        &self,
        text: Text,
        heads: Range<usize>,
        (from, to): (usize, usize),
        d: usize,
        factor: f32,
    ) -> CpuStorage {
        let mut values = Vec::with_capacity(heads.len() * (to - from) * d);
        for head in heads {
            for row in text.start + from..text.start + to {
                let at = row * self.stride + self.from + head * d;
                values.extend(self.rows[at..at + d].iter().map(|x| x.widen() * factor));
            }
        }
        CpuStorage::F32(values)
    }
}

/// One text's rows of a packed tensor: where they begin and how many they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Some heads of keys of one text, with the query heads that share them: what one task works on.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) text: Text,
    pub(super) heads: Range<usize>,
}

/// The gradients of one part, by head.
pub(super) struct Gradients {
    /// `[query heads, len, d]`
    pub(super) q: Vec<f32>,
    /// `[heads, len, d]`
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
}

/// Products `[b, m, n]` of `a` `[b, m, k]` and `b` `[b, k, n]`, given by their layouts.
fn product((a, a_layout): (&CpuStorage, &Layout), (b, b_layout): (&CpuStorage, &Layout)) -> Result<Vec<f32>> {
    let ((batch, m, k), (_, _, n)) = (a_layout.shape().dims3()?, b_layout.shape().dims3()?);
    match a.matmul(b, (batch, m, n, k), a_layout, b_layout)? {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("attention computes in f32"),
    }
}

/// Rows `range` of each of a contiguous `[heads, len, d]`.
fn rows(heads: usize, len: usize, range: &Range<usize>, d: usize) -> Layout {
    Layout::new((heads, range.len(), d).into(), vec![len * d, d, 1], range.start * d)
}

impl Attention {
    /// The batch in parts: whole texts, or a few heads of each where there are few texts.
    pub(super) fn parts(&self) -> Vec<Part> {
        let (texts, heads) = (self.texts(), self.heads.key_value);
        let at_once = heads.div_ceil(TASKS.div_ceil(texts.len().max(1)).min(heads));
        let of_text = |text: Text| {
            (0..heads)
                .step_by(at_once)
                .map(move |from| Part { text, heads: from..(from + at_once).min(heads) })
        };
        texts.into_iter().flat_map(of_text).collect()
    }

    /// The query heads that share these heads of keys.
    fn query_heads(&self, part: &Part) -> Range<usize> {
        part.heads.start * self.heads.group()..part.heads.end * self.heads.group()
    }

    /// The blocks of query rows that a part is worked on in.
    fn blocks(&self, part: &Part) -> impl Iterator<Item = (usize, usize)> {
        let len = part.text.len;
        let block = (SCORES / (self.query_heads(part).len() * len).max(1)).max(1);
        (0..len).step_by(block).map(move |from| (from, (from + block).min(len)))
    }

    /// The softmax of the scores of query rows `from..to`, before dropout, as
    /// `[heads, group · (to − from), keys]`, and the range of keys.
    fn probabilities(
        &self,
        part: &Part,
        (from, to): (usize, usize),
        q: &CpuStorage,
        k: &CpuStorage,
    ) -> Result<(Vec<f32>, Range<usize>)> {
        let (d, len, heads) = (self.heads.d, part.text.len, part.heads.len());
        let keys = self.span.of(from, len).start..self.span.of(to - 1, len).end;
        let q_layout = Layout::contiguous((heads, self.heads.group() * (to - from), d));
        let k_layout = rows(heads, len, &keys, d).transpose(1, 2)?;
        let mut scores = product((q, &q_layout), (k, &k_layout))?;
        for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
            let seen = self.span.of(from + row % (to - from), len);
            let seen = seen.start - keys.start..seen.end - keys.start;
            softmax(&mut scores[seen.clone()]);
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
        }
        Ok((scores, keys))
    }

    /// Multiplies probabilities by the mask of dropout, the same in either direction.
    fn drop(&self, part: &Part, (from, to): (usize, usize), keys: &Range<usize>, values: &mut [f32]) {
        let Some(Dropout { p, seed }) = self.dropout else { return };
        let seed = mix(seed ^ part.text.start as u64);
        for (row, values) in values.chunks_exact_mut(keys.len()).enumerate() {
            let head = self.query_heads(part).start + row / (to - from);
            let place = (head * part.text.len + from + row % (to - from)) * part.text.len + keys.start;
            drop_from(values, place as u64, p, seed);
        }
    }

    /// Puts rows `from..to`, `[query heads, to − from, d]`, into their places in `[query heads, len, d]`.
    fn put_block(
        &self,
        part: &Part,
        (from, to): (usize, usize),
        block: &[f32],
        whole: &mut [f32],
        factor: f32,
    ) {
        let d = self.heads.d;
        let heads = whole.chunks_exact_mut(part.text.len * d).zip(block.chunks_exact((to - from) * d));
        for (whole, block) in heads {
            whole[from * d..to * d].iter_mut().zip(block).for_each(|(x, value)| *x = value * factor);
        }
    }

    /// `[query heads, len, d]` of one part.
    pub(super) fn forward_part<T: Element>(
        &self,
        part: &Part,
        [q, k, v]: [Columns<'_, T>; 3],
    ) -> Result<Vec<f32>> {
        let (d, len, text) = (self.heads.d, part.text.len, part.text);
        let all = |of: Columns<'_, T>| of.heads(text, part.heads.clone(), (0, len), d, 1.0);
        let (k, v) = (all(k), all(v));
        let (heads, queries) = (part.heads.len(), self.query_heads(part));
        let mut result = vec![0f32; queries.len() * len * d];
        for block in self.blocks(part) {
            let q = q.heads(text, queries.clone(), block, d, self.heads.scale());
            let (mut p, keys) = self.probabilities(part, block, &q, &k)?;
            self.drop(part, block, &keys, &mut p);
            let p_layout = Layout::contiguous((heads, self.heads.group() * (block.1 - block.0), keys.len()));
            let rows_out = product((&CpuStorage::F32(p), &p_layout), (&v, &rows(heads, len, &keys, d)))?;
            self.put_block(part, block, &rows_out, &mut result, 1.0);
        }
        Ok(result)
    }

    /// The gradients of one part.
    pub(super) fn backward_part<T: Element>(
        &self,
        part: &Part,
        [q, k, v, g]: [Columns<'_, T>; 4],
    ) -> Result<Gradients> {
        let (d, len, text) = (self.heads.d, part.text.len, part.text);
        let all = |of: Columns<'_, T>| of.heads(text, part.heads.clone(), (0, len), d, 1.0);
        let (k, v) = (all(k), all(v));
        let (heads, queries) = (part.heads.len(), self.query_heads(part));
        let mut dq = vec![0f32; queries.len() * len * d];
        let (mut dk, mut dv) = (vec![0f32; heads * len * d], vec![0f32; heads * len * d]);
        for block in self.blocks(part) {
            let q = q.heads(text, queries.clone(), block, d, self.heads.scale());
            let g = g.heads(text, queries.clone(), block, d, 1.0);
            let (p, keys) = self.probabilities(part, block, &q, &k)?;
            let in_block = self.heads.group() * (block.1 - block.0);
            let of_block = Layout::contiguous((heads, in_block, d));
            let of_keys = rows(heads, len, &keys, d);
            let square = Layout::contiguous((heads, in_block, keys.len()));
            let turned = square.transpose(1, 2)?;

            let mut ds = product((&g, &of_block), (&v, &of_keys.transpose(1, 2)?))?;
            self.drop(part, block, &keys, &mut ds);
            for (ds, p) in ds.chunks_exact_mut(keys.len()).zip(p.chunks_exact(keys.len())) {
                let mean = dot(ds, p);
                ds.iter_mut().zip(p).for_each(|(ds, p)| *ds = p * (*ds - mean));
            }
            let ds = CpuStorage::F32(ds);
            let to_dq = product((&ds, &square), (&k, &of_keys))?;
            self.put_block(part, block, &to_dq, &mut dq, self.heads.scale());
            // q has the scale in it already.
            let to_dk = product((&ds, &turned), (&q, &of_block))?;

            let mut dropped = p;
            self.drop(part, block, &keys, &mut dropped);
            let to_dv = product((&CpuStorage::F32(dropped), &turned), (&g, &of_block))?;
            for (sum, to_sum) in [(&mut dk, to_dk), (&mut dv, to_dv)] {
                for (sum, to_sum) in sum.chunks_exact_mut(len * d).zip(to_sum.chunks_exact(keys.len() * d)) {
                    let sum = &mut sum[keys.start * d..keys.end * d];
                    sum.iter_mut().zip(to_sum).for_each(|(sum, to_sum)| *sum += to_sum);
                }
            }
        }
        Ok(Gradients { q: dq, k: dk, v: dv })
    }

    /// Writes what the parts came to, each `[heads, len, d]` with `group` heads for each of its
    /// heads of keys, into packed rows of `stride` features, from column `column` on.
    pub(super) fn place<T: Element>(
        &self,
        parts: &[(Part, &[f32])],
        group: usize,
        packed: &mut [T],
        (stride, column): (usize, usize),
    ) {
        let d = self.heads.d;
        let mut pieces = Vec::new();
        let mut rest = packed;
        for parts in parts.chunk_by(|a, b| a.0.text.start == b.0.text.start && a.0.text.len == b.0.text.len) {
            let (piece, after) = rest.split_at_mut(parts[0].0.text.len * stride);
            pieces.push((parts, piece));
            rest = after;
        }
        pieces.into_par_iter().for_each(|(parts, piece)| {
            for (part, values) in parts {
                let by_head = values.chunks_exact((part.text.len * d).max(1));
                for (head, values) in by_head.enumerate() {
                    let from = column + (part.heads.start * group + head) * d;
                    for (row, values) in piece.chunks_exact_mut(stride).zip(values.chunks_exact(d)) {
                        row[from..from + d]
                            .iter_mut()
                            .zip(values)
                            .for_each(|(x, &value)| *x = T::narrow(value));
                    }
                }
            }
        });
    }
}
