//! Operations with a backward of their own, each in its own file with its mathematics.
//!
//! candle-nn's fused layer norm, softmax and rope have no backward and cut the gradient without
//! a word, which is why these exist. They take and give contiguous `f32` on the CPU. What an
//! operation keeps for its backward is detached, so that no graph grows out of a backward.

mod attention;
mod bag;
mod dropout;
mod embedding;
mod gelu;
mod layer_norm;
mod linear;
mod math;

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

pub use attention::attention;
pub use bag::bag;
pub use dropout::dropout;
pub use embedding::embedding;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::linear;

/// Whether a forward pass learns. Dropout happens only in training, and is decided by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Evaluate,
    /// The seed is another one for each forward pass.
    Train {
        seed: u64,
    },
}

impl Mode {
    /// The mode for one place in the network, so that no two places drop the same elements.
    #[must_use]
    pub fn at(self, place: u64) -> Mode {
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train { seed } => Mode::Train { seed: math::mix(seed ^ math::mix(place)) },
        }
    }
}

/// The elements of a contiguous tensor of `f32`.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("an operand is not contiguous") };
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// Runs `f` on the elements of a tensor on the CPU, without a copy where it is contiguous.
fn with_slice<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => bail!("only the CPU is supported"),
    }
}

/// Two slices at once.
fn with_slices<T>(a: &Tensor, b: &Tensor, f: impl FnOnce(&[f32], &[f32]) -> Result<T>) -> Result<T> {
    with_slice(a, |a| with_slice(b, |b| f(a, b)))
}

#[cfg(test)]
mod gradient_check;
