//! Sums of squares in double precision.

use candle_core::{Result, cuda_backend::WrapErr};

use super::{
    buffer::{Ids, address},
    device::{Cuda, Grid, args},
    factor::Factor,
};

/// Numbers that a block sums.
const PIECE: usize = 1 << 15;

/// Σ x² of several matrices, or of the rows of each that are given, with one wait for all.
pub(super) fn sums(cuda: &Cuda, all: &[(Factor, Option<&Ids>)]) -> Result<Vec<f64>> {
    let pieces: Vec<usize> = all
        .iter()
        .map(|(x, ids)| (ids.map_or(x.rows, |ids| ids.host.len()) * x.cols).div_ceil(PIECE))
        .collect();
    let total: usize = pieces.iter().sum();
    if total == 0 {
        return Ok(vec![0.0; all.len()]);
    }
    let parts = cuda.alloc::<f64>(total)?;
    let mut to = address(&parts, cuda.stream());
    for ((x, ids), &pieces) in all.iter().zip(&pieces) {
        let rows = match ids {
            Some(ids) => {
                ids.check(x.rows)?;
                ids.host.len()
            }
            None => x.rows,
        };
        let on_device = ids.map_or(0, |ids| ids.address(cuda));
        let args = args![to, x.address, x.stride, on_device, rows, x.cols as u32, PIECE];
        cuda.launch("squares", Grid::blocks(pieces as u32, 1), args)?;
        to += 8 * pieces as u64;
    }
    let parts = cuda.stream().clone_dtoh(&parts).w()?;
    let mut rest = &parts[..];
    Ok(pieces
        .into_iter()
        .map(|pieces| {
            let (own, after) = rest.split_at(pieces);
            rest = after;
            own.iter().sum()
        })
        .collect())
}
