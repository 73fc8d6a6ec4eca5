//! What LoRA makes of a norm's result, where that is made.

use candle_core::{DType, Tensor};

use super::numbers::{Addition, close, down, numbers, up, wide};
use crate::{Backend, Closing, Dropout, Held, Matrix, NormKind, NormOf, Products, Thin};

/// y `[n, d]` times a `[rank, d]`, turned.
fn exact(y: &[f32], a: &[f32], [n, d, rank]: [usize; 3], scale: f32) -> Vec<f64> {
    let of = |at: usize| -> f64 {
        let (y, a) = (&y[at / rank * d..][..d], &a[at % rank * d..][..d]);
        f64::from(scale) * wide(y).iter().zip(wide(a)).map(|(y, a)| y * a).sum::<f64>()
    };
    (0..n * rank).map(of).collect()
}

/// Of no matrix up to one more than a device is likely to make at once, of ranks up to a large one, held in f32 and in
/// bf16; with dropout and without.
pub fn thin_products_of_norms_are_those_of_their_results<B: Backend>(backend: &B) {
    let dropout = Some(Dropout { p: 0.4, seed: 11 });
    let sets: [&[(usize, DType, Option<Dropout>)]; 4] = [
        &[(8, DType::F32, None)],
        &[(1, DType::F32, dropout), (16, DType::F32, None), (3, DType::F32, dropout)],
        &[(8, DType::F32, None), (33, DType::F32, dropout), (8, DType::BF16, None), (9, DType::F32, None)],
        &[(2, DType::F32, None), (4, DType::F32, None), (8, DType::F32, None), (11, DType::F32, None)],
    ];
    for (n, d) in [(1, 1), (6, 33), (9, 300), (0, 5)] {
        let (x, residual) = (up(backend, &numbers(n * d, 1), d), up(backend, &numbers(n * d, 2), d));
        let weight = Tensor::from_vec(numbers(d, 3), d, backend.device()).unwrap();
        for (kind, set) in [NormKind::Layer, NormKind::RootMeanSquare]
            .into_iter()
            .flat_map(|kind| sets.map(|set| (kind, set)))
        {
            let norm = NormOf { kind, weight: &weight, bias: None, eps: 1e-5 };
            let held: Vec<Held> = set
                .iter()
                .map(|(rank, dtype, _)| {
                    let a = Tensor::from_vec(numbers(rank * d, 20 + rank), (*rank, d), backend.device());
                    a.unwrap().to_dtype(*dtype).unwrap().into()
                })
                .collect();
            let scale = |at: usize| [1.0, 2.0, -0.5, 0.25][at];
            let run = |closes: bool| {
                let mut lows: Vec<Matrix<B>> =
                    set.iter().map(|(rank, ..)| up(backend, &vec![9.0; n * rank], *rank)).collect();
                let thin = |((at, low), a)| {
                    let (_, _, dropout): (usize, DType, Option<Dropout>) = set[at];
                    let low: &mut Matrix<B> = low;
                    Thin { out: low.all_mut().values, a, scale: scale(at), dropout, products: Products::F32 }
                };
                let thin = lows.iter_mut().enumerate().zip(&held).map(thin).collect();
                let mut y = Matrix::new(backend, n, d).unwrap();
                let to = y.all_mut().values;
                let addition = Addition::new(backend, n, d, 8, false);
                let mut sum = up(backend, &addition.before(&vec![0.0; n * d]), d);
                if closes {
                    let residual = residual.all().values;
                    let closing = Closing { added: addition.added(), bias: None, dropout: None, residual };
                    backend.close_and_norm(sum.all_mut().values, closing, norm, to, thin).unwrap();
                } else {
                    backend.norm(norm, to, x.all().values, thin).unwrap();
                }
                (y, lows, sum)
            };
            for closes in [false, true] {
                let (y, lows, sum) = run(closes);
                let what = format!("{kind:?} of {n} × {d}, {set:?}, at a block's end: {closes}");
                for (at, low) in lows.iter().enumerate() {
                    let (rank, _, dropout) = set[at];
                    let mut dropped = up(backend, &down(backend, &y), d);
                    if let Some(dropout) = dropout {
                        backend.drop_in_place(dropped.all_mut().values, dropout).unwrap();
                    }
                    let a = held[at].values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    let expected = exact(&down(backend, &dropped), &a, [n, d, rank], scale(at));
                    close(&down(backend, low), &expected, 1e-5, &format!("{what}, {at}"));
                }
                if closes {
                    // To the last bit, as a pass that computes a block again begins with the norm alone.
                    let mut apart: Vec<Matrix<B>> =
                        set.iter().map(|(rank, ..)| Matrix::new(backend, n, *rank).unwrap()).collect();
                    let thin = apart.iter_mut().enumerate().map(|(at, low)| {
                        let (out, a, dropout) = (low.all_mut().values, &held[at], set[at].2);
                        Thin { out, a, scale: scale(at), dropout, products: Products::F32 }
                    });
                    let mut again = Matrix::new(backend, n, d).unwrap();
                    backend.norm(norm, again.all_mut().values, sum.all().values, thin.collect()).unwrap();
                    for (low, apart) in lows.iter().zip(&apart) {
                        assert_eq!(down(backend, low), down(backend, apart), "{what}");
                    }
                }
            }
        }
    }
    let (mut y, mut low) = (Matrix::new(backend, 2, 3).unwrap(), Matrix::new(backend, 2, 5).unwrap());
    let x = up(backend, &numbers(6, 1), 3);
    let a = Tensor::zeros((4, 3), DType::F32, backend.device()).unwrap().into();
    let weight = Tensor::ones(3, DType::F32, backend.device()).unwrap();
    let norm = NormOf { kind: NormKind::Layer, weight: &weight, bias: None, eps: 1e-5 };
    let out = low.all_mut().values;
    let thin = vec![Thin { out, a: &a, scale: 1.0, dropout: None, products: Products::F32 }];
    assert!(backend.norm(norm, y.all_mut().values, x.all().values, thin).is_err(), "of another size");
}
