//! Products in bf16 with weights however they are held. A backend may compute in f32, too; what it may not is to round one
//! factor alone, or otherwise than to the nearest.

use candle_core::{Device, Tensor};
use half::bf16;

use super::{
    numbers::{close, down, is_close, numbers, up, wide},
    products::{exact, held_in_all_ways},
};
use crate::{Backend, Held, Products};

/// A factor in double precision, as it is and rounded to bf16.
fn both(values: &[f32]) -> [Vec<f64>; 2] {
    let rounded: Vec<f32> = values.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    [wide(values), wide(&rounded)]
}

/// n rows of x, and the rows and columns of the weight. Less than a tile of a GPU's in every way, one and a part of one
/// more, and several; sums that are one step long, no whole number of steps, and more than there are places for; weights
/// with many blocks of scales; and some whose rows have no whole number of blocks, or are no multiple of 8.
const SIZES: [[usize; 3]; 7] =
    [[1, 8, 64], [5, 136, 64], [130, 40, 192], [3, 264, 320], [2, 5, 7], [17, 24, 72], [3, 30, 128]];

/// A product of a matrix's columns into those of another one.
#[derive(Debug, Clone, Copy)]
struct Case {
    n: usize,
    turned: bool,
    scale: f32,
    add: bool,
    /// Columns of x and of the result that stand before those of the product, and all others.
    beside_x: [usize; 2],
    beside_out: [usize; 2],
}

/// Both ways, scaled and added, out of some columns into some: as a whole, and where x is aligned and the result is not.
pub fn products_in_bf16_round_both_factors_to_the_nearest_or_none<B: Backend>(backend: &B) {
    for [n, rows, cols] in SIZES {
        let tensor = Tensor::from_vec(numbers(rows * cols, 4), (rows, cols), &Device::Cpu).unwrap();
        for held in held_in_all_ways(&tensor) {
            for turned in [false, true] {
                let whole = Case { n, turned, scale: 1.0, add: false, beside_x: [0, 0], beside_out: [0, 0] };
                let part = Case { scale: 0.5, add: true, beside_x: [8, 16], beside_out: [3, 5], ..whole };
                compare(backend, whole, &held);
                compare(backend, part, &held);
            }
        }
    }
}

fn compare<B: Backend>(backend: &B, case: Case, held: &Held) {
    let Case { n, turned, scale, add, beside_x, beside_out } = case;
    let (rows, cols) = held.dims().unwrap();
    let w = held.values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let on_device = held.to_device(backend.device()).unwrap();
    let (from, to) = if turned { (rows, cols) } else { (cols, rows) };
    let [x_columns, out_columns] =
        [(beside_x, from), (beside_out, to)].map(|([before, _], count)| before..before + count);
    let (x_width, out_width) = (from + beside_x[1], to + beside_out[1]);
    let (x, there) = (numbers(n * x_width, 5), numbers(n * out_width, 6));
    let read = up(backend, &x, x_width);
    let run = || {
        let mut out = up(backend, &there, out_width);
        let (columns, x) = (out.columns_mut(out_columns.clone()), read.columns(x_columns.clone()));
        backend.product_held(columns, x, &on_device, turned, scale, add, Products::Bf16).unwrap();
        down(backend, &out)
    };
    let found = run();
    let what = format!("{rows} × {cols}, {}, {case:?}", name(held));
    assert!(found == run(), "{what}: the same each time");

    let x: Vec<f32> = x.chunks(x_width).flat_map(|row| row[x_columns.clone()].iter().copied()).collect();
    let expected = |x: &[f64], w: &[f64]| {
        let product = exact(x, w, [n, from, to], [false, !turned]);
        let mut all = wide(&there);
        for (at, product) in product.into_iter().enumerate() {
            let place = at / to * out_width + out_columns.start + at % to;
            all[place] = if add { all[place] } else { 0.0 } + f64::from(scale) * product;
        }
        all
    };
    let ([x, rounded_x], [w, rounded_w]) = (both(&x), both(&w));
    if !is_close(&found, &expected(&rounded_x, &rounded_w), 1e-5) {
        close(&found, &expected(&x, &w), 1e-5, &what);
    }
}

fn name(held: &Held) -> &'static str {
    match held {
        Held::Plain(_) => "plain",
        Held::Nf4(_) => "nf4",
        Held::Int8(_) => "int8",
    }
}
