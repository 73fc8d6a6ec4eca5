use candle_core::{DType, Result, Tensor, backprop::GradStore};
use model::Weights;

/// The gradients of all parameters, summed over the micro-batches of one optimizer step.
#[derive(Default)]
pub struct Gradients {
    /// In the order of the parameters; `None` where nothing has come yet.
    sums: Vec<Option<Sum>>,
}

#[derive(Clone)]
struct Sum {
    tensor: Tensor,
    /// The rows that may be other than zero, in order; none where any may be.
    rows: Option<Vec<u32>>,
}

impl Gradients {
    /// Adds what one backward pass gave. A single gradient is kept in the precision that it came
    /// in; sums are in `f32`.
    pub fn add(&mut self, weights: &Weights, mut grads: GradStore) -> Result<()> {
        self.sums.resize(weights.parameters.len(), None);
        for (sum, parameter) in self.sums.iter_mut().zip(&weights.parameters) {
            let Some(grad) = grads.remove(parameter.var.as_tensor()) else { continue };
            *sum = Some(match sum.take() {
                None => {
                    let rows = parameter.gradient.rows(&grad);
                    Sum { tensor: grad.contiguous()?, rows }
                }
                Some(sum) => {
                    parameter.gradient.forget(&sum.tensor);
                    let tensor = sum.tensor.to_dtype(DType::F32)?;
                    model::ops::add_into(&tensor, &grad.to_dtype(DType::F32)?.contiguous()?)?;
                    parameter.gradient.give_back(grad);
                    Sum { tensor, rows: None }
                }
            });
        }
        Ok(())
    }

    /// Gives the memory back for the gradients of the next step; nothing else may look at them.
    pub fn give_back(self, weights: &Weights) {
        for (sum, parameter) in self.sums.into_iter().zip(&weights.parameters) {
            sum.into_iter().for_each(|sum| parameter.gradient.give_back(sum.tensor));
        }
    }

    /// The sum for the parameter at this place.
    pub fn get(&self, place: usize) -> Option<&Tensor> {
        Some(&self.sums.get(place)?.as_ref()?.tensor)
    }

    /// The Euclidean norm over all parameters together.
    pub fn norm(&self) -> Result<f64> {
        let mut squares = 0.0;
        for sum in self.sums.iter().flatten() {
            squares += crate::adamw::sum_of_squares(&sum.tensor, sum.rows.as_deref())?;
        }
        Ok(squares.sqrt())
    }
}

/// Gradients as they are given, in the order of the parameters.
impl FromIterator<Option<Tensor>> for Gradients {
    fn from_iter<I: IntoIterator<Item = Option<Tensor>>>(sums: I) -> Gradients {
        Gradients { sums: sums.into_iter().map(|sum| Some(Sum { tensor: sum?, rows: None })).collect() }
    }
}
