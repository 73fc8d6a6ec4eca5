use candle_core::Result;
use compute::{Backend, Step};
use model::{Gradients, Weights};

use super::AdamW;

/// A step of AdamW that takes the gradients a piece of the network at a time, as a backward completes them, so that no
/// more than those of one piece exist. Weights, moments and norm are those of [`AdamW::step`], to the last bit.
///
/// The norm of all gradients is known only at its end, so that they cannot be clipped by it.
pub struct ByPieces<'a, B: Backend> {
    optimizer: &'a mut AdamW<B>,
    weights: &'a Weights,
    learning_rate: f64,
    numbers: Step,
    /// Of each parameter's gradient; summed at the end, in the order of the parameters as everywhere.
    squares: Vec<f64>,
    finite: bool,
    moved: bool,
}

impl<B: Backend> AdamW<B> {
    /// Begins a step; none where the norm of the gradients has to be limited, which takes all of them at once.
    pub fn by_pieces<'a>(&'a mut self, weights: &'a Weights, learning_rate: f64) -> Option<ByPieces<'a, B>> {
        if self.hyperparameters.max_grad_norm != 0.0 {
            return None;
        }
        let numbers = self.numbers(self.step + 1, 1.0, learning_rate);
        let squares = vec![0.0; self.states.len()];
        Some(ByPieces {
            optimizer: self,
            weights,
            learning_rate,
            numbers,
            squares,
            finite: true,
            moved: false,
        })
    }
}

impl<B: Backend> ByPieces<'_, B> {
    /// Moves the parameters that have a gradient now, and clears the gradients. From the first piece on whose gradients
    /// are not finite nothing is moved any more.
    pub fn take(&mut self, gradients: &mut Gradients<B>) -> Result<()> {
        let found = gradients.squares()?;
        for &(place, squares) in &found {
            self.squares[place] = squares;
            self.finite &= squares.is_finite();
        }
        if self.finite {
            self.moved = true;
            for (place, _) in found {
                let Self { optimizer, weights, numbers, learning_rate, .. } = self;
                optimizer.move_one(place, weights, gradients, numbers, *learning_rate)?;
            }
        }
        gradients.clear();
        Ok(())
    }

    /// Whether a weight was moved. A step that fails afterwards cannot be done again.
    pub fn has_moved(&self) -> bool {
        self.moved
    }

    /// Counts the step, and gives the norm of all gradients. Where that is not finite it is not counted; weights above
    /// the piece where it became so were moved all the same, and the caller has to go on from other weights.
    pub fn finish(self) -> f64 {
        let norm = self.squares.iter().sum::<f64>().sqrt();
        if norm.is_finite() {
            self.optimizer.step += 1;
        }
        norm
    }
}
