use candle_core::{DType, Device, Tensor};

use super::numbers::{angles_of, close, down, numbers, up, wide};
use crate::{
    Activation, Backend, Closing, Heads, Held, In, Matrix, NormGradients, NormKind, NormOf, Products, Span,
    Sum, Texts, Turned,
    quantised::{Int8, Nf4},
};

/// a `[m, k]` and b `[k, n]` in double precision; either may lie turned.
pub(super) fn exact(a: &[f64], b: &[f64], [m, k, n]: [usize; 3], turned: [bool; 2]) -> Vec<f64> {
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

pub(super) fn held_in_all_ways(tensor: &Tensor) -> Vec<Held> {
    vec![
        Held::from(tensor.clone()),
        Held::from(tensor.to_dtype(DType::BF16).unwrap()),
        Held::Nf4(Nf4::quantise(tensor).unwrap().into()),
        Held::Int8(Int8::quantise(tensor).unwrap().into()),
    ]
}

/// A device may keep a matrix beside itself as products read it, whoever wrote it, and none of what was there before.
pub fn products_read_what_was_written_last<B: Backend>(backend: &B) {
    let (n, d) = (11, 128);
    // Of all columns, and of the last of them.
    let weights = [(10, d), (16, d), (16, d / 2)].into_iter().flat_map(|(out, cols)| {
        let w = Tensor::from_vec(numbers(out * cols, 4), (out, cols), &Device::Cpu).unwrap();
        held_in_all_ways(&w)
    });
    for held in weights.filter(|held| !matches!(held, Held::Plain(w) if w.dtype() == DType::F32)) {
        products_read_it(backend, &held.to_device(backend.device()).unwrap(), [n, d]);
    }
}

fn products_read_it<B: Backend>(backend: &B, held: &Held, [n, d]: [usize; 2]) {
    let (out, cols) = held.dims().unwrap();
    let product = |x: In<B>| {
        let mut y = Matrix::new(backend, n, out).unwrap();
        let x = x.columns(d - cols..d);
        backend.product_held(y.all_mut(), x, held, false, 1.0, false, Products::Bf16).unwrap();
        down(backend, &y)
    };
    let (x, ones) =
        (up(backend, &numbers(n * d, 1), d), Tensor::ones(d, DType::F32, backend.device()).unwrap());
    let norm = NormOf { kind: NormKind::RootMeanSquare, weight: &ones, bias: None, eps: 1e-5 };
    let turns: Vec<f32> = (0..n * d / 4).map(|at| (at as f32).sin()).collect();
    let angles = angles_of(backend, &turns, &turns, d / 4);
    type Writing<'a, B> = (&'a str, Box<dyn Fn(&mut Matrix<B>) + 'a>);
    let writings: [Writing<B>; 7] = [
        ("norm", Box::new(|to| backend.norm(norm, to.all_mut().values, x.all().values, vec![]).unwrap())),
        (
            "a block's end",
            Box::new(|to| {
                let mut sum = up(backend, &numbers(n * d, 2), d);
                let closing = Closing { added: None, bias: None, dropout: None, residual: x.all().values };
                let (sum, y) = (sum.all_mut().values, to.all_mut().values);
                backend.close_and_norm(sum, closing, norm, y, vec![]).unwrap();
            }),
        ),
        (
            "a norm's backward",
            Box::new(|to| {
                let mut g = up(backend, &numbers(n * d, 3), d);
                let none = NormGradients { weight: None, bias: None };
                let (dx, g) = (Sum { values: to.all_mut().values, add: false }, g.all_mut().values);
                backend.norm_backward(norm, dx, x.all().values, g, None, true, none).unwrap();
            }),
        ),
        (
            "an activation",
            Box::new(|to| {
                let mut u = up(backend, &numbers(2 * n * d, 3), 2 * d);
                let (y, u) = (to.all_mut().values, u.all_mut().values);
                backend.activation(Activation::Silu, true, y, u, None, d).unwrap();
            }),
        ),
        (
            "an activation's backward",
            Box::new(|to| {
                let mut g = up(backend, &numbers(n * d, 3), d);
                backend.copy(to.all_mut(), x.all()).unwrap();
                let (u, g) = (to.all_mut().values, g.all_mut().values);
                backend.activation_backward(Activation::Gelu, false, u, g, None, d).unwrap();
            }),
        ),
        (
            "a rotation",
            Box::new(|to| {
                backend.copy(to.all_mut(), x.all()).unwrap();
                backend.rotate(to.all_mut(), None, &angles, 1, d - 5, false).unwrap();
            }),
        ),
        ("a sum", Box::new(|to| backend.add(to.all_mut().values, x.all().values).unwrap())),
    ];
    let mut beside = Matrix::new(backend, n, d).unwrap();
    backend.read_by(&mut beside.buffer, held, Products::Bf16).unwrap();
    let mut plain = Matrix::new(backend, n, d).unwrap();
    for (name, write) in &writings {
        write(&mut beside);
        write(&mut plain);
        assert_eq!(down(backend, &beside), down(backend, &plain), "{name}");
        assert_eq!(product(beside.all()), product(plain.all()), "a product after {name}");
        let [some, same] = [&beside, &plain].map(|x| product(x.columns(0..d)));
        assert_eq!(some, same, "a product with a view after {name}");
    }
    let before = product(beside.all());
    backend.clear(beside.all_mut().values).unwrap();
    assert_ne!(product(beside.all()), before, "zeros");
    assert!(product(beside.all()).iter().all(|&x| x == 0.0));
}

/// Heads of each size that a device is likely to have products in bf16 for, and one that is none. Afterwards the device
/// gives back what it has kept beside them, and the numbers are the same.
pub fn products_read_what_attention_gives<B: Backend>(backend: &B) {
    for d in [32, 64, 96, 128, 33] {
        let (heads, out) = (Heads { query: 2, key_value: 1, d }, 5);
        let texts = Texts::new(backend, [0, 3, 70].into()).unwrap();
        let total = texts.total();
        let qkv = up(backend, &numbers(total * heads.width(), 1), heads.width());
        let w = Tensor::from_vec(numbers(out * 2 * d, 2), (out, 2 * d), &Device::Cpu).unwrap();
        let held = Held::from(w.to_dtype(DType::BF16).unwrap()).to_device(backend.device()).unwrap();
        let [mut plain, mut beside] = [(); 2].map(|()| Matrix::new(backend, total, 2 * d).unwrap());
        backend.read_by(&mut beside.buffer, &held, Products::Bf16).unwrap();
        let keeps = backend.attention_keeps(total, heads);
        let mut kept = backend.buffer(keeps).unwrap();
        for to in [&mut plain, &mut beside] {
            let (to, kept) = (to.all_mut().values, B::write(&mut kept, 0..keeps));
            let (qkv, span) = (qkv.all().values, Span::CAUSAL);
            backend.attention(to, kept, qkv, &texts, heads, span, None, Products::Bf16).unwrap();
        }
        let product = |x: &Matrix<B>| {
            let mut y = Matrix::new(backend, total, out).unwrap();
            backend.product_held(y.all_mut(), x.all(), &held, false, 1.0, false, Products::Bf16).unwrap();
            down(backend, &y)
        };
        assert_eq!(product(&beside), product(&plain), "heads of {d}");
        backend.read_by_no_more(&mut beside.buffer);
        assert_eq!(product(&beside), product(&plain), "heads of {d}, with nothing beside");
        assert_eq!(down(backend, &beside), down(backend, &plain), "heads of {d}");
    }
}

/// Of which one factor is thin, or none.
pub fn turned_products_are_those_of_the_definition<B: Backend>(backend: &B) {
    for (k, [m, n], [m_too, n_too]) in
        [(1, [1, 1], [1, 2]), (37, [70, 8], [8, 33]), (100, [5, 130], [40, 50]), (9, [31, 19], [3, 3])]
    {
        for add in [false, true] {
            let shapes = [[m, n], [m_too, n_too]];
            let factors = shapes.map(|[m, n]| [m, n].map(|cols| numbers(k * (cols + 2), cols)));
            let on = factors.each_ref().map(|two| two.each_ref().map(|x| up(backend, x, x.len() / k)));
            let before = shapes.map(|[m, n]| numbers(m * n, 9));
            let mut out = [0, 1].map(|at: usize| up(backend, &before[at], shapes[at][1]));
            let [one, other] = &mut out;
            let turned = |out, at: usize| {
                let ([a, b], [m, n]) = (&on[at], shapes[at]);
                Turned { out: Some(Sum { values: out, add }), a: a.columns(1..1 + m), b: b.columns(2..2 + n) }
            };
            let (first, second) = (turned(one.all_mut().values, 0), turned(other.all_mut().values, 1));
            backend.turned_products(first, second, Products::F32).unwrap();
            for (at, [m, n]) in shapes.into_iter().enumerate() {
                let part = |x: &[f32], cols: usize, from: usize| -> Vec<f64> {
                    x.chunks(cols + 2).flat_map(|row| wide(&row[from..from + cols])).collect()
                };
                let (a, b) = (part(&factors[at][0], m, 1), part(&factors[at][1], n, 2));
                let product = exact(&a, &b, [m, k, n], [true, false]);
                let there = before[at].iter().map(|&x| if add { f64::from(x) } else { 0.0 });
                let expected: Vec<f64> = there.zip(product).map(|(there, x)| there + x).collect();
                close(&down(backend, &out[at]), &expected, 1e-5, &format!("{k} × {m} × {n}, added: {add}"));
            }
        }
    }
}
