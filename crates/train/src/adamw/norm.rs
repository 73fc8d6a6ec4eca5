use candle_core::{CpuStorage, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use super::PIECE;

/// Σ x², in double precision and in an order that does not depend on the number of threads. Where rows
/// are given, all others of x are zero and are not looked at.
pub(crate) fn sum_of_squares(x: &Tensor, rows: Option<&[u32]>) -> Result<f64> {
    fn of<T: Into<f32> + Copy + Sync>(values: &[T]) -> f64 {
        let piece = |piece: &[T]| of_piece(piece);
        values.par_chunks(PIECE).map(piece).collect::<Vec<f64>>().iter().sum()
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("a gradient is not contiguous") };
    if let (Some(rows), Storage::Cpu(CpuStorage::F32(values))) = (rows, &*storage) {
        let width = layout.shape().dims2()?.1;
        let row = |&row: &u32| values[from..to].get(row as usize * width..(row as usize + 1) * width);
        return Ok(rows.iter().filter_map(row).map(of_piece).sum());
    }
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(of(&values[from..to])),
        Storage::Cpu(CpuStorage::BF16(values)) => Ok(of(&values[from..to])),
        _ => bail!("gradients are f32 or bf16 on the CPU"),
    }
}

model::vectorised! {
    /// In eight lanes, as many as the widest vectors have.
    fn of_piece<'a; T: [Into<f32> + Copy]>(values: &'a [T]) -> f64 {
        let mut lanes = [0f64; 8];
        let chunks = values.chunks_exact(8);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                let x = f64::from(x.into());
                *lane += x * x;
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(x.into()).powi(2);
        }
        lanes.iter().sum()
    }
}
