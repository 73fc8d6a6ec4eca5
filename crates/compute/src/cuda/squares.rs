//! Sums of squares in double precision.

use candle_core::{
    Result,
    cuda_backend::{WrapErr, cudarc::driver::CudaSlice},
};

use super::{
    buffer::{Ids, Part, address},
    device::{Cuda, Grid, args},
    factor::Factor,
    rows,
};

/// Numbers that a block sums.
const PIECE: usize = 1 << 15;

/// Sums of squares that the device may still be computing.
#[derive(Debug)]
pub struct Sums {
    /// What each block has summed, matrix by matrix.
    parts: CudaSlice<f64>,
    /// Blocks of each matrix.
    pieces: Vec<usize>,
}

impl Sums {
    fn parts(&self) -> usize {
        self.pieces.iter().sum()
    }
}

/// Starts Σ x² of several matrices, or of the rows of each that are given.
pub(super) fn start(cuda: &Cuda, all: &[(Factor, Option<&Ids>)]) -> Result<Sums> {
    let pieces: Vec<usize> = all
        .iter()
        .map(|(x, ids)| (ids.map_or(x.rows, |ids| ids.host.len()) * x.cols).div_ceil(PIECE))
        .collect();
    let parts = cuda.alloc::<f64>(pieces.iter().sum())?;
    let mut to = address(&parts, cuda.stream());
    for ((x, ids), &pieces) in all.iter().zip(&pieces) {
        let rows = match ids {
            Some(ids) => {
                ids.check(x.rows)?;
                ids.host.len()
            }
            None => x.rows,
        };
        let on_device = ids.map_or(0, |ids| ids.address());
        let args = args![to, x.address, x.stride, on_device, rows, x.cols as u32, PIECE];
        cuda.launch("squares", Grid::blocks(pieces as u32, 1), args)?;
        to += 8 * pieces as u64;
    }
    Ok(Sums { parts, pieces })
}

/// Reads sums, and single numbers, in one copy to the host, which is all that is waited for.
pub(super) fn read(cuda: &Cuda, all: &[Sums], scalars: &[Part]) -> Result<(Vec<Vec<f64>>, Vec<f32>)> {
    // In words of 32 bits: two for each part, one for each scalar.
    let of_parts = 2 * all.iter().map(Sums::parts).sum::<usize>();
    let total = of_parts + scalars.len();
    if total == 0 {
        return Ok((all.iter().map(|sums| vec![0.0; sums.pieces.len()]).collect(), Vec::new()));
    }
    let words = cuda.alloc::<f32>(total)?;
    let mut to = address(&words, cuda.stream());
    let mut gather = |from: u64, words: usize| {
        let place = to;
        to += 4 * words as u64;
        rows::copy(cuda, Factor::rows(place, 1, words), Factor::rows(from, 1, words))
    };
    for sums in all {
        gather(address(&sums.parts, cuda.stream()), 2 * sums.parts())?;
    }
    for scalar in scalars {
        gather(scalar.address, 1)?;
    }
    let words = cuda.stream().clone_dtoh(&words).w()?;
    let (parts, scalars) = words.split_at(of_parts);
    let mut parts = parts
        .chunks_exact(2)
        .map(|pair| f64::from_bits(u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32));
    let sums = all.iter().map(|sums| sums.pieces.iter().map(|&n| parts.by_ref().take(n).sum()).collect());
    Ok((sums.collect(), scalars.to_vec()))
}
