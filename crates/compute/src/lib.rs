//! The arithmetic of a layer, forward and backward, behind one contract that a device fulfils: [`Backend`]. [`cpu`]
//! fulfils it, and [`conformance`] holds each of its methods to plain arithmetic in double precision.
//!
//! candle's tensors hold the weights; activations and gradients are buffers of the device. Nothing here knows of
//! networks.

mod activation;
mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod cpu;
mod element;
pub mod halves;
mod held;
pub mod math;
mod matrix;
mod shapes;
mod step;
pub mod timing;

pub use activation::{Activation, WithFunction};
pub use backend::{Backend, Memory, NormGradients, Sum};
pub use cpu::Cpu;
pub use element::Element;
pub use held::Held;
pub use matrix::{In, Matrix, Out, Place};
pub use shapes::{Angles, Dropout, Heads, NormKind, Products, Span, Texts};
pub use step::Step;

#[doc(hidden)]
pub use cpu::vectorised::{NullaryFnOnce, dispatch};
