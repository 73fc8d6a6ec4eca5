use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Storage, Tensor, bail};
use model::Weights;
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
pub struct AdamW {
    pub hyperparameters: Hyperparameters,
    /// Optimizer steps done.
    pub step: u32,
    /// First and second moment of each parameter, in the order of the parameters.
    pub moments: Vec<[Vec<f32>; 2]>,
}

impl AdamW {
    pub fn new(weights: &Weights, hyperparameters: Hyperparameters) -> AdamW {
        let zeros = |count| [vec![0f32; count], vec![0f32; count]];
        let moments = weights.parameters.iter().map(|parameter| zeros(parameter.var.elem_count())).collect();
        AdamW { hyperparameters, step: 0, moments }
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
        for (place, (parameter, moments)) in weights.parameters.iter().zip(&mut self.moments).enumerate() {
            let Some(gradient) = gradients.get(place) else { continue };
            let update = Update {
                clip,
                beta1: h.beta1 as f32,
                beta2: h.beta2 as f32,
                step_size: (learning_rate / (1.0 - h.beta1.powi(exponent))) as f32,
                root_correction: (1.0 / (1.0 - h.beta2.powi(exponent)).sqrt()) as f32,
                epsilon: h.epsilon as f32,
                keep: (1.0 - learning_rate * if parameter.decays { h.weight_decay } else { 0.0 }) as f32,
                moments: Mutex::new(std::mem::take(moments)),
            };
            parameter.var.as_tensor().inplace_op2(gradient, &update)?;
            *moments = update.moments.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        Ok(norm)
    }
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
    moments: Mutex<[Vec<f32>; 2]>,
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
        let (CpuStorage::F32(w), CpuStorage::F32(g)) = (w, g) else { bail!("AdamW updates f32 weights") };
        let (Some((w_from, w_to)), Some((g_from, g_to))) =
            (w_layout.contiguous_offsets(), g_layout.contiguous_offsets())
        else {
            bail!("AdamW updates contiguous weights")
        };
        let mut moments = self.moments.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [m, v] = &mut *moments;
        if m.len() != w_to - w_from || g_to - g_from != m.len() {
            bail!("AdamW has moments for {} elements and a gradient for {}", m.len(), g_to - g_from);
        }
        let pieces = (
            w[w_from..w_to].par_chunks_mut(PIECE),
            g[g_from..g_to].par_chunks(PIECE),
            m.par_chunks_mut(PIECE),
            v.par_chunks_mut(PIECE),
        );
        pieces.into_par_iter().for_each(|(w, g, m, v)| {
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let g = g * self.clip;
                *m = self.beta1 * *m + (1.0 - self.beta1) * g;
                *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
                let root = v.sqrt() * self.root_correction + self.epsilon;
                *w = *w * self.keep - self.step_size * *m / root;
            }
        });
        Ok(())
    }
}

/// Σ x², in double precision and in an order that does not depend on the number of threads.
pub(crate) fn sum_of_squares(x: &Tensor) -> Result<f64> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(values)) = &*storage else { bail!("gradients are f32 on the CPU") };
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("a gradient is not contiguous") };
    let partial: Vec<f64> = values[from..to]
        .par_chunks(PIECE)
        .map(|piece| {
            let mut lanes = [0f64; 8];
            for (index, x) in piece.iter().enumerate() {
                lanes[index % 8] += f64::from(*x) * f64::from(*x);
            }
            lanes.iter().sum()
        })
        .collect();
    Ok(partial.iter().sum())
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
        };
        Weights {
            parameters: vec![parameter("matrix", &[1.0, -2.0, 3.0], true), parameter("bias", &[0.5], false)],
        }
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
        let weights = weights();
        let h = Hyperparameters { weight_decay: 0.1, ..Default::default() };
        let mut optimizer = AdamW::new(&weights, h);
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
}
