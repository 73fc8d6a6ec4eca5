use candle_core::{CpuStorage, DType, Storage, Tensor, Var, op::BackpropOp};
use compute::{Device, Held};

use crate::{error::Result, halves::split_tensor};

/// One weight that learns.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name that Transformers gives it, and PEFT for LoRA's matrices.
    pub name: String,
    pub var: Var,
    /// Whether weight decay applies: on matrices, not on biases and norms.
    pub decays: bool,
    /// For a weight that is held in bf16 but was stored with more bits, what it lacks of these, for
    /// the optimizer to take; see [`crate::halves`].
    pub remainder: Option<Vec<i16>>,
}

/// All weights of a network, in the order in which it was built.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    /// Those that learn.
    pub parameters: Vec<Parameter>,
    /// Those that stay as they are, by their names in Transformers.
    pub frozen: Vec<(String, Held)>,
    /// Number of single weights that are held in 4 or 8 bits, or would be, where shapes alone are looked at.
    pub quantised: usize,
    /// Where LoRA's matrices stand.
    pub(crate) adapted: Vec<Adapted>,
    /// Where their numbers lie.
    pub(crate) device: Device,
    /// In the order of the parameters; none where nobody has said where one begins.
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a network whose gradients a backward completes at once: the embeddings, a layer, or what comes after the
/// layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The place of its first parameter.
    pub(crate) first: usize,
    /// Number of single weights that learn.
    learning: usize,
}

/// A linear layer with LoRA's matrices beside it.
#[derive(Debug, Clone)]
pub(crate) struct Adapted {
    /// The layer's name, without `.weight`.
    pub(crate) layer: String,
    /// The part of the name that is the same in every layer of the network, such as
    /// `self_attn.q_proj`.
    pub(crate) module: String,
    pub(crate) a: Tensor,
    pub(crate) b: Tensor,
    pub(crate) scale: f64,
}

impl From<Vec<Parameter>> for Weights {
    fn from(parameters: Vec<Parameter>) -> Weights {
        Weights { parameters, ..Default::default() }
    }
}

impl Weights {
    /// Number of single weights.
    pub fn count(&self) -> usize {
        self.trainable_count() + self.frozen.iter().map(|(_, held)| held.count()).sum::<usize>()
    }

    /// Number of single weights that learn.
    pub fn trainable_count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.var.elem_count()).sum()
    }

    /// The most single weights that learn in one piece of the network, whose gradients exist at a time where the
    /// optimizer takes them piece by piece.
    pub fn largest_piece(&self) -> usize {
        let largest = self.pieces.iter().map(|piece| piece.learning).max();
        largest.unwrap_or_else(|| self.trainable_count())
    }

    /// Another piece begins: the weights that come next are its own.
    pub(crate) fn begin_piece(&mut self) {
        self.pieces.push(Piece { first: self.parameters.len(), learning: 0 });
    }

    fn count_into_piece(&mut self, learning: usize) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.learning += learning;
        }
    }

    /// A weight that learns, as the layers use it.
    pub(crate) fn learn(&mut self, name: String, tensor: &Tensor) -> Result<Weight> {
        let var = Var::from_tensor(&tensor.to_device(self.device.candle())?)?;
        self.learn_var(name, tensor, var)
    }

    /// A weight that would learn, where shapes alone are looked at. Of a matrix there is no more than one number, so that a
    /// model that does not fit can be looked at: nobody may read it.
    pub(crate) fn learn_shape(&mut self, name: String, tensor: &Tensor) -> Result<Weight> {
        if tensor.rank() < 2 {
            return self.learn(name, tensor);
        }
        let storage = match tensor.dtype() {
            DType::BF16 => CpuStorage::BF16(vec![half::bf16::ZERO]),
            _ => CpuStorage::F32(vec![0.0]),
        };
        let shape = tensor.shape().clone();
        let claimed = Tensor::from_storage(Storage::Cpu(storage), shape, BackpropOp::none(), true);
        self.learn_var(name, tensor, Var::from_tensor(&claimed)?)
    }

    fn learn_var(&mut self, name: String, tensor: &Tensor, var: Var) -> Result<Weight> {
        self.count_into_piece(tensor.elem_count());
        let tracked = var.as_tensor().clone();
        let (held, decays, place) = (tracked.detach().into(), tracked.rank() >= 2, self.parameters.len());
        self.parameters.push(Parameter { name, var, decays, remainder: None });
        Ok(Weight {
            #[cfg(test)]
            tracked: Some(tracked),
            held,
            place: Some(place),
        })
    }

    /// A weight that learns and is held in bf16, out of one with more bits.
    pub(crate) fn learn_halved(&mut self, name: String, tensor: &Tensor) -> Result<Weight> {
        let (upper, remainder) = split_tensor(tensor)?;
        let weight = self.learn(name, &upper)?;
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.remainder = Some(remainder);
        }
        Ok(weight)
    }

    /// A weight that stays as it is.
    pub(crate) fn freeze(&mut self, name: String, held: impl Into<Held>) -> Result<Weight> {
        let held = held.into().to_device(self.device.candle())?;
        self.frozen.push((name, held.clone()));
        Ok(Weight {
            #[cfg(test)]
            tracked: None,
            held,
            place: None,
        })
    }
}

/// A weight inside a layer.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    /// In candle's graph, where it learns; what is frozen is never tracked.
    #[cfg(test)]
    pub(crate) tracked: Option<Tensor>,
    /// To compute with, outside any graph.
    held: Held,
    /// Which of the parameters it is, if it learns.
    place: Option<usize>,
}

impl Weight {
    /// Its values outside any graph: those that it is held in, or, where that is fewer bits, their numbers.
    pub(crate) fn values(&self) -> candle_core::Result<Tensor> {
        match &self.held {
            Held::Plain(tensor) => Ok(tensor.clone()),
            held => held.values(),
        }
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Which of the parameters it is, if it learns.
    pub(crate) fn place(&self) -> Option<usize> {
        self.place
    }
}
