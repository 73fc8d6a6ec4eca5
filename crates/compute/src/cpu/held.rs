//! Products with a weight however it is held: one in fewer bits is widened strip by strip, never as a whole.

use candle_core::{CpuStorage, Result, Storage, bail};
use half::bf16;
use rayon::prelude::*;

use super::{View, ViewMut, buffer, product_in};
use crate::{Element, Held, Products};

/// Numbers that are widened at a time, which bounds the memory for them.
const STRIP: usize = 1 << 20;

/// Numbers that one task widens.
const PIECE: usize = 16 * 1024;

/// `out = s x wᵀ` or, `turned`, `out = s x w`; added to out with `add`.
pub(super) fn product(
    out: &mut ViewMut,
    x: View,
    weight: &Held,
    turned: bool,
    (scale, add): (f32, bool),
    products: Products,
) -> Result<()> {
    let (rows, k) = weight.dims()?;
    match weight {
        Held::Plain(tensor) => {
            let (storage, layout) = tensor.storage_and_layout();
            let Some((from, to)) = layout.contiguous_offsets() else { bail!("a weight is not contiguous") };
            match &*storage {
                Storage::Cpu(CpuStorage::F32(values)) => {
                    let w = View::new(&values[from..to], k);
                    let w = if turned { w } else { w.turned() };
                    product_in(products, out, x, w, scale, add)
                }
                Storage::Cpu(CpuStorage::BF16(values)) => {
                    let values = &values[from..to];
                    strips(out, x, (rows, k), turned, (scale, add), products, |first, strip| {
                        widen(&values[first * k..][..strip.len()], strip);
                        Ok(())
                    })
                }
                _ => bail!("a weight is held in {:?} and not on the CPU in f32 or bf16", tensor.dtype()),
            }
        }
        Held::Nf4(held) => strips(out, x, (rows, k), turned, (scale, add), products, |first, strip| {
            held.read(first * k, strip)
        }),
        Held::Int8(held) => {
            strips(out, x, (rows, k), turned, (scale, add), products, |first, strip| held.read(first, strip))
        }
    }
}

/// The same with a weight `[rows, k]` of which `fill` gives some rows, from the first of them on.
fn strips(
    out: &mut ViewMut,
    x: View,
    (rows, k): (usize, usize),
    turned: bool,
    (scale, add): (f32, bool),
    products: Products,
    fill: impl Fn(usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let at_once = (STRIP / k.max(1)).clamp(1, rows.max(1));
    let mut strip = buffer(at_once * k);
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        let strip = &mut strip[..count * k];
        fill(first, strip)?;
        let w = View::new(strip, k);
        if turned {
            product_in(products, out, x.columns(first..first + count), w, scale, add || first > 0)?;
        } else {
            let mut part = out.columns_mut(first..first + count);
            product_in(products, &mut part, x, w.turned(), scale, add)?;
        }
    }
    if rows == 0 && turned && !add {
        out.fill(0.0);
    }
    Ok(())
}

fn widen(from: &[bf16], to: &mut [f32]) {
    to.par_chunks_mut(PIECE).zip(from.par_chunks(PIECE)).for_each(|(to, from)| widen_piece(from, to));
}

crate::vectorised! {
    fn widen_piece<'a>(from: &'a [bf16], to: &'a mut [f32]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from.widen());
    }
}
