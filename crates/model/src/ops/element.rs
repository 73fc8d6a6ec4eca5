//! The two precisions in which tensors are held. Whatever is computed is computed in `f32`.

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

pub(crate) use compute::Element;

/// Elements that one task works on.
const PIECE: usize = 16 * 1024;

/// Runs a piece of code with `$T` standing for the element type of a dtype.
macro_rules! by_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            other => candle_core::bail!("tensors are f32 or bf16 here, not {other:?}"),
        }
    };
}
pub(super) use by_dtype;

/// The elements of a contiguous tensor.
pub(super) fn slice<'a, T: Element>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("an operand is not contiguous") };
    Ok(&T::cpu_storage_as_slice(storage)?[from..to])
}

/// Runs `f` on the elements of a tensor on the CPU, without a copy where it is contiguous.
pub(super) fn with_slice<T: Element, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => bail!("only the CPU is supported"),
    }
}

/// Two slices at once.
pub(super) fn with_slices<T: Element, U: Element, R>(
    a: &Tensor,
    b: &Tensor,
    f: impl FnOnce(&[T], &[U]) -> Result<R>,
) -> Result<R> {
    with_slice(a, |a| with_slice(b, |b| f(a, b)))
}

/// A tensor on the CPU that owns these elements.
pub(super) fn tensor<T: Element>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &candle_core::Device::Cpu)
}

/// Elements in `f32`, whatever they are held in.
pub(super) fn widened(storage: &CpuStorage, from: usize, to: usize) -> Result<Vec<f32>> {
    by_dtype!(storage_dtype(storage), T => {
        Ok(widened_slice(&T::cpu_storage_as_slice(storage)?[from..to]))
    })
}

pub(super) fn widened_slice<T: Element>(values: &[T]) -> Vec<f32> {
    values.par_iter().with_min_len(PIECE).map(|x| x.widen()).collect()
}

pub(super) fn narrowed<T: Element>(values: &[f32]) -> Vec<T> {
    values.par_iter().with_min_len(PIECE).map(|&x| T::narrow(x)).collect()
}

pub(super) fn storage_dtype(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}
