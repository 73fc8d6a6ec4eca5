//! Arithmetic on plain slices, which the operations are made of: products of matrices, buffers
//! that are used again, and loops compiled for the vectors that the processor has.

mod bf16;
mod buffer;
mod limit;
mod product;
mod rounding;
mod turned;
mod vectorised;
mod view;

pub(crate) use bf16::product_in;
pub use bf16::{bf16_products_are_faster, processor_multiplies_bf16};
pub(crate) use buffer::{Buffer, buffer};
pub use limit::product_limit;
pub use product::Products;
pub(crate) use product::{Threads, product};
pub(crate) use rounding::rounded;
pub(crate) use turned::turn;
pub(crate) use vectorised::simd;
pub use vectorised::{NullaryFnOnce, dispatch};
pub(crate) use view::{View, ViewMut};
