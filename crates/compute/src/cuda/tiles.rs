//! Products in bf16 with weights in 4 and 8 bits, whose numbers a kernel makes tile by tile in shared memory.

use candle_core::{DType, Result, bail};

use super::{
    buffer::{address, tensor},
    device::{Arg, Cuda, Grid, args},
    factor::Factor,
    rows::narrow,
};
use crate::{
    Held, Products,
    quantised::{CHUNK, has_tiles},
};

/// Rows and columns of the result that a block makes, its threads, and bytes of its shared memory: as in the kernels.
const TILE: usize = 128;
const THREADS: u32 = 256;
const TILES: u32 = (3 + 2) * (128 * 32 * 2);
/// The numbers of NF4 and of its scales, which lie behind the tiles.
const TABLES: u32 = (16 + 256) * 4;
/// Whether products with a weight are made so: in bf16, with one in 4 or 8 bits whose rows are a multiple of 64 numbers and
/// which has a multiple of 8 of them. All others are made strip by strip.
pub(super) fn fit(weight: &Held, products: Products) -> Result<bool> {
    Ok(products == Products::Bf16 && !matches!(weight, Held::Plain(_)) && has_tiles(weight.dims()?))
}

/// out = s x wᵀ, or with `turned` s x w, or added to what is there, for a weight that fits; x as it lies.
pub(super) fn product(
    cuda: &Cuda,
    out: Factor,
    x: Factor,
    weight: &Held,
    turned: bool,
    (scale, add): (f32, bool),
) -> Result<()> {
    let (rows, cols) = weight.dims()?;
    let (depth, columns) = if turned { (rows, cols) } else { (cols, rows) };
    if x.turned || x.cols != depth || (out.rows, out.cols) != (x.rows, columns) {
        let ((n, k), way) = (x.shape(), if turned { "" } else { "ᵀ" });
        bail!(
            "[{n}, {k}] times a weight{way} of [{rows}, {cols}] cannot be written to [{}, {}]",
            out.rows,
            out.cols
        );
    }
    let aligned = x.rounded.is_multiple_of(2 * CHUNK as u64) && x.stride.is_multiple_of(CHUNK);
    let narrowed = if x.rounded != 0 && aligned { None } else { Some(narrow(cuda, x)?) };
    let (from, stride) = match &narrowed {
        Some(narrowed) => (address(narrowed, cuda.stream()), x.cols),
        None => (x.rounded, x.stride),
    };
    let blocks = [x.rows.div_ceil(TILE) as u32, columns.div_ceil(TILE) as u32, 1];
    let of_product: &[Arg] =
        args![out.address, out.stride, from, stride, x.rows as u32, rows as u32, cols as u32, scale, add];
    let (name, of_weight, tables): (_, Vec<Arg>, _) = match weight {
        Held::Plain(_) => bail!("a plain weight has no codes to make tiles of"),
        Held::Nf4(held) => {
            let ([codes, scales, scales_of_scales], mean) = held.tensors();
            let [codes, scales] = [codes, scales].map(|part| tensor(cuda, part, DType::U8));
            let scales_of_scales = tensor(cuda, scales_of_scales, DType::F32)?;
            let book = address(&cuda.books().nf4, cuda.stream());
            ("product_nf4", args![codes?, scales?, scales_of_scales, book, mean].into(), TABLES)
        }
        Held::Int8(held) => {
            let [codes, largest] = held.tensors();
            let (codes, largest) = (tensor(cuda, codes, DType::U8)?, tensor(cuda, largest, DType::F32)?);
            ("product_int8", args![codes, largest].into(), 0)
        }
    };
    let name = if turned { format!("{name}_turned") } else { name.to_owned() };
    let grid = Grid { blocks, threads: THREADS, shared: TILES + tables };
    cuda.launch(&name, grid, &[of_product, &of_weight].concat())
}
