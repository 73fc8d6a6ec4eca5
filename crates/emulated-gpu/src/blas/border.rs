//! The C functions of libcublas that candle and our own backend call; signatures are those of CUDA 13's `cublas_api.h`.
#![allow(unsafe_code, non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)] // As in `driver/border`.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};

use half::f16;

use super::{Element, Matrix, Product, Rounding};
use crate::driver::{
    Error, Handle, Result,
    border::{Out, unsupported_functions, with, with_context},
};

/// `cublasStatus_t`.
type Status = c_int;

/// What `cublasGetVersion_v2` says: 13.0.2.
const VERSION: c_int = 130_002;

fn status(result: Result<()>) -> Status {
    match result {
        Ok(()) => 0,
        Err(
            Error::UnknownHandle { what: "cuBLAS handle", .. } | Error::NotInitialized | Error::NoContext,
        ) => 1,
        Err(Error::OutOfMemory { .. }) => 3,
        Err(Error::Argument(_) | Error::Null { .. } | Error::UnknownHandle { .. }) => 7,
        Err(Error::Internal { .. }) => 14,
        Err(Error::Unsupported(_)) => 15,
        Err(_) => 13,
    }
}

fn name(status: Status) -> &'static CStr {
    match status {
        0 => c"CUBLAS_STATUS_SUCCESS",
        1 => c"CUBLAS_STATUS_NOT_INITIALIZED",
        3 => c"CUBLAS_STATUS_ALLOC_FAILED",
        7 => c"CUBLAS_STATUS_INVALID_VALUE",
        13 => c"CUBLAS_STATUS_EXECUTION_FAILED",
        14 => c"CUBLAS_STATUS_INTERNAL_ERROR",
        15 => c"CUBLAS_STATUS_NOT_SUPPORTED",
        _ => c"<unknown>",
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusName(status: Status) -> *const c_char {
    name(status).as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusString(status: Status) -> *const c_char {
    name(status).as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasCreate_v2(handle: *mut Handle) -> Status {
    status(with_context("cublasCreate_v2", |driver, context| {
        let handle = Out::new(handle, "handle")?;
        handle.set(driver.create_blas(context)?);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasDestroy_v2(handle: Handle) -> Status {
    status(with("cublasDestroy_v2", |driver| {
        driver.blas_settings(handle)?;
        driver.blas.remove(&handle);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGetVersion_v2(_handle: Handle, version: *mut c_int) -> Status {
    status(with("cublasGetVersion_v2", |_| {
        Out::new(version, "version")?.set(VERSION);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasSetStream_v2(handle: Handle, stream: Handle) -> Status {
    status(with_context("cublasSetStream_v2", |driver, context| {
        driver.stream(context, stream)?;
        driver.blas_settings(handle)?.stream = stream;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGetStream_v2(handle: Handle, stream: *mut Handle) -> Status {
    status(with("cublasGetStream_v2", |driver| {
        Out::new(stream, "streamId")?.set(driver.blas_settings(handle)?.stream);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasSetMathMode(handle: Handle, mode: c_int) -> Status {
    status(with("cublasSetMathMode", |driver| {
        // The bit of reduced precision in sums changes nothing: sums are in `f32` always.
        if !matches!(mode & !16, 0..=3) {
            return Err(Error::Argument(format!("{mode} is no mode of cuBLAS")));
        }
        driver.blas_settings(handle)?.math = mode & !16;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGetMathMode(handle: Handle, mode: *mut c_int) -> Status {
    status(with("cublasGetMathMode", |driver| {
        Out::new(mode, "mode")?.set(driver.blas_settings(handle)?.math);
        Ok(())
    }))
}

/// The workspace is not used, but has to be the program's and aligned to 256 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasSetWorkspace_v2(handle: Handle, workspace: u64, bytes: usize) -> Status {
    status(with_context("cublasSetWorkspace_v2", |driver, context| {
        driver.blas_settings(handle)?;
        if !workspace.is_multiple_of(256) {
            return Err(Error::Argument(format!(
                "a workspace at {workspace:#x}, which is not aligned to 256"
            )));
        }
        let device = driver.device_of(context)?;
        driver.check(device, workspace, bytes as u64)
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasSetPointerMode_v2(handle: Handle, mode: c_int) -> Status {
    status(with("cublasSetPointerMode_v2", |driver| {
        if !matches!(mode, 0 | 1) {
            return Err(Error::Argument(format!("{mode} is no mode of pointers")));
        }
        driver.blas_settings(handle)?.device_scalars = mode == 1;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGetPointerMode_v2(handle: Handle, mode: *mut c_int) -> Status {
    status(with("cublasGetPointerMode_v2", |driver| {
        let device = driver.blas_settings(handle)?.device_scalars;
        Out::new(mode, "mode")?.set(c_int::from(device));
        Ok(())
    }))
}

/// How a `cublasComputeType_t` computes: the kind of its factors `alpha` and `beta`, how it rounds `f32` inputs, and
/// whether it sums in `f64`.
fn compute(number: c_int) -> Result<(Element, Rounding, bool)> {
    Ok(match number {
        64 | 65 => (Element::F16, Rounding::None, false),
        68 | 69 => (Element::F32, Rounding::None, false),
        74 => (Element::F32, Rounding::F16, false),
        75 => (Element::F32, Rounding::Bf16, false),
        77 => (Element::F32, Rounding::Tf32, false),
        70 | 71 => (Element::F64, Rounding::None, true),
        other => return Err(Error::Unsupported(format!("cuBLAS' compute type {other}"))),
    })
}

/// Which kinds of factors and results go with a way of computing (cuBLAS documentation, `cublasGemmEx`).
fn supported(scalars: Element, a: Element, b: Element, c: Element) -> bool {
    use Element::{Bf16, F16, F32, F64};
    a == b
        && match scalars {
            F16 => a == F16 && c == F16,
            F64 => a == F64 && c == F64,
            _ => matches!((a, c), (F32, F32) | (F16, F16) | (F16, F32) | (Bf16, Bf16) | (Bf16, F32)),
        }
}

/// Reads `alpha` or `beta` from the host.
fn scalar(pointer: *const c_void, element: Element, argument: &'static str) -> Result<f64> {
    Out::new(pointer.cast_mut(), argument)?;
    // SAFETY: the caller promises a number of the kind that the way of computing has.
    Ok(unsafe {
        match element {
            Element::F64 => pointer.cast::<f64>().read_unaligned(),
            Element::F16 => f16::to_f64(pointer.cast::<f16>().read_unaligned()),
            _ => f64::from(pointer.cast::<f32>().read_unaligned()),
        }
    })
}

/// `cublasOperation_t`; to conjugate real numbers changes nothing.
fn transposed(operation: c_int) -> Result<bool> {
    match operation {
        0 => Ok(false),
        1 | 2 => Ok(true),
        other => Err(Error::Argument(format!("{other} is no operation of cuBLAS"))),
    }
}

/// A matrix as the C functions describe it: operation, address, kind by number, leading dimension, stride.
type Described = (c_int, u64, c_int, c_int, c_longlong);

fn matrix((operation, address, kind, leading, stride): Described) -> Result<Matrix> {
    let element = Element::from_number(kind);
    let element = element.ok_or_else(|| Error::Unsupported(format!("cuBLAS' kind of numbers {kind}")))?;
    Ok(Matrix { address, element, leading: leading.into(), stride, transposed: transposed(operation)? })
}

fn multiply(
    function: &'static str,
    handle: Handle,
    (m, n, k, batch): (c_int, c_int, c_int, c_int),
    (alpha, beta): (*const c_void, *const c_void),
    a: Described,
    b: Described,
    c: Described,
    compute_type: c_int,
) -> Status {
    status(with_context(function, |driver, context| {
        if driver.blas_settings(handle)?.device_scalars {
            return Err(Error::Unsupported("alpha and beta in device memory".into()));
        }
        let (scalars, rounding, double) = compute(compute_type)?;
        let (a, b, c) = (matrix(a)?, matrix(b)?, matrix(c)?);
        if !supported(scalars, a.element, b.element, c.element) {
            let kinds = format!("{:?} × {:?} = {:?}", a.element, b.element, c.element);
            return Err(Error::Unsupported(format!("{kinds} with compute type {compute_type}")));
        }
        let product = Product {
            function,
            a,
            b,
            c,
            m: m.into(),
            n: n.into(),
            k: k.into(),
            batch: batch.into(),
            alpha: scalar(alpha, scalars, "alpha")?,
            beta: scalar(beta, scalars, "beta")?,
            rounding,
            double,
        };
        driver.multiply(context, handle, product)
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGemmEx(
    handle: Handle,
    transa: c_int,
    transb: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    a_type: c_int,
    lda: c_int,
    b: u64,
    b_type: c_int,
    ldb: c_int,
    beta: *const c_void,
    c: u64,
    c_type: c_int,
    ldc: c_int,
    compute_type: c_int,
    _algorithm: c_int,
) -> Status {
    let (a, b, c) = ((transa, a, a_type, lda, 0), (transb, b, b_type, ldb, 0), (0, c, c_type, ldc, 0));
    multiply("cublasGemmEx", handle, (m, n, k, 1), (alpha, beta), a, b, c, compute_type)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGemmStridedBatchedEx(
    handle: Handle,
    transa: c_int,
    transb: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    a_type: c_int,
    lda: c_int,
    stride_a: c_longlong,
    b: u64,
    b_type: c_int,
    ldb: c_int,
    stride_b: c_longlong,
    beta: *const c_void,
    c: u64,
    c_type: c_int,
    ldc: c_int,
    stride_c: c_longlong,
    batch: c_int,
    compute_type: c_int,
    _algorithm: c_int,
) -> Status {
    let a = (transa, a, a_type, lda, stride_a);
    let b = (transb, b, b_type, ldb, stride_b);
    let c = (0, c, c_type, ldc, stride_c);
    let name = "cublasGemmStridedBatchedEx";
    multiply(name, handle, (m, n, k, batch), (alpha, beta), a, b, c, compute_type)
}

/// The products of one kind of numbers: `cublasSgemm` and `cublasDgemm` with their batched forms.
macro_rules! products {
    ($($single:ident, $batched:ident, $scalar:ty, $kind:literal, $compute:literal;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $single(
            handle: Handle,
            transa: c_int,
            transb: c_int,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: *const $scalar,
            a: u64,
            lda: c_int,
            b: u64,
            ldb: c_int,
            beta: *const $scalar,
            c: u64,
            ldc: c_int,
        ) -> Status {
            let (a, b, c) = ((transa, a, $kind, lda, 0), (transb, b, $kind, ldb, 0), (0, c, $kind, ldc, 0));
            let scalars = (alpha.cast(), beta.cast());
            multiply(stringify!($single), handle, (m, n, k, 1), scalars, a, b, c, $compute)
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $batched(
            handle: Handle,
            transa: c_int,
            transb: c_int,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: *const $scalar,
            a: u64,
            lda: c_int,
            stride_a: c_longlong,
            b: u64,
            ldb: c_int,
            stride_b: c_longlong,
            beta: *const $scalar,
            c: u64,
            ldc: c_int,
            stride_c: c_longlong,
            batch: c_int,
        ) -> Status {
            let a = (transa, a, $kind, lda, stride_a);
            let b = (transb, b, $kind, ldb, stride_b);
            let c = (0, c, $kind, ldc, stride_c);
            let scalars = (alpha.cast(), beta.cast());
            multiply(stringify!($batched), handle, (m, n, k, batch), scalars, a, b, c, $compute)
        }
    )*};
}

products! {
    cublasSgemm_v2, cublasSgemmStridedBatched, f32, 0, 68;
    cublasDgemm_v2, cublasDgemmStridedBatched, f64, 1, 70;
}

unsupported_functions! { status:
    cublasGemmGroupedBatchedEx cublasSasum_v2 cublasDasum_v2 cublasSgemv_v2 cublasDgemv_v2 cublasHgemm
}
