//! AdamW, with moments in 32 bits or in 8.

mod by_pieces;
mod on_host;
mod saved;
mod state;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use candle_core::Result;
use compute::{Backend, Cpu, Ledger, Step};
pub use compute::{
    Moments,
    cpu::adamw::{Blocks, Kept, State},
};
use model::{Gradients, Weights};
use record::{Optim, TrainConfig};

pub use by_pieces::ByPieces;
pub use saved::{load_state, save_state};
pub(crate) use state::bears_8_bits;
use state::{Kind, kind_of, remainder_of};

/// What AdamW is set to, with the defaults of Transformers' TrainingArguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameters {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm over all parameters where theirs is larger; 0 leaves
    /// them as they are.
    pub max_grad_norm: f64,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Hyperparameters { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1.0 }
    }
}

impl Hyperparameters {
    /// Those of a run's settings, and in what its moments are kept.
    pub(crate) fn of(config: &TrainConfig) -> (Hyperparameters, Moments) {
        let hyperparameters = Hyperparameters {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
        };
        let moments = match config.optim {
            Optim::Adamw => Moments::F32,
            Optim::Adamw8bit => Moments::Blocks8,
        };
        (hyperparameters, moments)
    }
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch's: the decay is taken off the
/// weight itself and spares biases and norms. Its state is open, so that it can be looked at.
///
/// A weight that is held in bf16 has the lower 16 bits of its 32 here, so that an update smaller
/// than a step of bf16 is not lost but adds up: together they are what an `f32` weight would be.
///
/// Moments in 8 bits are those of Dettmers et al. (arXiv 2110.02861): a block of 256 is read into
/// `f32`, goes through the same step as in 32 bits, moves its weights by what it is then, and only
/// then is rounded again. Rounding is to the nearest, except that no second moment above 0 becomes
/// 0, which the paper and bitsandbytes let happen; see `compute/cpu/adamw/code_book.rs`. bitsandbytes besides keeps
/// the sign of a negative first moment that rounds to 0; here it is 0.
pub struct AdamW<B: Backend = Cpu> {
    pub hyperparameters: Hyperparameters,
    /// What was asked for; what each parameter has is in its state.
    pub moments: Moments,
    /// Optimizer steps done.
    pub step: u32,
    /// In the order of the parameters.
    pub states: Vec<B::State>,
    kinds: Vec<Kind>,
    backend: B,
}

/// What a step reads of its device.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Of the gradients, before clipping.
    pub norm: f64,
    pub losses: Vec<f32>,
}

impl Read {
    pub fn is_finite(&self) -> bool {
        self.norm.is_finite() && self.losses.iter().all(|loss| loss.is_finite())
    }
}

impl AdamW {
    /// The optimizer of weights on the CPU. See [`AdamW::on`].
    pub fn new(weights: &mut Weights, hyperparameters: Hyperparameters, moments: Moments) -> AdamW {
        let (kinds, states) = weights
            .parameters
            .iter_mut()
            .enumerate()
            .map(|(place, parameter)| {
                let kind = kind_of(parameter, moments);
                (kind, State::new(kind.count, kind.moments, remainder_of(parameter, place)))
            })
            .unzip();
        AdamW { hyperparameters, moments, step: 0, states, kinds, backend: Cpu }
    }
}

impl AdamW<Ledger> {
    /// What the optimizer of these weights takes of a GPU's memory, of weights that may be known by their shapes alone.
    pub(crate) fn planned(
        ledger: &Ledger,
        weights: &Weights,
        hyperparameters: Hyperparameters,
        moments: Moments,
    ) -> Result<AdamW<Ledger>> {
        let kinds: Vec<Kind> =
            weights.parameters.iter().map(|parameter| kind_of(parameter, moments)).collect();
        // The ledger asks for no more than whether there is a remainder.
        let state = |kind: &Kind| ledger.state(kind.count, kind.moments, vec![0; usize::from(kind.halved)]);
        let states = kinds.iter().map(state).collect::<Result<_>>()?;
        Ok(AdamW { hyperparameters, moments, step: 0, states, kinds, backend: ledger.clone() })
    }
}

impl<B: Backend> AdamW<B> {
    /// Takes the remainders out of the weights that have them; one that was stored in bf16 has
    /// none and is given one by chance. The state lies in the memory of the backend's device.
    pub fn on(
        backend: &B,
        weights: &mut Weights,
        hyperparameters: Hyperparameters,
        moments: Moments,
    ) -> Result<AdamW<B>> {
        let (mut kinds, mut states) = (Vec::new(), Vec::new());
        for (place, parameter) in weights.parameters.iter_mut().enumerate() {
            let kind = kind_of(parameter, moments);
            states.push(backend.state(kind.count, kind.moments, remainder_of(parameter, place))?);
            kinds.push(kind);
        }
        Ok(AdamW { hyperparameters, moments, step: 0, states, kinds, backend: backend.clone() })
    }

