//! Attention over rows that have queries, keys and values side by side; the mathematics stand in
//! the contract. Products read their columns in place, and each head of keys of each text is a
//! task of its own. Keys and values are turned once a head: gemm is slow with narrow ones that it has to
//! turn itself, and would do so anew for each block of queries.

use std::{cmp::Reverse, ops::Range};

use candle_core::Result;
use rayon::prelude::*;

use super::{
    Threads, View, ViewMut, product,
    softmax::{self, LANES, Rows},
    turn,
};
use crate::{
    Dropout, Heads, Span,
    math::{drop_from, mix},
};

/// The most scores that one task works on at a time, which bounds the memory for them.
pub const SCORES: usize = 1 << 20;

/// Scores that are worked on at a time, as many as the second cache holds with their gradients, but of
/// no fewer queries than these, so that the keys are not read for a few.
const BLOCK: usize = 1 << 16;
const QUERIES: usize = 96;

/// Tasks that a thread takes at once: few, and the longest first, so that all threads end together.
const AT_ONCE: usize = 4;

/// What attention is over.
#[derive(Clone, Copy)]
pub(super) struct Over<'a> {
    /// Cumulative lengths of the texts, `[texts + 1]`.
    pub(super) offsets: &'a [u32],
    pub(super) heads: Heads,
    pub(super) span: Span,
    pub(super) dropout: Option<Dropout>,
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
    fn blocks(&self, part: Part) -> impl Iterator<Item = Block> {
        let (len, span) = (part.len, self.span);
        let block = (BLOCK / len.max(1)).max(QUERIES).min(SCORES / len.max(1)).max(1);
        (0..len).step_by(block).map(move |from| {
            let to = (from + block).min(len);
            Block { queries: from..to, keys: span.of(from, len).start..span.of(to - 1, len).end, span, len }
        })
    }

    /// Queries, keys and values of one query head of a part, `[len, d]` each.
    fn operands<'a>(&self, qkv: View<'a>, part: Part, member: usize) -> [View<'a>; 3] {
        let Heads { query, key_value, d } = self.heads;
        let rows = qkv.rows(part.start..part.start + part.len);
        let at = |head: usize| rows.columns(head * d..(head + 1) * d);
        [part.head * self.heads.group() + member, query + part.head, query + key_value + part.head].map(at)
    }

    /// Multiplies probabilities by the mask of dropout, which is that of `ops/attention`.
    fn drop(&self, part: Part, member: usize, block: &Block, values: &mut [f32]) {
        let Some(Dropout { p, seed }) = self.dropout else { return };
        let seed = mix(seed ^ part.start as u64);
        let head = part.head * self.heads.group() + member;
        let first = (head * part.len + block.queries.start) * part.len + block.keys.start;
        drop_rows(values, block, first as u64, p, seed);
    }

    /// out `[total, query · d]` of qkv `[total, (query + 2 key_value) · d]`, and what is kept.
    pub(super) fn forward(&self, qkv: &[f32], out: &mut [f32], mut kept: &mut [f32]) -> Result<()> {
        let width: usize = self.columns().iter().sum();
        let qkv = View::new(qkv, width);
        let mut tasks = Vec::new();
        for (start, len, rows) in self.texts(ViewMut::new(out, self.columns()[0])) {
            let by_head = rows.by_columns(self.heads.group() * self.heads.d)?;
            for (head, out) in by_head.into_iter().enumerate() {
                let (of_part, rest) = std::mem::take(&mut kept).split_at_mut(2 * self.heads.group() * len);
                tasks.push((Part { start, len, head }, out, of_part));
                kept = rest;
            }
        }
        tasks.sort_by_key(|(part, ..)| Reverse(part.len));
        tasks.into_par_iter().with_max_len(AT_ONCE).try_for_each_init(
            Scratch::default,
            |scratch, (part, out, kept)| {
                let members = out
                    .by_columns(self.heads.d)?
                    .into_iter()
                    .zip(kept.as_chunks_mut().0.chunks_exact_mut(part.len.max(1)));
                members.enumerate().try_for_each(|(member, (out, kept))| {
                    self.forward_head(part, member, self.operands(qkv, part, member), out, kept, scratch)
                })
            },
        )
    }

    fn forward_head(
        &self,
        part: Part,
        member: usize,
        [q, k, v]: [View; 3],
        mut out: ViewMut,
        kept: &mut [[f32; 2]],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { keys, p, .. } = scratch;
        keys.set(k, self.blocks(part).count());
        for block in self.blocks(part) {
            let p = keys.product(q.rows(block.queries.clone()), &block, self.heads.scale(), p)?;
            softmax::softmax(p, block.rows(), &mut kept[block.queries.clone()]);
            self.drop(part, member, &block, p);
            let p = block.view(p);
            product(&mut out.rows_mut(block.queries), p, v.rows(block.keys), 1.0, false, Threads::One)?;
        }
        Ok(())
    }

    /// The gradient of qkv into dqkv, with the result of the forward, what it has kept, and the
    /// gradient of the result, g `[total, query · d]`.
    pub(super) fn backward(
        &self,
        qkv: &[f32],
        [result, mut kept, g]: [&[f32]; 3],
        dqkv: &mut [f32],
    ) -> Result<()> {
        let [queries, keys, values] = self.columns();
        let qkv = View::new(qkv, queries + keys + values);
        let [result, g] = [result, g].map(|rows| View::new(rows, queries));
        let (d, group) = (self.heads.d, self.heads.group());
        let mut tasks = Vec::new();
        for (start, len, rows) in self.texts(ViewMut::new(dqkv, queries + keys + values)) {
            let (dq, rest) = rows.split_columns(queries);
            let (dk, dv) = rest.split_columns(keys);
            let dk_dv = dk.by_columns(d)?.into_iter().zip(dv.by_columns(d)?);
            for (head, (dq, (dk, dv))) in dq.by_columns(group * d)?.into_iter().zip(dk_dv).enumerate() {
                let (of_part, rest) = kept.split_at(2 * group * len);
                tasks.push((Part { start, len, head }, of_part, dq, [dk, dv]));
                kept = rest;
            }
        }
        tasks.sort_by_key(|(part, ..)| Reverse(part.len));
        tasks.into_par_iter().with_max_len(AT_ONCE).try_for_each_init(Scratch::default, |scratch, task| {
            let (part, kept, dq, [mut dk, mut dv]) = task;
            dk.fill(0.0);
            dv.fill(0.0);
            let members = dq.by_columns(d)?.into_iter().zip(kept.as_chunks().0.chunks_exact(part.len.max(1)));
            for (member, (dq, kept)) in members.enumerate() {
                let head = part.head * group + member;
                let [result, g] = [result, g].map(|rows| {
                    rows.rows(part.start..part.start + part.len).columns(head * d..(head + 1) * d)
                });
                let forward = Forward { operands: self.operands(qkv, part, member), result, kept };
                let grads = [dq, dk.rows_mut(0..part.len), dv.rows_mut(0..part.len)];
                self.backward_head(part, member, &forward, g, grads, scratch)?;
            }
            Ok(())
        })
    }

    fn backward_head(
        &self,
        part: Part,
        member: usize,
        forward: &Forward,
        g: View,
        [mut dq, mut dk, mut dv]: [ViewMut; 3],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (scale, one) = (self.heads.scale(), Threads::One);
        let [q, k, v] = forward.operands;
        let Scratch { keys, values, p, ds } = scratch;
        keys.set(k, self.blocks(part).count());
        values.set(v, self.blocks(part).count());
        for block in self.blocks(part) {
            let Block { queries, keys: seen, .. } = &block;
            let [q, g, result] = [q, g, forward.result].map(|rows| rows.rows(queries.clone()));
            let p = keys.product(q, &block, scale, p)?;
            let ds = values.product(g, &block, 1.0, ds)?;
            self.drop(part, member, &block, ds);
            softmax::gradient([p, ds], block.rows(), &forward.kept[queries.clone()], [g, result]);
            let ds = block.view(ds);
            product(&mut dq.rows_mut(queries.clone()), ds, k.rows(seen.clone()), scale, false, one)?;
            product(&mut dk.rows_mut(seen.clone()), ds.turned(), q, scale, true, one)?;
            self.drop(part, member, &block, p);
            product(&mut dv.rows_mut(seen.clone()), block.view(p).turned(), g, 1.0, true, one)?;
        }
        Ok(())
    }
}

