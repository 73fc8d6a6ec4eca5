//! Products of matrices, by cuBLAS.
#![allow(unsafe_code)]

use candle_core::{
    Result, bail,
    cuda_backend::{
        WrapErr,
        cudarc::cublas::{
            result::gemm_ex,
            sys::{cublasComputeType_t, cublasGemmAlgo_t, cudaDataType_t},
        },
    },
};

use super::{device::Cuda, factor::Factor, rows};
use crate::Products;

/// out = s a b, or out += s a b with `add`; both factors in the same type, out in f32, sums in f32.
pub(super) fn product(
    cuda: &Cuda,
    out: Factor,
    a: Factor,
    b: Factor,
    (scale, add): (f32, bool),
    products: Products,
) -> Result<()> {
    let ((m, k), (k_of_b, n)) = (a.shape(), b.shape());
    if k != k_of_b || (out.rows, out.cols) != (m, n) || a.bf16 != b.bf16 {
        bail!("[{m}, {k}] times [{k_of_b}, {n}] cannot be written to [{}, {}]", out.rows, out.cols);
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        return if add { Ok(()) } else { rows::clear_part(cuda, out) };
    }
    let int = |number: usize| -> Result<i32> {
        i32::try_from(number)
            .map_err(|_| candle_core::Error::Msg(format!("a matrix of {number} is too large")))
    };
    let compute = match (a.bf16, products) {
        (true, _) | (false, Products::F32) => cublasComputeType_t::CUBLAS_COMPUTE_32F,
        (false, Products::Tf32) => cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
        (false, Products::Bf16) => cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF,
    };
    let beta = if add { 1f32 } else { 0.0 };
    // A leading dimension is no smaller than a column, also of a matrix of one row.
    let leading = |factor: &Factor| int(factor.stride.max(factor.cols).max(1));
    let blas = cuda.candle().cublas_handle();
    cuda.stream().context().bind_to_thread().w()?;
    let name = || format!("product {m} × {k} × {n} in {}", if a.bf16 { "bf16" } else { "f32" });
    let [wide, deep, inner] = [int(n)?, int(m)?, int(k)?];
    let [of_b, of_a, of_out] = [leading(&b)?, leading(&a)?, leading(&out)?];
    // SAFETY: the matrices lie within memory of the device, as `Place` says, and cuBLAS works on the stream that they are
    // used on. To cuBLAS our rows are columns: it computes outᵀ = bᵀ aᵀ.
    let launch = || unsafe {
        gemm_ex(
            *blas.handle(),
            b.operation(),
            a.operation(),
            wide,
            deep,
            inner,
            std::ptr::from_ref(&scale).cast(),
            b.address as *const _,
            b.kind(),
            of_b,
            a.address as *const _,
            a.kind(),
            of_a,
            std::ptr::from_ref(&beta).cast(),
            out.address as *mut _,
            cudaDataType_t::CUDA_R_32F,
            of_out,
            compute,
            cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
        .w()
    };
    cuda.profiled(name, launch)
}