    /// Multiplies the learning rate of some parameters, as PyTorch's groups of parameters with rates of their own do.
    pub fn multiply_rate(&mut self, weights: &Weights, of: impl Fn(&str) -> bool, rate: f64) {
        for (kind, parameter) in self.kinds.iter_mut().zip(&weights.parameters) {
            if of(&parameter.name) {
                kind.rate *= rate;
            }
        }
    }

    /// Moves every parameter that has a gradient, in one pass over its memory, and gives the
    /// norm of the gradients before clipping. Where that is not finite nothing has been moved or
    /// counted, and the caller has to say so.
    pub fn step(&mut self, weights: &Weights, gradients: &Gradients<B>, learning_rate: f64) -> Result<f64> {
        Ok(self.step_and_read(weights, gradients, &[], learning_rate)?.norm)
    }

    /// The same after backward passes that had these losses, which are read along with the norm: a GPU is waited for once a
    /// step. Where a loss is not finite nothing is moved either.
    pub fn step_and_read(
        &mut self,
        weights: &Weights,
        gradients: &Gradients<B>,
        losses: &[B::Buffer],
        learning_rate: f64,
    ) -> Result<Read> {
        // On one of the threads that share the work, as a network computes.
        rayon::scope(|_| self.step_here(weights, gradients, losses, learning_rate))
    }

    fn step_here(
        &mut self,
        weights: &Weights,
        gradients: &Gradients<B>,
        losses: &[B::Buffer],
        learning_rate: f64,
    ) -> Result<Read> {
        let (norm, losses) = gradients.norm_and(losses)?;
        let read = Read { norm, losses };
        if !read.is_finite() {
            return Ok(read);
        }
        self.step += 1;
        // As PyTorch's clip_grad_norm_, which adds 1e-6 to the norm.
        let most = self.hyperparameters.max_grad_norm;
        let clip = if most == 0.0 { 1.0 } else { (most / (norm + 1e-6)).min(1.0) };
        let numbers = self.numbers(self.step, clip, learning_rate);
        for place in 0..self.states.len() {
            self.move_one(place, weights, gradients, &numbers, learning_rate)?;
        }
        Ok(read)
    }

    /// The numbers of a step, but for the weight decay.
    fn numbers(&self, step: u32, clip: f64, learning_rate: f64) -> Step {
        let h = self.hyperparameters;
        let exponent = step as i32;
        Step {
            clip: clip as f32,
            beta1: h.beta1 as f32,
            beta2: h.beta2 as f32,
            rest1: (1.0 - h.beta1) as f32,
            rest2: (1.0 - h.beta2) as f32,
            step_size: (learning_rate / (1.0 - h.beta1.powi(exponent))) as f32,
            root_correction: (1.0 / (1.0 - h.beta2.powi(exponent)).sqrt()) as f32,
            epsilon: h.epsilon as f32,
            keep: 1.0,
        }
    }

    /// Moves one parameter, if it has a gradient.
    fn move_one(
        &mut self,
        place: usize,
        weights: &Weights,
        gradients: &Gradients<B>,
        numbers: &Step,
        learning_rate: f64,
    ) -> Result<()> {
        let (Some(gradient), Some(parameter)) = (gradients.values(place), weights.parameters.get(place))
        else {
            return Ok(());
        };
        let decay = if parameter.decays { self.hyperparameters.weight_decay } else { 0.0 };
        let rate = self.kinds.get(place).map_or(1.0, |kind| kind.rate);
        let keep = (1.0 - learning_rate * rate * decay) as f32;
        let step = Step { keep, step_size: (f64::from(numbers.step_size) * rate) as f32, ..*numbers };
        self.backend.adamw(parameter.var.as_tensor(), gradient, &mut self.states[place], &step)
    }

    /// Bytes that moments, their scales and the remainders take.
    pub fn state_bytes(&self) -> usize {
        self.states.iter().map(B::state_bytes).sum()
    }

    /// How many numbers have their moments in 32 and in 8 bits.
    pub(crate) fn counts(&self) -> [usize; 2] {
        let of = |moments| self.kinds.iter().filter(move |kind| kind.moments == moments);
        [Moments::F32, Moments::Blocks8].map(|moments| of(moments).map(|kind| kind.count).sum())
    }
}
