use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, bail};
use half::bf16;
use model::halves::{join, split};
use rayon::prelude::*;

use super::{
    Blocks, Kept, PIECE, State,
    blocks::{BLOCK, dequantise, quantise},
    code_book::CodeBook,
};

/// One step of one parameter.
pub(super) struct Update {
    pub(super) clip: f32,
    pub(super) beta1: f32,
    pub(super) beta2: f32,
    /// 1 − β₁ and 1 − β₂ rounded from double precision, as PyTorch has them: in `f32`, 1 − 0.999 is
    /// off by 5e-5 of itself.
    pub(super) rest1: f32,
    pub(super) rest2: f32,
    pub(super) step_size: f32,
    pub(super) root_correction: f32,
    pub(super) epsilon: f32,
    /// What weight decay leaves of the weight.
    pub(super) keep: f32,
    /// Taken out of the optimizer for the length of the call, since candle hands an operation
    /// out as a shared reference.
    pub(super) state: Mutex<State>,
}

impl InplaceOp2 for Update {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        w: &mut CpuStorage,
        w_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> Result<()> {
        let (Some((w_from, w_to)), Some((g_from, g_to))) =
            (w_layout.contiguous_offsets(), g_layout.contiguous_offsets())
        else {
            bail!("AdamW updates contiguous weights")
        };
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = state.count();
        if count != w_to - w_from || g_to - g_from != count {
            bail!("AdamW has moments for {count} elements and a gradient for {}", g_to - g_from);
        }
        match (w, g) {
            (CpuStorage::F32(w), CpuStorage::F32(g)) => {
                self.whole(&mut w[w_from..w_to], &g[g_from..g_to], &mut state);
            }
            (CpuStorage::BF16(w), CpuStorage::F32(g)) => {
                self.halves(&mut w[w_from..w_to], &g[g_from..g_to], &mut state);
            }
            (CpuStorage::BF16(w), CpuStorage::BF16(g)) => {
                self.halves(&mut w[w_from..w_to], &g[g_from..g_to], &mut state);
            }
            _ => bail!("AdamW updates weights in f32 or bf16"),
        }
        Ok(())
    }
}

impl Update {
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
    fn halves<G: Into<f32> + Copy + Sync>(&self, w: &mut [bf16], g: &[G], state: &mut State) {
        let w = (w.par_chunks_mut(PIECE), state.remainder.par_chunks_mut(PIECE)).into_par_iter();
        match &mut state.moments {
            Kept::F32 { first, second } => self.in_f32(w, g, first, second),
            Kept::Blocks8 { first, second } => self.in_blocks(w, g, first, second),
        }
    }

    fn in_f32<G: Into<f32> + Copy + Sync>(
        &self,
        w: impl IndexedParallelIterator<Item: Held>,
        g: &[G],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let pieces = (w, g.par_chunks(PIECE), first.par_chunks_mut(PIECE), second.par_chunks_mut(PIECE));
        pieces.into_par_iter().for_each(|(w, g, first, second)| {
            in_f32(self, w, g, first, second);
        });
    }

    /// Block by block: the moments into `f32` on the stack, one step, and back into codes.
    fn in_blocks<G: Into<f32> + Copy + Sync>(
        &self,
        w: impl IndexedParallelIterator<Item: Held>,
        g: &[G],
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
                    .change(moments, |w, ((g, first), second)| self.moved(w, (*g).into(), first, second));
                *first_scale = quantise(first, signed, first_codes);
                *second_scale = quantise(second, unsigned, second_codes);
            }
        });
    }
}

model::vectorised! {
    /// One step of a piece of a parameter.
    fn in_f32<'a; W: [Held], G: [Into<f32> + Copy]>(
        update: &'a Update,
        weights: W,
        g: &'a [G],
        first: &'a mut [f32],
        second: &'a mut [f32],
    ) {
        let mut w = weights;
        w.change(g.iter().zip(first).zip(second), |w, ((g, first), second)| {
            update.moved(w, (*g).into(), first, second)
        });
    }
}

/// Weights as they are held: in `f32`, or in bf16 with the remainders beside them.
trait Held: Send {
    /// So many from this place on.
    fn part(&mut self, from: usize, count: usize) -> impl Held;

    /// Replaces each weight by what the function makes of it and of what is given beside it.
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32);
}

impl Held for &mut [f32] {
    fn part(&mut self, from: usize, count: usize) -> impl Held {
        &mut self[from..from + count]
    }

    #[inline(always)]
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32) {
        self.iter_mut().zip(beside).for_each(|(w, beside)| *w = new(*w, beside));
    }
}

impl Held for (&mut [bf16], &mut [i16]) {
    fn part(&mut self, from: usize, count: usize) -> impl Held {
        (&mut self.0[from..from + count], &mut self.1[from..from + count])
    }

    #[inline(always)]
    fn change<T>(&mut self, beside: impl Iterator<Item = T>, new: impl Fn(f32, T) -> f32) {
        for ((upper, remainder), beside) in self.0.iter_mut().zip(&mut *self.1).zip(beside) {
            (*upper, *remainder) = split(new(join(*upper, *remainder), beside));
        }
    }
}
