//! Products with weights however they are held. What is not in the type of the product is brought there tile by tile in the
//! product's own kernel, or strip by strip.

use candle_core::{DType, Result, bail};

use super::{
    buffer::{address, tensor},
    device::{Cuda, Grid, args},
    factor::Factor,
    product::product,
    rows::narrow,
    tiles,
};
use crate::{Held, Products};

/// Numbers of a weight that are unpacked at a time: 32 MiB of them.
const STRIP: usize = 8 << 20;

/// out = s x wᵀ, or with `turned` s x w, or added to what is there; see the contract.
pub(super) fn product_held(
    cuda: &Cuda,
    out: Factor,
    x: Factor,
    weight: &Held,
    turned: bool,
    scaled: (f32, bool),
    products: Products,
) -> Result<()> {
    let (rows, cols) = weight.dims()?;
    match weight {
        Held::Plain(w) if w.dtype() == DType::F32 => {
            let w = Factor::rows(tensor(cuda, w, DType::F32)?, rows, cols);
            product(cuda, out, x, if turned { w } else { w.turned() }, scaled, products)
        }
        Held::Plain(w) if products == Products::Bf16 && w.dtype() == DType::BF16 => {
            let w = Factor { bf16: true, ..Factor::rows(tensor(cuda, w, DType::BF16)?, rows, cols) };
            let w = if turned { w } else { w.turned() };
            if x.rounded != 0 {
                return product(
                    cuda,
                    out,
                    Factor { address: x.rounded, bf16: true, ..x },
                    w,
                    scaled,
                    products,
                );
            }
            let narrowed = narrow(cuda, x)?;
            let x = Factor { address: address(&narrowed, cuda.stream()), stride: x.cols, bf16: true, ..x };
            product(cuda, out, x, w, scaled, products)
        }
        _ if !x.turned && tiles::fit(weight, products)? => {
            tiles::product(cuda, out, x, weight, turned, scaled)
        }
        _ => by_strips(cuda, out, x, weight, turned, scaled, products),
    }
}

fn by_strips(
    cuda: &Cuda,
    out: Factor,
    x: Factor,
    weight: &Held,
    turned: bool,
    (scale, add): (f32, bool),
    products: Products,
) -> Result<()> {
    let (rows, cols) = weight.dims()?;
    let at_once = (STRIP / cols.max(1)).clamp(1, rows.max(1));
    let strip = cuda.scratch(at_once * cols)?;
    let to = strip.all().address;
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        read(cuda, to, weight, first, count)?;
        let w = Factor::rows(to, count, cols);
        // Rows of the weight are columns of x where it is a gradient, else columns of the result.
        let columns = |of: Factor| Factor { address: of.address + 4 * first as u64, cols: count, ..of };
        if turned {
            product(cuda, out, columns(x), w, (scale, add || first > 0), products)?;
        } else {
            product(cuda, columns(out), x, w.turned(), (scale, add), products)?;
        }
    }
    Ok(())
}

/// Rows of a weight as f32.
fn read(cuda: &Cuda, to: u64, weight: &Held, first: usize, rows: usize) -> Result<()> {
    let cols = weight.dims()?.1;
    let (from, count) = (first * cols, rows * cols);
    let grid = Grid::of(count);
    match weight {
        Held::Plain(w) if w.dtype() == DType::BF16 => {
            let address = tensor(cuda, w, DType::BF16)? + 2 * from as u64;
            cuda.launch("widen", grid, args![to, address, count])
        }
        Held::Plain(w) => bail!("a weight is held in {:?}, and not in f32 or bf16", w.dtype()),
        Held::Nf4(held) => {
            let ([codes, scales, scales_of_scales], mean) = held.tensors();
            let [codes, scales] = [codes, scales].map(|part| tensor(cuda, part, DType::U8));
            let scales_of_scales = tensor(cuda, scales_of_scales, DType::F32)?;
            let book = address(&cuda.books().nf4, cuda.stream());
            cuda.launch(
                "read_nf4",
                grid,
                args![to, codes?, scales?, scales_of_scales, book, mean, from, count],
            )
        }
        Held::Int8(held) => {
            let [codes, largest] = held.tensors();
            let (codes, largest) = (tensor(cuda, codes, DType::U8)?, tensor(cuda, largest, DType::F32)?);
            cuda.launch("read_int8", grid, args![to, codes, largest, first, cols as u32, count])
        }
    }
}
