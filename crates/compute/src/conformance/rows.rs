use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::numbers::{Addition, close, down, numbers, up, wide};
use crate::{
    Backend, Closing, Dropout, Grouped, Held, In, Matrix, NormGradients, NormKind, NormOf, Out, Sum,
};

fn vector<B: Backend>(backend: &B, values: &[f32]) -> Tensor {
    Tensor::from_vec(values.to_vec(), values.len(), backend.device()).unwrap()
}

pub fn matrices_go_to_the_device_and_back_whole_and_in_parts<B: Backend>(backend: &B) {
    let values = numbers(7 * 12, 1);
    let mut matrix = up(backend, &values, 12);
    assert_eq!(down(backend, &matrix), values);
    let tensor = backend.to_tensor(&matrix).unwrap();
    assert_eq!((tensor.dims(), tensor.dtype()), (&[7, 12][..], DType::F32));
    assert_eq!(down(backend, &backend.to_matrix(&tensor).unwrap()), values);
    let mut part = up(backend, &[9.0; 7 * 5], 5);
    backend.copy(part.columns_mut(1..4), matrix.columns(6..9)).unwrap();
    let found = down(backend, &part);
    for (at, x) in found.iter().enumerate() {
        let (row, column) = (at / 5, at % 5);
        let inside = (1..4).contains(&column);
        assert_eq!(*x, if inside { values[row * 12 + 5 + column] } else { 9.0 });
    }
    assert!(backend.copy(part.columns_mut(0..2), matrix.columns(0..3)).is_err());
    let twice = up(backend, &values, 12);
    backend.add(matrix.all_mut().values, twice.all().values).unwrap();
    let double: Vec<f64> = values.iter().map(|&x| 2.0 * f64::from(x)).collect();
    close(&down(backend, &matrix), &double, 1e-7, "a sum");
    backend.clear(matrix.all_mut().values).unwrap();
    assert_eq!(down(backend, &matrix), vec![0.0; 7 * 12]);
    let memory = backend.memory();
    assert!(memory.free.is_none_or(|free| free > 0) && memory.held.is_none_or(|held| held > 0));
    backend.synchronise().unwrap();
}

/// A row's y, and for its gradient g those of x, w and b.
fn norm_of_row(kind: NormKind, [x, w, b, g]: [&[f64]; 4], eps: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let d = x.len() as f64;
    let mean = match kind {
        NormKind::Layer => x.iter().sum::<f64>() / d,
        NormKind::RootMeanSquare => 0.0,
    };
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d;
    let r = 1.0 / (variance + eps).sqrt();
    let normed: Vec<f64> = x.iter().map(|x| (x - mean) * r).collect();
    let y = normed.iter().zip(w).zip(b).map(|((x, w), b)| x * w + b).collect();
    let h: Vec<f64> = g.iter().zip(w).map(|(g, w)| g * w).collect();
    let mean_h = if kind == NormKind::Layer { h.iter().sum::<f64>() / d } else { 0.0 };
    let mean_hx = h.iter().zip(&normed).map(|(h, x)| h * x).sum::<f64>() / d;
    let dx = h.iter().zip(&normed).map(|(h, x)| r * (h - mean_h - x * mean_hx)).collect();
    let dw = g.iter().zip(&normed).map(|(g, x)| g * x).collect();
    (y, dx, dw)
}

