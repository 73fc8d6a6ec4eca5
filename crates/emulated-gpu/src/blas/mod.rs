//! What stands in for cuBLAS: matrix products in `f32`, `f64`, `f16` and `bf16`, as `cublasGemmEx` and its kin define
//! them. Their sums are of fixed order, so that they are the same to the last bit on every machine and for every number
//! of threads; a real cuBLAS sums in another order.

pub mod border;
mod element;
mod product;
mod tile;

pub use element::{Element, Rounding};
pub use product::{Matrix, Product};

use crate::driver::{Driver, Error, Handle, Result};

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

/// `CUBLAS_TF32_TENSOR_OP_MATH`.
const TF32_MATH: i32 = 3;

impl Driver {
    /// A cuBLAS handle.
    pub fn create_blas(&mut self, context: Handle) -> Result<Handle> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        let handle = self.handle();
        self.blas.insert(handle, Settings::default());
        Ok(handle)
    }

    pub(crate) fn blas_settings(&mut self, handle: Handle) -> Result<&mut Settings> {
        self.blas.get_mut(&handle).ok_or(Error::UnknownHandle { what: "cuBLAS handle", handle })
    }

    /// Issues a product to the handle's stream.
    pub fn multiply(&mut self, context: Handle, blas: Handle, mut product: Product) -> Result<()> {
        let settings = *self.blas_settings(blas)?;
        let device = self.device_of(context)?;
        self.usable(device)?;
        product.check()?;
        if product.rounding == Rounding::None && settings.math == TF32_MATH && product.is_all_f32() {
            product.rounding = Rounding::Tf32;
        }
        for (address, bytes) in product.ranges()? {
            self.check(device, address, bytes)?;
        }
        let stream = self.stream(context, settings.stream)?;
        self.count_launch(device)?;
        if product.is_empty() {
            return Ok(());
        }
        self.issue(stream, crate::driver::Work::Product(product)).map(drop)
    }
}
