use std::sync::Arc;

use super::numbers::{close, down, numbers, up, wide};
use crate::{Backend, Matrix, Pool, Texts};

pub fn what_is_brought_at_once_is_each_list_by_itself<B: Backend>(backend: &B) {
    let table = up(backend, &numbers(9 * 5, 1), 5);
    let (first, second) = ([8u32, 0, 3], [1u32; 70]);
    let (values, more) = (numbers(65, 2), numbers(1, 3));
    let (ids, lists) = backend.bring(&[&first, &[], &second], &[&values, &[], &more]).unwrap();
    assert_eq!((ids.len(), lists.len()), (3, 3));
    for (ids, expected) in ids.iter().zip([&first[..], &[], &second]) {
        let mut found = Matrix::new(backend, expected.len(), 5).unwrap();
        backend.gather_rows(found.all_mut().values, table.all(), ids).unwrap();
        let of_row = |&id: &u32| numbers(9 * 5, 1)[id as usize * 5..][..5].to_vec();
        assert_eq!(down(backend, &found), expected.iter().flat_map(of_row).collect::<Vec<f32>>());
    }
    for (list, expected) in lists.into_iter().zip([&values[..], &[], &more]) {
        let list = Matrix::<B> { buffer: list, rows: expected.len(), cols: 1 };
        assert_eq!(down(backend, &list), expected);
    }
    let (none, nothing) = backend.bring(&[], &[]).unwrap();
    assert!(none.is_empty() && nothing.is_empty());
}

/// What each of a text's n tokens counts.
fn counts(pool: Pool, n: usize) -> Vec<f64> {
    let of = |token: usize| match pool {
        Pool::First => f64::from(u8::from(token == 0)),
        Pool::Last => f64::from(u8::from(token + 1 == n)),
        Pool::Mean => 1.0 / n as f64,
        Pool::Bag => 1.0 / (n as f64).sqrt(),
    };
    (0..n).map(of).collect()
}

pub fn texts_are_pooled_as_the_definition_says<B: Backend>(backend: &B) {
    // Texts of no token and of many, at either end too, and none at all.
    let batches = [&[0u32, 1][..], &[0, 5, 6, 15], &[0, 0, 40, 40, 41, 141, 141], &[0, 300], &[0, 0], &[0]];
    for (offsets, d) in batches.into_iter().flat_map(|offsets| [1, 7, 33, 300].map(|d| (offsets, d))) {
        let texts = Texts::new(backend, Arc::from(offsets)).unwrap();
        let (total, count) = (texts.total(), texts.count());
        let (x, g) = (numbers(total * d, 1), numbers(count * d, 2));
        for pool in [Pool::First, Pool::Last, Pool::Mean, Pool::Bag] {
            let (mut exact, mut exact_dx) = (vec![0f64; count * d], vec![0f64; total * d]);
            for (text, range) in offsets.windows(2).enumerate() {
                let rows = range[0] as usize..range[1] as usize;
                for (row, share) in rows.clone().zip(counts(pool, rows.len())) {
                    for column in 0..d {
                        exact[text * d + column] += share * f64::from(x[row * d + column]);
                        exact_dx[row * d + column] = share * f64::from(g[text * d + column]);
                    }
                }
            }
            let what = format!("{pool:?} of {offsets:?} × {d}");
            let (x_on, g_on) = (up(backend, &x, d), up(backend, &g, d));
            // What is there before does not count.
            let (mut found, mut dx) =
                (up(backend, &numbers(count * d, 3), d), up(backend, &numbers(total * d, 4), d));
            backend.pool(found.all_mut().values, x_on.all().values, &texts, pool).unwrap();
            close(&down(backend, &found), &exact, 1e-6, &what);
            backend.pool_backward(dx.all_mut().values, g_on.all().values, &texts, pool).unwrap();
            close(&down(backend, &dx), &exact_dx, 1e-6, &format!("{what}, ∂x"));
        }
    }
    let texts = Texts::new(backend, [0, 2, 5].into()).unwrap();
    let (x, mut out) = (up(backend, &numbers(12, 1), 3), up(backend, &numbers(6, 2), 3));
    let (few, values) = (x.all().values, out.all_mut().values);
    assert!(backend.pool(values, few, &texts, Pool::Mean).is_err(), "rows for four of five tokens");
    let mut dx = up(backend, &numbers(15, 1), 3);
    let g = up(backend, &numbers(5, 2), 5);
    let (to, g) = (dx.all_mut().values, g.all().values);
    assert!(backend.pool_backward(to, g, &texts, Pool::Mean).is_err(), "five numbers for two texts");
}

pub fn cross_entropy_is_that_of_the_definition<B: Backend>(backend: &B) {
    let run = |logits: &[f32], targets: &[f32]| {
        let (mut on, targets) = (up(backend, logits, 1), up(backend, targets, 1));
        let mut loss = up(backend, &[7.0], 1);
        let (to, values) = (loss.all_mut().values, on.all_mut().values);
        let done = backend.cross_entropy(to, values, targets.all().values);
        done.map(|()| (down(backend, &loss), down(backend, &on)))
    };
    // More targets than a block has threads, too.
    for (count, two) in [1, 2, 7, 300, 1000].into_iter().flat_map(|count| [(count, false), (count, true)]) {
        let each = if two { 2 } else { 1 };
        let logits: Vec<f32> = numbers(count * each, 1).iter().map(|x| 9.0 * x).collect();
        let targets = numbers(count, 2);
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (logits, target) in logits.chunks(each).zip(wide(&targets)) {
            let logits = wide(logits);
            let logit = if two { logits[1] - logits[0] } else { logits[0] };
            let right = 1.0 / (1.0 + (-logit * target.signum()).exp());
            loss -= target.abs() * right.ln();
            let of_last = -target * (1.0 - right);
            gradient.extend(if two { vec![-of_last, of_last] } else { vec![of_last] });
        }
        let what = format!("{count} targets, two logits: {two}");
        let (found, found_gradient) = run(&logits, &targets).unwrap();
        close(&found, &[loss], 2e-6, &what);
        close(&found_gradient, &gradient, 1e-6, &format!("{what}, ∂logits"));
    }
    assert_eq!(run(&[], &[]).unwrap(), (vec![0.0], vec![]), "the loss of nothing");
    // Margins that no exponential holds, and a weight of 0.
    let (loss, gradient) =
        run(&[1000.0, -1000.0, 2000.0, -2000.0, 5.0], &[1.0, 1.0, -0.5, -0.5, 0.0]).unwrap();
    assert_eq!((loss, gradient), (vec![2000.0], vec![0.0, -1.0, 0.5, 0.0, 0.0]));
    for (logits, targets) in [([f32::NAN, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, f32::NAN])] {
        let (loss, gradient) = run(&logits, &targets).unwrap();
        assert!(loss[0].is_nan() && gradient.iter().any(|x| x.is_nan()), "{loss:?} {gradient:?}");
    }
    assert!(run(&[1.0; 3], &[1.0; 2]).is_err(), "three logits for two targets");
}