pub fn norms_are_those_of_the_definition<B: Backend>(backend: &B) {
    for (kind, with_bias) in
        [(NormKind::Layer, true), (NormKind::Layer, false), (NormKind::RootMeanSquare, false)]
    {
        for (n, d) in [(1, 1), (3, 5), (70, 33), (130, 384), (0, 7)] {
            let (x, g, w) = (numbers(n * d, 1), numbers(n * d, 2), numbers(d, 3));
            let b = if with_bias { numbers(d, 4) } else { vec![0.0; d] };
            let eps = 1e-5f32;
            let (mut y, mut dx, mut dw, mut db) = (vec![], vec![], vec![0f64; d], vec![0f64; d]);
            let nothing = vec![0f64; d];
            for (x, g) in x.chunks(d).zip(g.chunks(d)) {
                let row = norm_of_row(kind, [&wide(x), &wide(&w), &wide(&b), &wide(g)], eps.into());
                y.extend(row.0);
                dx.extend(row.1);
                dw.iter_mut().zip(row.2).for_each(|(sum, x)| *sum += x);
                db.iter_mut().zip(g).for_each(|(sum, g)| *sum += f64::from(*g));
            }
            let what = format!("{kind:?} of {n} × {d}");
            let x_on = up(backend, &x, d);
            let mut found = Matrix::new(backend, n, d).unwrap();
            let (weight, bias) = (vector(backend, &w), with_bias.then(|| vector(backend, &b)));
            let norm = NormOf { kind, weight: &weight, bias: bias.as_ref(), eps };
            backend.norm(norm, found.all_mut().values, x_on.all().values, vec![]).unwrap();
            close(&down(backend, &found), &y, 1e-5, &what);
            let (before, before_dx) = (numbers(d, 5), numbers(n * d, 6));
            let summed = |there: &[f32], add: bool, exact: &[f64]| -> Vec<f64> {
                let there = there.iter().map(|&x| if add { f64::from(x) } else { 0.0 });
                there.zip(exact).map(|(there, x)| there + x).collect()
            };
            let additions = Addition::some(backend, n, d);
            let ways = [(false, false, true), (true, true, true), (true, true, false)];
            let ways = ways.into_iter().flat_map(|way| [None, Some(&additions)].map(|them| (way, them)));
            for (at, ((add, again, learns), additions)) in ways.enumerate() {
                let addition = additions.map(|additions| &additions[at / 2]);
                let what = format!("{what}, added: {add}, again: {again}, learns: {learns}");
                let before_g = addition.map_or_else(|| g.clone(), |addition| addition.before(&wide(&g)));
                let added = addition.and_then(Addition::added);
                let [mut sum_w, mut sum_b] = [(); 2].map(|()| up(backend, &before, d));
                let (mut found_dx, mut g_on) = (up(backend, &before_dx, d), up(backend, &before_g, d));
                let sum = |values, wanted: bool| wanted.then_some(Sum { values, add });
                let gradients = NormGradients {
                    weight: sum(sum_w.all_mut().values, learns),
                    bias: sum(sum_b.all_mut().values, learns && with_bias),
                };
                let dx_on = Sum { values: found_dx.all_mut().values, add };
                let (x, g) = (x_on.all().values, g_on.all_mut().values);
                backend.norm_backward(norm, dx_on, x, g, added, again, gradients).unwrap();
                // Of one feature nothing is left but rounding.
                let share = if d == 1 { 5e-2 } else { 2e-5 };
                close(
                    &down(backend, &found_dx),
                    &summed(&before_dx, add, &dx),
                    share,
                    &format!("{what}, ∂x"),
                );
                if again {
                    close(&down(backend, &g_on), &y, 1e-5, &format!("{what}, y once more"));
                }
                let of_w = summed(&before, add || !learns, if learns { &dw } else { &nothing });
                close(&down(backend, &sum_w), &of_w, 2e-5, &format!("{what}, ∂w"));
                if with_bias && learns {
                    close(&down(backend, &sum_b), &summed(&before, add, &db), 2e-5, &format!("{what}, ∂b"));
                }
            }
        }
    }
}

pub fn biases_and_residuals_are_added_to_every_row<B: Backend>(backend: &B) {
    for (n, d) in [(1, 1), (5, 7), (70, 130)] {
        let (x, bias, residual) = (numbers(n * d, 1), numbers(d, 2), numbers(n * d, 3));
        let mut wider = up(backend, &numbers(n * (d + 2), 4), d + 2);
        let before = wide(&down(backend, &wider));
        backend.add_bias(wider.columns_mut(1..1 + d), &vector(backend, &bias)).unwrap();
        let mut expected = before.clone();
        for row in 0..n {
            (0..d).for_each(|at| expected[row * (d + 2) + 1 + at] += f64::from(bias[at]));
        }
        close(&down(backend, &wider), &expected, 1e-6, "a bias");

        for add in [false, true] {
            let mut sums = up(backend, &bias, d);
            backend.column_sums(Sum { values: sums.all_mut().values, add }, wider.columns(1..1 + d)).unwrap();
            let exact: Vec<f64> = (0..d)
                .map(|at| {
                    let sum: f64 = (0..n).map(|row| expected[row * (d + 2) + 1 + at]).sum();
                    sum + if add { f64::from(bias[at]) } else { 0.0 }
                })
                .collect();
            close(&down(backend, &sums), &exact, 1e-5, "sums of columns");
        }

        let residual_on = up(backend, &residual, d);
        for with_bias in [false, true] {
            for dropout in [None, Some(Dropout { p: 0.3, seed: 9 })] {
                let mut found = up(backend, &x, d);
                let tensor = vector(backend, &bias);
                let rest = residual_on.all().values;
                let bias_on = with_bias.then_some(&tensor);
                let closing = |added| Closing { added, bias: bias_on, dropout, residual: rest };
                backend.close(found.all_mut().values, closing(None), d).unwrap();
                let added: Vec<f32> =
                    (0..n * d).map(|at| x[at] + if with_bias { bias[at % d] } else { 0.0 }).collect();
                let mut dropped = up(backend, &added, d);
                if let Some(dropout) = dropout {
                    backend.drop_in_place(dropped.all_mut().values, dropout).unwrap();
                }
                let exact: Vec<f64> = down(backend, &dropped)
                    .iter()
                    .zip(&residual)
                    .map(|(x, residual)| f64::from(*x) + f64::from(*residual))
                    .collect();
                close(&down(backend, &found), &exact, 1e-6, "what closes a block");
                let additions = Addition::some(backend, n, d);
                for addition in &additions {
                    let mut found = up(backend, &addition.before(&wide(&x)), d);
                    backend.close(found.all_mut().values, closing(addition.added()), d).unwrap();
                    close(&down(backend, &found), &exact, 3e-6, "what closes a block, with an addition");
                }
                let weight = vector(backend, &numbers(d, 4));
                for (kind, addition) in
                    [NormKind::Layer, NormKind::RootMeanSquare].into_iter().flat_map(|kind| {
                        let some = additions.iter().map(Some);
                        some.chain([None]).map(move |addition| (kind, addition))
                    })
                {
                    let before = addition.map_or_else(|| x.clone(), |addition| addition.before(&wide(&x)));
                    let added = addition.and_then(Addition::added);
                    let norm = NormOf { kind, weight: &weight, bias: None, eps: 1e-5 };
                    let (mut x_on, mut y) = (up(backend, &before, d), Matrix::new(backend, n, d).unwrap());
                    let (to, to_y) = (x_on.all_mut().values, y.all_mut().values);
                    backend.close_and_norm(to, closing(added), norm, to_y, vec![]).unwrap();
                    close(&down(backend, &x_on), &exact, 3e-6, "what closes a block before a norm");
                    let mut apart = Matrix::new(backend, n, d).unwrap();
                    backend.norm(norm, apart.all_mut().values, x_on.all().values, vec![]).unwrap();
                    assert_eq!(down(backend, &y), down(backend, &apart), "the norm of what closes a block");
                }
            }
        }
    }
}

