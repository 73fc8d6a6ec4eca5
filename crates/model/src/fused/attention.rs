//! Attention over rows that have queries, keys and values side by side; the mathematics stand in
//! `ops/attention`. Products read their columns in place, and each head of keys of each text is a
//! task of its own.

use std::ops::Range;

use candle_core::Result;
use rayon::prelude::*;

use super::rows::Dropout;
use crate::{
    kernels::{Threads, View, ViewMut, product},
    ops::{
        Heads, SCORES, Span, drop_elements,
        math::{dot, mix, softmax},
    },
};

/// What attention is over.
#[derive(Clone, Copy)]
pub(super) struct Over<'a> {
    /// Cumulative lengths of the texts, `[texts + 1]`.
    pub(super) offsets: &'a [u32],
    pub(super) heads: Heads,
    pub(super) span: Span,
    pub(super) dropout: Dropout,
}

/// One head of keys of one text, with the query heads that share it.
#[derive(Clone, Copy)]
struct Part {
    start: usize,
    len: usize,
    /// The head of keys.
    head: usize,
}

impl Over<'_> {
    fn columns(&self) -> [usize; 3] {
        let Heads { query, key_value, d } = self.heads;
        [query * d, key_value * d, key_value * d]
    }

    /// The rows of each text.
    fn texts<'v>(&self, rows: ViewMut<'v>) -> Vec<(usize, usize, ViewMut<'v>)> {
        let mut rest = rows;
        let mut texts = Vec::with_capacity(self.offsets.len());
        for range in self.offsets.windows(2) {
            let (start, len) = (range[0] as usize, (range[1] - range[0]) as usize);
            let (rows, after) = rest.split_rows(len);
            texts.push((start, len, rows));
            rest = after;
        }
        texts
    }

    /// Blocks of query rows, and the keys that any of a block sees.
    fn blocks(&self, part: Part) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (len, span) = (part.len, self.span);
        let block = (SCORES / len.max(1)).max(1);
        (0..len).step_by(block).map(move |from| {
            let to = (from + block).min(len);
            (from..to, span.of(from, len).start..span.of(to - 1, len).end)
        })
    }

    /// Queries, keys and values of one query head of a part, `[len, d]` each.
    fn operands<'a>(&self, qkv: View<'a>, part: Part, member: usize) -> [View<'a>; 3] {
        let Heads { query, key_value, d } = self.heads;
        let rows = qkv.rows(part.start..part.start + part.len);
        let at = |head: usize| rows.columns(head * d..(head + 1) * d);
        [part.head * self.heads.group() + member, query + part.head, query + key_value + part.head].map(at)
    }

    /// Softmax of the scores of some queries, each over the keys that it sees.
    fn probabilities(
        &self,
        part: Part,
        [q, k]: [View; 2],
        queries: &Range<usize>,
        keys: &Range<usize>,
        scores: &mut [f32],
    ) -> Result<()> {
        let (q, k) = (q.rows(queries.clone()), k.rows(keys.clone()));
        product(
            &mut ViewMut::new(scores, keys.len()),
            q,
            k.turned(),
            self.heads.scale(),
            false,
            Threads::One,
        )?;
        softmax_rows(scores, self.span, queries.clone(), keys.clone(), part.len);
        Ok(())
    }

    /// Multiplies probabilities by the mask of dropout, which is that of `ops/attention`.
    fn drop(
        &self,
        part: Part,
        member: usize,
        queries: &Range<usize>,
        keys: &Range<usize>,
        values: &mut [f32],
    ) {
        let Some((p, seed)) = self.dropout else { return };
        let seed = mix(seed ^ part.start as u64);
        let head = part.head * self.heads.group() + member;
        for (query, values) in queries.clone().zip(values.chunks_exact_mut(keys.len())) {
            let first = (head * part.len + query) * part.len + keys.start;
            drop_elements(values, first as u64, p, seed);
        }
    }

    /// out `[total, query · d]` of qkv `[total, (query + 2 key_value) · d]`.
    pub(super) fn forward(&self, qkv: &[f32], out: &mut [f32]) -> Result<()> {
        let width: usize = self.columns().iter().sum();
        let qkv = View::new(qkv, width);
        let mut tasks = Vec::new();
        for (start, len, rows) in self.texts(ViewMut::new(out, self.columns()[0])) {
            let by_head = rows.by_columns(self.heads.group() * self.heads.d)?;
            tasks.extend(by_head.into_iter().enumerate().map(|(head, out)| (Part { start, len, head }, out)));
        }
        tasks.into_par_iter().try_for_each(|(part, out)| {
            let members = out.by_columns(self.heads.d)?;
            members.into_iter().enumerate().try_for_each(|(member, out)| {
                self.forward_head(part, member, self.operands(qkv, part, member), out)
            })
        })
    }

    fn forward_head(&self, part: Part, member: usize, [q, k, v]: [View; 3], mut out: ViewMut) -> Result<()> {
        let mut scores = Vec::new();
        for (queries, keys) in self.blocks(part) {
            scores.resize(queries.len() * keys.len(), 0.0);
            self.probabilities(part, [q, k], &queries, &keys, &mut scores)?;
            self.drop(part, member, &queries, &keys, &mut scores);
            let p = View::new(&scores, keys.len());
            product(&mut out.rows_mut(queries), p, v.rows(keys), 1.0, false, Threads::One)?;
        }
        Ok(())
    }

    /// The gradient of qkv into dqkv, with that of the result, g `[total, query · d]`.
    pub(super) fn backward(&self, qkv: &[f32], g: &[f32], dqkv: &mut [f32]) -> Result<()> {
        let [queries, keys, values] = self.columns();
        let (qkv, g) = (View::new(qkv, queries + keys + values), View::new(g, queries));
        let (d, group) = (self.heads.d, self.heads.group());
        let mut tasks = Vec::new();
        for (start, len, rows) in self.texts(ViewMut::new(dqkv, queries + keys + values)) {
            let (dq, rest) = rows.split_columns(queries);
            let (dk, dv) = rest.split_columns(keys);
            let dk_dv = dk.by_columns(d)?.into_iter().zip(dv.by_columns(d)?);
            for (head, (dq, (dk, dv))) in dq.by_columns(group * d)?.into_iter().zip(dk_dv).enumerate() {
                tasks.push((Part { start, len, head }, dq, dk, dv));
            }
        }
        tasks.into_par_iter().try_for_each(|(part, dq, mut dk, mut dv)| {
            dk.fill(0.0);
            dv.fill(0.0);
            for (member, dq) in dq.by_columns(d)?.into_iter().enumerate() {
                let head = part.head * group + member;
                let g = g.rows(part.start..part.start + part.len).columns(head * d..(head + 1) * d);
                let operands = self.operands(qkv, part, member);
                self.backward_head(
                    part,
                    member,
                    operands,
                    g,
                    [dq, dk.rows_mut(0..part.len), dv.rows_mut(0..part.len)],
                )?;
            }
            Ok(())
        })
    }

    fn backward_head(
        &self,
        part: Part,
        member: usize,
        [q, k, v]: [View; 3],
        g: View,
        [mut dq, mut dk, mut dv]: [ViewMut; 3],
    ) -> Result<()> {
        let (mut p, mut ds) = (Vec::new(), Vec::new());
        for (queries, keys) in self.blocks(part) {
            p.resize(queries.len() * keys.len(), 0.0);
            ds.resize(queries.len() * keys.len(), 0.0);
            self.probabilities(part, [q, k], &queries, &keys, &mut p)?;
            let of_block = g.rows(queries.clone());
            let seen = v.rows(keys.clone()).turned();
            product(&mut ViewMut::new(&mut ds, keys.len()), of_block, seen, 1.0, false, Threads::One)?;
            self.drop(part, member, &queries, &keys, &mut ds);
            through_softmax(&mut ds, &p, keys.len());
            let ds = View::new(&ds, keys.len());
            let (scale, one) = (self.heads.scale(), Threads::One);
            product(&mut dq.rows_mut(queries.clone()), ds, k.rows(keys.clone()), scale, false, one)?;
            product(&mut dk.rows_mut(keys.clone()), ds.turned(), q.rows(queries.clone()), scale, true, one)?;
            self.drop(part, member, &queries, &keys, &mut p);
            let p = View::new(&p, keys.len());
            product(&mut dv.rows_mut(keys), p.turned(), of_block, 1.0, true, one)?;
        }
        Ok(())
    }
}

crate::vectorised! {
    /// Softmax of each row over the keys that its query sees, in a text of `len` tokens; zeros elsewhere.
    fn softmax_rows<'a>(
        scores: &'a mut [f32],
        span: Span,
        queries: Range<usize>,
        keys: Range<usize>,
        len: usize,
    ) {
        for (query, scores) in queries.zip(scores.chunks_exact_mut(keys.len().max(1))) {
            let seen = span.of(query, len);
            let seen = seen.start - keys.start..seen.end - keys.start;
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            softmax(&mut scores[seen]);
        }
    }
}

crate::vectorised! {
    /// The gradient of the scores out of that of their softmax p, row by row.
    fn through_softmax<'a>(ds: &'a mut [f32], p: &'a [f32], keys: usize) {
        for (ds, p) in ds.chunks_exact_mut(keys.max(1)).zip(p.chunks_exact(keys.max(1))) {
            let mean = dot(ds, p);
            ds.iter_mut().zip(p).for_each(|(ds, p)| *ds = p * (*ds - mean));
        }
    }
}
