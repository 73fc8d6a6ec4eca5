//! cuBLAS handles of the driver, and the products that they issue.

use super::{Product, Rounding, Settings};
use crate::driver::{Driver, Error, Handle, Result, Work};

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
        self.issue(stream, Work::Product(product)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        blas::{Element, Matrix},
        driver::{
            Source,
            tests::{Gpu, gpu},
        },
        memory,
    };

    /// A product of `f32` in memory of its own, `m` × `n` × `k`, with what the arguments change of it.
    fn product(
        gpu: &mut Gpu,
        (m, n, k): (i64, i64, i64),
        change: impl FnOnce(&mut Product),
    ) -> (Product, Result<()>) {
        let mut matrix = |rows: i64, cols: i64| {
            let address = gpu.driver.allocate(gpu.context, (rows * cols * 4) as u64).unwrap();
            Matrix { address, element: Element::F32, leading: rows, stride: 0, transposed: false }
        };
        let (a, b, c) = (matrix(m, k), matrix(k, n), matrix(m, n));
        let function = "gemm";
        let (alpha, beta, rounding, double) = (1.0, 0.0, Rounding::None, false);
        let mut product = Product { function, a, b, c, m, n, k, batch: 1, alpha, beta, rounding, double };
        change(&mut product);
        let blas = gpu.driver.create_blas(gpu.context).unwrap();
        let result = gpu.driver.multiply(gpu.context, blas, product);
        (product, result)
    }

    #[test]
    fn products_outside_their_memory_and_wrong_leading_dimensions_are_refused() {
        let mut gpu = gpu(crate::settings::Settings::default());
        let sizes = (8, 6, 4);
        assert_eq!(product(&mut gpu, sizes, |_| {}).1, Ok(()));
        let wrong: [fn(&mut Product); 4] =
            [|p| p.a.leading = 7, |p| p.b.leading = 3, |p| p.c.leading = 7, |p| p.m = -1];
        for change in wrong {
            let (_, result) = product(&mut gpu, sizes, change);
            assert!(matches!(result, Err(Error::Argument(_))), "{result:?}");
        }
        let outside: [fn(&mut Product); 4] =
            [|p| p.a.leading = 9, |p| p.b.leading = 5, |p| p.c.leading = 9, |p| p.n = 7];
        for change in outside {
            let (_, result) = product(&mut gpu, sizes, change);
            assert!(matches!(result, Err(Error::Range(memory::Error::OutOfBounds { .. }))), "{result:?}");
        }
    }

    #[test]
    fn with_a_beta_of_zero_the_result_is_not_read() {
        let mut gpu = gpu(crate::settings::Settings::default());
        // All memory is NaN; the factors are set to 1 and the result is left as it is.
        let mut result = |beta: f64| {
            let (p, _) = product(&mut gpu, (3, 2, 5), |_| {});
            let ones = |n: usize| Source::Taken(1f32.to_le_bytes().repeat(n));
            gpu.driver.upload(gpu.legacy, p.a.address, ones(15)).unwrap();
            gpu.driver.upload(gpu.legacy, p.b.address, ones(10)).unwrap();
            let fresh = gpu.driver.allocate(gpu.context, 24).unwrap();
            let blas = gpu.driver.create_blas(gpu.context).unwrap();
            let again = Product { c: Matrix { address: fresh, ..p.c }, beta, ..p };
            gpu.driver.multiply(gpu.context, blas, again).unwrap();
            let bytes = gpu.driver.read(gpu.legacy, fresh, 24).unwrap();
            bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>()
        };
        assert_eq!(result(0.0), [5.0; 6]);
        assert!(result(1.0).iter().all(|x| x.is_nan()));
    }
}
