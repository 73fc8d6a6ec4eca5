use candle_core::Result;
use compute::{Backend, Step};
use model::{Gradients, Squares, Weights, read_norm};

use super::{AdamW, Read};

/// A step of AdamW that takes the gradients a piece of the network at a time, as a backward completes them, so that no
/// more than those of one piece exist. Weights, moments and norm are those of [`AdamW::step`], to the last bit.
///
/// The norm of all gradients is known only at its end: they cannot be clipped by it, and one that is not finite has
/// moved the weights by then.
pub struct ByPieces<'a, B: Backend> {
    optimizer: &'a mut AdamW<B>,
    weights: &'a Weights,
    learning_rate: f64,
    numbers: Step,
    /// Of the pieces that were taken.
    squares: Vec<Squares<B>>,
}

impl<B: Backend> AdamW<B> {
    /// Begins a step; none where the norm of the gradients has to be limited, which takes all of them at once.
    pub fn by_pieces<'a>(&'a mut self, weights: &'a Weights, learning_rate: f64) -> Option<ByPieces<'a, B>> {
        if self.hyperparameters.max_grad_norm != 0.0 {
            return None;
        }
        let numbers = self.numbers(self.step + 1, 1.0, learning_rate);
        Some(ByPieces { optimizer: self, weights, learning_rate, numbers, squares: Vec::new() })
    }
}

impl<B: Backend> ByPieces<'_, B> {
    /// Moves the parameters that have a gradient now, and clears the gradients.
    pub fn take(&mut self, gradients: &mut Gradients<B>) -> Result<()> {
        let squares = gradients.squares()?;
        for &place in squares.parameters() {
            self.optimizer.move_one(place, self.weights, gradients, &self.numbers, self.learning_rate)?;
        }
        self.squares.push(squares);
        gradients.clear();
        Ok(())
    }

    /// Whether a weight was moved. A step that fails afterwards cannot be done again.
    pub fn has_moved(&self) -> bool {
        self.squares.iter().any(|squares| !squares.parameters().is_empty())
    }

    /// Reads the norm of all gradients and the loss, a single number, and counts the step if both are finite. If not, the
    /// weights were moved all the same, and the caller has to begin again from other weights.
    pub fn finish(self, loss: &B::Buffer) -> Result<Read> {
        let ByPieces { optimizer, squares, .. } = self;
        let (norm, losses) = read_norm(&optimizer.backend, squares, std::slice::from_ref(loss))?;
        let read = Read { norm, losses };
        if read.is_finite() {
            optimizer.step += 1;
        }
        Ok(read)
    }
}
