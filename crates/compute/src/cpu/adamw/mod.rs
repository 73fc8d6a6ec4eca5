//! AdamW on plain slices, with moments in 32 bits or in blocks of 8.

mod blocks;
mod code_book;
mod state;

use candle_core::{CpuStorage, Result, Tensor, bail};
use half::bf16;
use rayon::prelude::*;

use super::change;
use crate::{
    Step,
    halves::{join, split},
};
pub use blocks::Blocks;
use blocks::{BLOCK, dequantise, quantise};
pub use code_book::CodeBook;
pub use state::{Kept, State};

/// Elements that one task works on; a multiple of a block.
const PIECE: usize = 32 * 1024;

/// Moves a weight, in `f32` or bf16, by its gradient.
pub(super) fn step(weight: &Tensor, gradient: &[f32], state: &mut State, step: &Step) -> Result<()> {
    change(weight, |weight, range| {
        let count = state.count();
        if count != range.len() || gradient.len() != count {
            bail!("AdamW has moments for {count} elements and a gradient for {}", gradient.len());
        }
        match weight {
            CpuStorage::F32(w) => step.whole(&mut w[range], gradient, state),
            CpuStorage::BF16(w) => step.halves(&mut w[range], gradient, state),
            _ => bail!("AdamW updates weights in f32 or bf16"),
        }
        Ok(())
    })
}

impl Step {
    /// One element: the weight after the step, with its moments updated.
    #[inline(always)]
    fn moved(&self, w: f32, g: f32, first: &mut f32, second: &mut f32) -> f32 {
        let g = g * self.clip;
        *first = self.beta1 * *first + self.rest1 * g;
        *second = self.beta2 * *second + self.rest2 * g * g;
        let root = second.sqrt() * self.root_correction + self.epsilon;
        w * self.keep - self.step_size * *first / root
    }

    /// Weights held in `f32`.
    fn whole(&self, w: &mut [f32], g: &[f32], state: &mut State) {
        let w = w.par_chunks_mut(PIECE);
        match &mut state.moments {
            Kept::F32 { first, second } => self.in_f32(w, g, first, second),
            Kept::Blocks8 { first, second } => self.in_blocks(w, g, first, second),
        }
    }

    /// Weights held in bf16 here and by their remainder in the state.
    fn halves(&self, w: &mut [bf16], g: &[f32], state: &mut State) {
        let w = (w.par_chunks_mut(PIECE), state.remainder.par_chunks_mut(PIECE)).into_par_iter();
        match &mut state.moments {
            Kept::F32 { first, second } => self.in_f32(w, g, first, second),
            Kept::Blocks8 { first, second } => self.in_blocks(w, g, first, second),
        }
    }

    fn in_f32(
        &self,
        w: impl IndexedParallelIterator<Item: Part>,
        g: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let pieces = (w, g.par_chunks(PIECE), first.par_chunks_mut(PIECE), second.par_chunks_mut(PIECE));
        pieces.into_par_iter().for_each(|(w, g, first, second)| {
            in_f32(self, w, g, first, second);
        });
    }

    /// Block by block: the moments into `f32` on the stack, one step, and back into codes.
    fn in_blocks(
        &self,
        w: impl IndexedParallelIterator<Item: Part>,
        g: &[f32],
        first: &mut Blocks,
        second: &mut Blocks,
    ) {
        let (signed, unsigned) = (CodeBook::signed(), CodeBook::unsigned());
        let pieces = (w, g.par_chunks(PIECE), first.pieces(), second.pieces());
        pieces.into_par_iter().for_each(|(mut w, g, first, second)| {
            let (mut first_buffer, mut second_buffer) = ([0f32; BLOCK], [0f32; BLOCK]);
            let first = first.0.chunks_mut(BLOCK).zip(first.1);
            let second = second.0.chunks_mut(BLOCK).zip(second.1);
            let blocks = g.chunks(BLOCK).zip(first).zip(second);
            for (place, ((g, (first_codes, first_scale)), (second_codes, second_scale))) in blocks.enumerate()
            {
                let (first, second) = (&mut first_buffer[..g.len()], &mut second_buffer[..g.len()]);
                dequantise(first_codes, *first_scale, signed, first);
                dequantise(second_codes, *second_scale, unsigned, second);
                let moments = g.iter().zip(&mut *first).zip(&mut *second);
                w.part(place * BLOCK, g.len())
                    .change(moments, |w, ((g, first), second)| self.moved(w, *g, first, second));
                *first_scale = quantise(first, signed, first_codes);
                *second_scale = quantise(second, unsigned, second_codes);
            }
        });
    }
}

crate::vectorised! {
    /// One step of a piece of a parameter.
    fn in_f32<'a; W: [Part]>(
        update: &'a Step,
        weights: W,
        g: &'a [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
    ) {
        let mut w = weights;
        w.change(g.iter().zip(first).zip(second), |w, ((g, first), second)| {
            update.moved(w, *g, first, second)
        });
    }
}

/// Weights as they are held: in `f32`, or in bf16 with the remainders beside them.
trait Part: Send {
    /// So many from this place on.
    fn part(&mut self, from: usize, count: usize) -> impl Part;

    /// Replaces each weight by what the function makes of it and of what is given beside it.
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32);
}

impl Part for &mut [f32] {
    fn part(&mut self, from: usize, count: usize) -> impl Part {
        &mut self[from..from + count]
    }

    #[inline(always)]
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32) {
        self.iter_mut().zip(beside).for_each(|(w, beside)| *w = new(*w, beside));
    }
}

impl Part for (&mut [bf16], &mut [i16]) {
    fn part(&mut self, from: usize, count: usize) -> impl Part {
        (&mut self.0[from..from + count], &mut self.1[from..from + count])
    }

    #[inline(always)]
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32) {
        for ((upper, remainder), beside) in self.0.iter_mut().zip(&mut *self.1).zip(beside) {
            (*upper, *remainder) = split(new(join(*upper, *remainder), beside));
        }
    }
}