pub fn rows_are_found_and_summed_by_their_ids<B: Backend>(backend: &B) {
    let (rows, d) = (9, 5);
    let table = Tensor::from_vec(numbers(rows * d, 1), (rows, d), backend.device()).unwrap();
    let ids: Arc<[u32]> = [8, 0, 3, 8, 8, 1].into();
    let on_device = backend.ids(&ids).unwrap();
    for held in [Held::from(table.clone()), Held::from(table.to_dtype(DType::BF16).unwrap())] {
        let values = held.values().unwrap().to_vec2::<f32>().unwrap();
        for add in [false, true] {
            let before = numbers(ids.len() * d, 2);
            let mut found = up(backend, &before, d);
            backend.gather(found.all_mut().values, &held, &on_device, add).unwrap();
            let exact: Vec<f64> = (0..ids.len() * d)
                .map(|at| {
                    let there = if add { f64::from(before[at]) } else { 0.0 };
                    there + f64::from(values[ids[at / d] as usize][at % d])
                })
                .collect();
            close(&down(backend, &found), &exact, 1e-6, "rows of a table");
        }
        let outside = backend.ids(&[9]).unwrap();
        let mut found = Matrix::new(backend, 1, d).unwrap();
        let result = backend.gather(found.all_mut().values, &held, &outside, false);
        assert!(result.and_then(|()| backend.synchronise()).is_err(), "a row that is not there");
    }

    let matrix = up(backend, &numbers(rows * (d + 1), 3), d + 1);
    let whole = down(backend, &matrix);
    let mut found = Matrix::new(backend, ids.len(), d).unwrap();
    backend.gather_rows(found.all_mut().values, matrix.columns(1..1 + d), &on_device).unwrap();
    for (at, x) in down(backend, &found).iter().enumerate() {
        assert_eq!(*x, whole[ids[at / d] as usize * (d + 1) + 1 + at % d]);
    }

    let g = numbers(ids.len() * d, 4);
    let g_on = up(backend, &g, d);
    let before = numbers(rows * d, 5);
    let mut sum = up(backend, &before, d);
    let grouped = Grouped::new(backend, &ids).unwrap();
    backend.scatter(sum.all_mut(), &grouped, g_on.all().values).unwrap();
    let mut exact = wide(&before);
    for (at, g) in g.iter().enumerate() {
        exact[ids[at / d] as usize * d + at % d] += f64::from(*g);
    }
    close(&down(backend, &sum), &exact, 1e-6, "sums of rows");
    backend.clear_rows(sum.all_mut(), &on_device).unwrap();
    for (at, x) in down(backend, &sum).iter().enumerate() {
        let cleared = ids.contains(&((at / d) as u32));
        assert_eq!(*x, if cleared { 0.0 } else { before[at] });
    }
    let (values, cols) = (g_on.all().values, d);
    assert_eq!(In::<B>::rows(values, cols).shape(), (ids.len(), d));
    let mut short = Matrix::new(backend, 1, d).unwrap();
    let short = Out::rows(short.all_mut().values, d);
    assert!(backend.scatter(short, &grouped, values).and_then(|()| backend.synchronise()).is_err());
}
