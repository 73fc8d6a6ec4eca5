//! Arithmetic on plain slices, which the operations are made of: products of matrices, buffers
//! that are used again, and loops compiled for the vectors that the processor has.

mod buffer;
mod product;
mod turned;
mod vectorised;
mod view;

pub(crate) use buffer::{Buffer, buffer};
pub(crate) use product::{Threads, product};
pub(crate) use turned::turn;
pub(crate) use vectorised::simd;
pub use vectorised::{NullaryFnOnce, dispatch};
pub(crate) use view::{View, ViewMut};
