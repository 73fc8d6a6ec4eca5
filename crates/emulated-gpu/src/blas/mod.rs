//! What stands in for cuBLAS: matrix products in `f32`, `f64`, `f16` and `bf16`, as `cublasGemmEx` and its kin define
//! them. Their sums are of fixed order, so that they are the same to the last bit on every machine and for every number
//! of threads; a real cuBLAS sums in another order.

pub mod border;
mod element;
mod issue;
mod product;
mod tile;

pub use element::{Element, Rounding};
pub use product::{Matrix, Product};

use crate::driver::Handle;

/// What a cuBLAS handle holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The stream as the program gave it: a thread's own default stream is found at each call.
    pub stream: Handle,
    /// `cublasMath_t`.
    pub math: i32,
    /// Whether `alpha` and `beta` are addresses of device memory.
    pub device_scalars: bool,
}
