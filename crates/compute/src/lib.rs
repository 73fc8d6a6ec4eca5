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
#[cfg(feature = "cuda")]
pub mod cuda;
mod device;
mod element;
pub mod halves;
mod held;
pub mod ledger;
pub mod math;
mod message;
pub mod quantised;
mod step;
pub mod timing;

pub use activation::{Activation, WithFunction};
pub use backend::{
    Angles, Backend, Closing, Dropout, Grouped, Heads, In, LowRank, Matrix, Memory, NormGradients, NormKind,
    NormOf, Out, Place, Pool, Products, Span, Sum, Texts, Thin, Turned, grouped,
};
pub use cpu::Cpu;
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
pub use device::Device;
pub use element::Element;
pub use held::Held;
pub use ledger::Ledger;
pub use message::message;
pub use step::{Moments, Step};

#[doc(hidden)]
pub use cpu::vectorised::{NullaryFnOnce, dispatch};
