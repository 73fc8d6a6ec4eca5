//! Operations with a backward of their own, each in its own file with its mathematics.
//!
//! candle-nn's fused layer norm, softmax and rope have no backward and cut the gradient without
//! a word, which is why these exist. They take and give contiguous `f32` or `bf16` on the CPU and
//! compute in `f32`. What an operation keeps for its backward is detached, so that no graph grows
//! out of a backward; of a product with a weight only those gradients are computed that are wanted.
//!
//! What a network computes are methods of [`Backend`](compute::Backend); these are what tests compare it with.

mod activation;
mod adapted;
mod add_into;
mod attention;
mod bag;
mod dropout;
mod element;
mod embedding;
mod glu;
mod layer_norm;
mod linear;
mod mean;
mod mode;
mod rms_norm;
mod rope;

pub use activation::activate;
pub use adapted::adapted;
pub use add_into::add_into;
pub use attention::{attention, attention_fused};
pub use bag::bag;
pub use compute::{Activation, Heads, Span};
pub use dropout::dropout;
pub use embedding::embedding;

pub use glu::{glu, glu_fused};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use mean::mean;
pub use mode::Mode;
pub use rms_norm::rms_norm;
pub use rope::{Rotation, rope};

#[cfg(test)]
pub(crate) mod gradient_check;
