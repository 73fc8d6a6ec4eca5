use std::sync::Mutex;

use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Storage, Tensor, bail};
use half::bf16;
use model::{
    Weights,
    halves::{join, split},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::Gradients;

/// Elements that one task works on; fixed, so that sums do not depend on the number of threads.
const PIECE: usize = 32 * 1024;

/// What AdamW is set to, with the defaults of Transformers' TrainingArguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameters {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm over all parameters where theirs is larger.
    pub max_grad_norm: f64,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Hyperparameters { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1.0 }
    }
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch's: the decay is taken off the
/// weight itself and spares biases and norms. Its state is open, so that it can be saved.
///
/// A weight that is held in bf16 has the lower 16 bits of its 32 here, so that an update smaller
/// than a step of bf16 is not lost but adds up: together they are what an `f32` weight would be.
pub struct AdamW {
    pub hyperparameters: Hyperparameters,
    /// Optimizer steps done.
    pub step: u32,
    /// In the order of the parameters.
    pub states: Vec<State>,
}

/// What AdamW keeps of one parameter, for each of its elements.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// First moment: the running mean of the gradient.
    pub first: Vec<f32>,
    /// Second moment: that of its square.
    pub second: Vec<f32>,
    /// What a weight in bf16 lacks of its value in 32 bits; empty for one in `f32`.
    pub remainder: Vec<i16>,
}

impl AdamW {
    /// Takes the remainders out of the weights that have them. A weight that was stored in bf16
    /// has none, and is given one by chance, the same on every machine: were they all zero, all
    /// weights of a size would pass to the next bf16 at once, after the same number of steps.
    pub fn new(weights: &mut Weights, hyperparameters: Hyperparameters) -> AdamW {
        let states = weights.parameters.iter_mut().enumerate().map(|(place, parameter)| {
            let count = parameter.var.elem_count();
            let remainder = match parameter.var.dtype() {
                DType::BF16 => parameter.remainder.take().unwrap_or_else(|| by_chance(place as u64, count)),
                _ => Vec::new(),
            };
            State { first: vec![0.0; count], second: vec![0.0; count], remainder }
        });
        AdamW { hyperparameters, step: 0, states: states.collect() }
    }

    /// Moves every parameter that has a gradient, in one pass over its memory, and gives the
    /// norm of the gradients before clipping.
    pub fn step(&mut self, weights: &Weights, gradients: &Gradients, learning_rate: f64) -> Result<f64> {
        let norm = gradients.norm()?;
        let h = self.hyperparameters;
        self.step += 1;
        let exponent = self.step as i32;
        // As PyTorch's clip_grad_norm_, which adds 1e-6 to the norm.
        let clip = (h.max_grad_norm / (norm + 1e-6)).min(1.0) as f32;
        for (place, (parameter, state)) in weights.parameters.iter().zip(&mut self.states).enumerate() {
            let Some(gradient) = gradients.get(place) else { continue };
            let update = Update {
                clip,
                beta1: h.beta1 as f32,
                beta2: h.beta2 as f32,
                step_size: (learning_rate / (1.0 - h.beta1.powi(exponent))) as f32,
                root_correction: (1.0 / (1.0 - h.beta2.powi(exponent)).sqrt()) as f32,
                epsilon: h.epsilon as f32,
                keep: (1.0 - learning_rate * if parameter.decays { h.weight_decay } else { 0.0 }) as f32,
                state: Mutex::new(std::mem::take(state)),
            };
            parameter.var.as_tensor().inplace_op2(gradient, &update)?;
            *state = update.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        Ok(norm)
    }
}

fn by_chance(seed: u64, count: usize) -> Vec<i16> {
    let mut remainder = vec![0i16; count];
    remainder.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed << 32 | piece as u64);
        values.iter_mut().for_each(|value| *value = random.next_u32() as i16);
    });
    remainder
}

/// One step of one parameter.
struct Update {
    clip: f32,
    beta1: f32,
    beta2: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
    /// What weight decay leaves of the weight.
    keep: f32,
    /// Taken out of the optimizer for the length of the call, since candle hands an operation
    /// out as a shared reference.
    state: Mutex<State>,
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
        let count = state.first.len();
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
        *first = self.beta1 * *first + (1.0 - self.beta1) * g;
        *second = self.beta2 * *second + (1.0 - self.beta2) * g * g;
        let root = second.sqrt() * self.root_correction + self.epsilon;
        w * self.keep - self.step_size * *first / root
    }

    /// Weights held in `f32`.
    fn whole(&self, w: &mut [f32], g: &[f32], state: &mut State) {
        let moments = (state.first.par_chunks_mut(PIECE), state.second.par_chunks_mut(PIECE));
        let pieces = (w.par_chunks_mut(PIECE), g.par_chunks(PIECE), moments.0, moments.1);
        pieces.into_par_iter().for_each(|(w, g, first, second)| {
            for (((w, g), first), second) in w.iter_mut().zip(g).zip(first).zip(second) {
                *w = self.moved(*w, *g, first, second);
            }
        });
    }

    /// Weights held in bf16 here and by their remainder in the state.
    fn halves<G: Into<f32> + Copy + Sync>(&self, w: &mut [bf16], g: &[G], state: &mut State) {
        let moments = (state.first.par_chunks_mut(PIECE), state.second.par_chunks_mut(PIECE));
        let weights = (w.par_chunks_mut(PIECE), state.remainder.par_chunks_mut(PIECE));
        let pieces = (weights.0, weights.1, g.par_chunks(PIECE), moments.0, moments.1);
        pieces.into_par_iter().for_each(|(w, remainder, g, first, second)| {
            let weights = w.iter_mut().zip(remainder);
            for (((w, g), first), second) in weights.zip(g).zip(first).zip(second) {
                let moved = self.moved(join(*w.0, *w.1), (*g).into(), first, second);
                (*w.0, *w.1) = split(moved);
            }
        });
    }
}

