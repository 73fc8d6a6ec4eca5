#![allow(clippy::unwrap_used)]
use super::*;
use crate::cpu::rounding::rounded;

/// Numbers from −1 to 1 with more bits than bf16 has.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| ((at + seed) * 7919 % 2003) as f32 / 1001.5 - 1.0).collect()
}

/// The product by its definition, of rounded factors, in `f64`.
fn exact(a: View, b: View) -> Vec<f64> {
    let at = |view: View, row: usize, col: usize| {
        f64::from(rounded(view.values[row * view.row_stride + col * view.col_stride]))
    };
    let mut out = Vec::new();
    for row in 0..a.rows {
        out.extend((0..b.cols).map(|col| (0..a.cols).map(|k| at(a, row, k) * at(b, k, col)).sum::<f64>()));
    }
    out
}

/// Whether the instructions can be tried.
fn ways() -> Vec<bool> {
    [false, true].into_iter().filter(|&by_processor| avx512::is_there() || !by_processor).collect()
}

/// Holds both ways of computing to the definition: what the processor has, if it has it, and the plain one.
fn check(a: View, b: View) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let expected = exact(a, b);
    for by_processor in ways() {
        for add in [false, true] {
            let mut out = vec![0.5f32; m * (n + 3)];
            let (_, mut part) = ViewMut::new(&mut out, n + 3).split_columns(3);
            product_bf16(&mut part, a, b, add, by_processor).unwrap();
            for row in 0..m {
                assert_eq!(out[row * (n + 3)..][..3], [0.5; 3], "what is beside it stays");
                for col in 0..n {
                    let expected = expected[row * n + col] + if add { 0.5 } else { 0.0 };
                    let off = (f64::from(out[row * (n + 3) + 3 + col]) - expected).abs();
                    // The sum's own rounding in f32, at k terms of up to 1.
                    assert!(off <= 1e-6 * (k as f64 + 1.0), "{m}×{k}×{n} at {row}, {col}: off by {off}");
                }
            }
        }
    }
}

#[test]
fn a_product_in_bf16_is_that_of_the_rounded_factors_in_any_shape() {
    for (m, n, k) in [
        (1, 1, 1),
        (14, 32, 2),
        (14, 32, 3),
        (13, 31, 5),
        (15, 33, 31),
        (28, 64, 32),
        (29, 65, 33),
        (3, 70, 64),
        (40, 5, 384),
        (230, 40, 385),
        (5, 7, 390),
        (226, 33, 777),
        (1, 32, 1000),
        (14, 1, 0),
        (0, 4, 4),
        (4, 0, 4),
    ] {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 5));
        let (left_turned, right_turned) = (numbers(k * m, 2), numbers(n * k, 3));
        // A view of no columns has no rows either, by what it is made of.
        let a = [
            View { rows: m, cols: k, ..View::new(&left, k) },
            View { rows: k, cols: m, ..View::new(&left_turned, m) }.turned(),
        ];
        let b = [
            View { rows: k, cols: n, ..View::new(&right, n) },
            View { rows: n, cols: k, ..View::new(&right_turned, k) }.turned(),
        ];
        for a in a {
            for b in b {
                check(a, b);
            }
        }
    }
}

#[test]
fn columns_of_wider_matrices_are_multiplied_in_place() {
    let (a, b) = (numbers(40 * 50, 1), numbers(60 * 70, 2));
    check(View::new(&a, 50).columns(7..40).rows(3..40), View::new(&b, 70).rows(9..42).columns(1..66));
    check(View::new(&a, 50).columns(7..40).turned(), View::new(&b, 70).columns(3..68).rows(0..40));
}

#[test]
fn infinities_and_what_is_no_number_arrive_in_the_result() {
    let (mut a, b) = (vec![0.5f32; 20 * 40], vec![1.0f32; 40 * 40]);
    a[0] = f32::INFINITY;
    a[40] = f32::NAN;
    // Beyond the range of bf16 when rounded up.
    a[80] = f32::MAX;
    for by_processor in ways() {
        let mut out = vec![0f32; 20 * 40];
        product_bf16(
            &mut ViewMut::new(&mut out, 40),
            View::new(&a, 40),
            View::new(&b, 40),
            false,
            by_processor,
        )
        .unwrap();
        assert_eq!(out[0], f32::INFINITY);
        assert!(out[40].is_nan());
        assert_eq!(out[80], f32::INFINITY);
        assert_eq!(out[120], 20.0);
    }
}

#[test]
fn shapes_that_do_not_fit_are_an_error_and_no_panic() {
    let (a, b) = (numbers(60 * 60, 1), numbers(60 * 60, 2));
    let mut out = vec![0f32; 60 * 60];
    let mut fits =
        |a: View, b: View| product_bf16(&mut ViewMut::new(&mut out, 60), a, b, false, false).is_ok();
    assert!(fits(View::new(&a, 60), View::new(&b, 60)));
    assert!(!fits(View::new(&a, 60), View::new(&b, 30)));
    assert!(!fits(View::new(&a, 30), View::new(&b, 60)));
    assert!(!fits(View { rows: 60, cols: 60, row_stride: 61, ..View::new(&a, 60) }, View::new(&b, 60)));
    assert!(!fits(
        View { rows: 30, cols: 30, row_stride: 2, col_stride: 60, ..View::new(&a, 60) },
        View::new(&b, 60)
    ));
}

#[test]
fn a_small_product_is_made_in_32_bits_whatever_is_asked() {
    let (a, b) = (numbers(20 * 8, 1), numbers(8 * 40, 2));
    let [in_f32, in_bf16] = [Products::F32, Products::Bf16].map(|products| {
        let mut out = vec![0f32; 20 * 40];
        product_in(
            products,
            &mut ViewMut::new(&mut out, 40),
            View::new(&a, 8),
            View::new(&b, 40),
            1.0,
            false,
        )
        .unwrap();
        out
    });
    assert_eq!(in_f32, in_bf16);
}

#[test]
fn a_processor_makes_products_in_32_bits_where_tf32_is_asked_for() {
    let (a, b) = (numbers(100 * 200, 1), numbers(200 * 100, 2));
    let [in_f32, in_tf32, in_bf16] = [Products::F32, Products::Tf32, Products::Bf16].map(|products| {
        let mut out = vec![0f32; 100 * 100];
        let (a, b) = (View::new(&a, 200), View::new(&b, 100));
        product_in(products, &mut ViewMut::new(&mut out, 100), a, b, 1.0, false).unwrap();
        out
    });
    assert!(in_f32 == in_tf32 && in_f32 != in_bf16);
}

#[test]
fn the_same_product_is_the_same_on_any_number_of_threads() {
    let (a, b) = (numbers(300 * 400, 1), numbers(400 * 100, 2));
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0f32; 300 * 100];
        pool.install(|| {
            product_in(
                Products::Bf16,
                &mut ViewMut::new(&mut out, 100),
                View::new(&a, 400),
                View::new(&b, 100),
                1.0,
                false,
            )
        })
        .unwrap();
        out
    });
    assert_eq!(one, three);
}