/// Of one head of a text, what the forward has read, given, and kept.
struct Forward<'a> {
    operands: [View<'a>; 3],
    result: View<'a>,
    kept: &'a [[f32; 2]],
}

/// Some queries of a text, and the keys that any of them sees.
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
    span: Span,
    /// Tokens of the text.
    len: usize,
}

impl Block {
    /// From one row of scores to the next.
    fn stride(&self) -> usize {
        let width = self.width();
        // Rows that are a large power of two apart would share few places of the cache.
        if width.is_multiple_of(256) { width + LANES } else { width }
    }

    /// Whole vectors, so that no row has a rest.
    fn width(&self) -> usize {
        self.keys.len().next_multiple_of(LANES)
    }

    fn view<'a>(&self, scores: &'a [f32]) -> View<'a> {
        View::new(scores, self.stride()).columns(0..self.keys.len())
    }

    fn rows(&self) -> Rows<impl Fn(usize) -> Range<usize>> {
        let (first, key, span, len) = (self.queries.start, self.keys.start, self.span, self.len);
        let seen = move |row: usize| {
            let seen = span.of(first + row, len);
            seen.start - key..seen.end - key
        };
        Rows { stride: self.stride(), seen }
    }
}

/// What tasks on one thread use one after another.
#[derive(Default)]
struct Scratch {
    keys: Turned,
    values: Turned,
    p: Vec<f32>,
    ds: Vec<f32>,
}