/// Σ x², in double precision and in an order that does not depend on the number of threads.
pub(crate) fn sum_of_squares(x: &Tensor) -> Result<f64> {
    fn of<T: Into<f32> + Copy + Sync>(values: &[T]) -> f64 {
        let piece = |piece: &[T]| {
            let mut lanes = [0f64; 8];
            for (index, &x) in piece.iter().enumerate() {
                lanes[index % 8] += f64::from(x.into()).powi(2);
            }
            lanes.iter().sum::<f64>()
        };
        values.par_chunks(PIECE).map(piece).collect::<Vec<f64>>().iter().sum()
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("a gradient is not contiguous") };
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(of(&values[from..to])),
        Storage::Cpu(CpuStorage::BF16(values)) => Ok(of(&values[from..to])),
        _ => bail!("gradients are f32 or bf16 on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::{Device, Var};
    use model::Parameter;

    /// Two parameters, a matrix that decays and a bias that does not, on Σ w² / 2.
    fn weights() -> Weights {
        let parameter = |name: &str, values: &[f32], decays| Parameter {
            name: name.into(),
            var: Var::new(values, &Device::Cpu).unwrap(),
            decays,
            remainder: None,
        };
        vec![parameter("matrix", &[1.0, -2.0, 3.0], true), parameter("bias", &[0.5], false)].into()
    }

    fn gradients(weights: &Weights) -> Gradients {
        let mut loss = Tensor::new(0f32, &Device::Cpu).unwrap();
        for parameter in &weights.parameters {
            loss = (loss + (parameter.var.sqr().unwrap() * 0.5).unwrap().sum_all().unwrap()).unwrap();
        }
        let mut gradients = Gradients::default();
        gradients.add(weights, loss.backward().unwrap()).unwrap();
        gradients
    }

    #[test]
    fn ten_steps_are_those_of_the_formula_in_double_precision() {
        let mut weights = weights();
        let h = Hyperparameters { weight_decay: 0.1, ..Default::default() };
        let mut optimizer = AdamW::new(&mut weights, h);
        let mut expected = [1.0f64, -2.0, 3.0, 0.5];
        let (mut m, mut v) = ([0f64; 4], [0f64; 4]);
        for step in 1..=10 {
            optimizer.step(&weights, &gradients(&weights), 0.05).unwrap();
            let norm = expected.iter().map(|w| w * w).sum::<f64>().sqrt();
            let clip = (1.0 / (norm + 1e-6)).min(1.0);
            for i in 0..4 {
                let g = expected[i] * clip;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m, v) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
                if i < 3 {
                    expected[i] *= 1.0 - 0.05 * 0.1;
                }
                expected[i] -= 0.05 * m / (v.sqrt() + 1e-8);
            }
        }
        let found: Vec<f32> =
            weights.parameters.iter().flat_map(|p| p.var.to_vec1::<f32>().unwrap()).collect();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn gradients_of_micro_batches_are_summed_and_their_norm_is_over_all_parameters() {
        let weights = weights();
        let mut sum = gradients(&weights);
        assert!((sum.norm().unwrap() - (14.25f64).sqrt()).abs() < 1e-6);
        let loss = weights.parameters[0].var.sum_all().unwrap();
        sum.add(&weights, loss.backward().unwrap()).unwrap();
        assert_eq!(sum.get(0).unwrap().to_vec1::<f32>().unwrap(), [2.0, -1.0, 4.0]);
        assert_eq!(sum.get(1).unwrap().to_vec1::<f32>().unwrap(), [0.5]);
    }

    #[test]
    fn updates_smaller_than_a_step_of_bf16_add_up_to_what_they_are_in_32_bits() {
        let parameter = |tensor: Tensor| {
            let var = Var::from_tensor(&tensor).unwrap();
            Weights::from(vec![Parameter { name: "w".into(), var, decays: true, remainder: None }])
        };
        let start = Tensor::new(&[1.0f32, -2.0, 0.25], &Device::Cpu).unwrap();
        let (mut whole, mut halves) =
            (parameter(start.clone()), parameter(start.to_dtype(DType::BF16).unwrap()));
        let gradient = Tensor::new(&[0.3f32, -0.1, 0.2], &Device::Cpu).unwrap();
        for weights in [&mut whole, &mut halves] {
            let mut optimizer = AdamW::new(weights, Hyperparameters::default());
            for _ in 0..200 {
                let w = weights.parameters[0].var.as_tensor();
                let loss = (w.to_dtype(DType::F32).unwrap() * &gradient).unwrap().sum_all().unwrap();
                let mut gradients = Gradients::default();
                gradients.add(weights, loss.backward().unwrap()).unwrap();
                // A two-hundredth of the smallest step of bf16 at 1.
                optimizer.step(weights, &gradients, 2e-5).unwrap();
            }
        }
        let values = |weights: &Weights| {
            weights.parameters[0].var.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap()
        };
        for (found, exact) in values(&halves).into_iter().zip(values(&whole)) {
            assert!((found - exact).abs() <= exact.abs() / 256.0, "{found} {exact}");
        }
        assert!(values(&whole)[0] < 0.9965 && values(&halves)[0] < 1.0);
    }
}
