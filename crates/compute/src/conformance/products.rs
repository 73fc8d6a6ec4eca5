use candle_core::{DType, Device, Tensor};

use super::numbers::{close, down, numbers, up, wide};
use crate::{
    Backend, Held, Products,
    quantised::{Int8, Nf4},
};

/// a `[m, k]` and b `[k, n]` in double precision; either may lie turned.
fn exact(a: &[f64], b: &[f64], [m, k, n]: [usize; 3], turned: [bool; 2]) -> Vec<f64> {
    let a = |row: usize, at: usize| a[if turned[0] { at * m + row } else { row * k + at }];
    let b = |at: usize, column: usize| b[if turned[1] { column * k + at } else { at * n + column }];
    let of = |place: usize| (0..k).map(|at| a(place / n, at) * b(at, place % n)).sum();
    (0..m * n).map(of).collect()
}

/// Into some columns of a result, with either factor turned, scaled, and added to what is there.
pub fn products_are_those_of_the_definition<B: Backend>(backend: &B) {
    for sizes @ [m, k, n] in [[1, 1, 1], [3, 5, 2], [17, 33, 9], [70, 12, 65], [0, 4, 3], [130, 96, 31]] {
        for turned in [[false, false], [true, false], [false, true], [true, true]] {
            for (scale, add) in [(1.0, false), (0.5, true)] {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let before = numbers(m * (n + 3), 3);
                let mut out = up(backend, &before, n + 3);
                let a_on = up(backend, &a, if turned[0] { m.max(1) } else { k });
                let b_on = up(backend, &b, if turned[1] { k } else { n });
                let left = if turned[0] { a_on.all().turned() } else { a_on.all() };
                let right = if turned[1] { b_on.all().turned() } else { b_on.all() };
                if m == 0 {
                    continue;
                }
                backend.product(out.columns_mut(2..2 + n), left, right, scale, add, Products::F32).unwrap();
                let product = exact(&wide(&a), &wide(&b), sizes, turned);
                let mut expected = wide(&before);
                for (place, product) in product.iter().enumerate() {
                    let at = place / n * (n + 3) + 2 + place % n;
                    let there = if add { expected[at] } else { 0.0 };
                    expected[at] = there + f64::from(scale) * product;
                }
                let found = down(backend, &out);
                close(&found, &expected, 1e-5, &format!("{sizes:?} {turned:?} {scale} {add}"));
            }
        }
    }
}

/// However a weight is held the product is that of its numbers; the large one is read in several strips.
pub fn products_with_held_weights_are_those_of_their_numbers<B: Backend>(backend: &B) {
    for [n, k, out] in [[1, 1, 1], [3, 7, 5], [17, 130, 66], [2, 1030, 1100]] {
        let tensor = Tensor::from_vec(numbers(out * k, 4), (out, k), &Device::Cpu).unwrap();
        for on_host in held_in_all_ways(&tensor) {
            let w = on_host.values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let held = on_host.to_device(backend.device()).unwrap();
            let name = format!("{n} × {k} × {out}, {on_host:?}").chars().take(80).collect::<String>();
            for (scale, add) in [(1.0, false), (0.5, true)] {
                let (x, g) = (numbers(n * k, 5), numbers(n * out, 6));
                let (before, before_dx) = (numbers(n * out, 7), numbers(n * k, 8));
                let mut y = up(backend, &before, out);
                let read = up(backend, &x, k);
                backend
                    .product_held(y.all_mut(), read.all(), &held, false, scale, add, Products::F32)
                    .unwrap();
                let sum = |before: &[f32], product: Vec<f64>| -> Vec<f64> {
                    let there = before.iter().map(|&x| if add { f64::from(x) } else { 0.0 });
                    there.zip(product).map(|(there, x)| there + f64::from(scale) * x).collect()
                };
                let expected = exact(&wide(&x), &wide(&w), [n, k, out], [false, true]);
                close(&down(backend, &y), &sum(&before, expected), 1e-5, &name);
                let mut dx = up(backend, &before_dx, k);
                let g_on = up(backend, &g, out);
                backend
                    .product_held(dx.all_mut(), g_on.all(), &held, true, scale, add, Products::F32)
                    .unwrap();
                let expected = exact(&wide(&g), &wide(&w), [n, out, k], [false, false]);
                close(&down(backend, &dx), &sum(&before_dx, expected), 1e-5, &format!("{name}, turned"));
            }
        }
    }
}

fn held_in_all_ways(tensor: &Tensor) -> Vec<Held> {
    vec![
        Held::from(tensor.clone()),
        Held::from(tensor.to_dtype(DType::BF16).unwrap()),
        Held::Nf4(Nf4::quantise(tensor).unwrap().into()),
        Held::Int8(Int8::quantise(tensor).unwrap().into()),
    ]
}