/// The keys or values of a head as columns, with some of zeros behind the last.
#[derive(Default)]
struct Turned {
    values: Vec<f32>,
    width: usize,
}

impl Turned {
    /// Takes the rows of a text's head, which are read in one block or in several.
    fn set(&mut self, rows: View, blocks: usize) {
        // The columns of a block may begin anywhere, and are a whole number of vectors.
        self.width = rows.row_count().next_multiple_of(LANES) + if blocks > 1 { LANES } else { 0 };
        turn(rows, room(&mut self.values, rows.column_count() * self.width), self.width);
    }

    /// `scale · a b`, where b are the columns of a block's keys; of the block's stride.
    fn product<'s>(
        &self,
        a: View,
        block: &Block,
        scale: f32,
        scores: &'s mut Vec<f32>,
    ) -> Result<&'s mut [f32]> {
        let (width, stride) = (block.width(), block.stride());
        let scores = room(scores, block.queries.len() * stride);
        let b = View::new(&self.values[..a.column_count() * self.width], self.width);
        let b = b.columns(block.keys.start..block.keys.start + width);
        let (mut out, _) = ViewMut::new(scores, stride).split_columns(width);
        product(&mut out, a, b, scale, false, Threads::One)?;
        Ok(scores)
    }
}

/// So many numbers of a buffer, whatever they are.
fn room(values: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if values.len() < len {
        values.resize(len, 0.0);
    }
    &mut values[..len]
}

crate::vectorised! {
    /// Multiplies whole vectors of each row by the mask of dropout, from number `first` on.
    fn drop_rows<'a>(values: &'a mut [f32], block: &'a Block, first: u64, p: f32, seed: u64) {
        let width = block.width();
        for (row, values) in values.chunks_exact_mut(block.stride()).enumerate() {
            drop_from(&mut values[..width], first + (row * block.len) as u64, p, seed);
        }
    }
}
