use super::numbers::{Addition, angles_of, close, down, numbers, up, wide};
use crate::{Activation, Backend, Dropout};

pub fn angles_turn_pairs_of_features<B: Backend>(backend: &B) {
    // Heads of which some features stay, and features that belong to no head.
    for (total, heads, d, half, more) in [(1, 1, 2, 1, 0), (7, 3, 5, 2, 4), (33, 2, 64, 32, 64)] {
        let width = heads * d + more;
        let x = numbers(total * width, 1);
        let turns: Vec<f64> = (0..total * half).map(|at| at as f64 * 0.37).collect();
        let [cos, sin] =
            [f64::cos, f64::sin].map(|f| -> Vec<f32> { turns.iter().map(|&x| f(x) as f32).collect() });
        let angles = angles_of(backend, &cos, &sin, half);
        for back in [false, true] {
            let mut found = up(backend, &x, width);
            backend.rotate(found.all_mut(), None, &angles, heads, d, back).unwrap();
            let mut exact = wide(&x);
            for (row, head, pair) in (0..total)
                .flat_map(|row| (0..heads).flat_map(move |head| (0..half).map(move |pair| (row, head, pair))))
            {
                let (first, second) = (row * width + head * d + pair, row * width + head * d + pair + half);
                let (a, b) = (f64::from(x[first]), f64::from(x[second]));
                let at = row * half + pair;
                let (c, s) = (f64::from(cos[at]), f64::from(sin[at]) * if back { -1.0 } else { 1.0 });
                (exact[first], exact[second]) = (a * c - b * s, b * c + a * s);
            }
            close(&down(backend, &found), &exact, 1e-6, "turned features");
            for addition in Addition::some(backend, total, width) {
                let mut found = up(backend, &addition.before(&wide(&x)), width);
                backend.rotate(found.all_mut(), addition.added(), &angles, heads, d, back).unwrap();
                close(&down(backend, &found), &exact, 1e-5, "turned features with an addition");
            }
        }
        let mut short = up(backend, &numbers((total + 1) * width, 1), width);
        assert!(
            backend.rotate(short.all_mut(), None, &angles, heads, d, false).is_err(),
            "angles for fewer tokens"
        );
    }
}

/// The error function by its series, in double precision for |x| up to 5.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn value(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
    }
}

pub fn activations_are_those_of_the_definition<B: Backend>(backend: &B) {
    let slope = |activation, x: f64| (value(activation, x + 1e-6) - value(activation, x - 1e-6)) / 2e-6;
    for activation in
        [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Relu, Activation::Tanh]
    {
        for (n, d, gated) in [(1, 1, false), (5, 7, false), (37, 66, true), (3, 1, true)] {
            let width = if gated { 2 * d } else { d };
            let u: Vec<f32> = numbers(n * width, 1).iter().map(|x| 4.0 * x).collect();
            let g = numbers(n * d, 2);
            let (mut y, mut du) = (vec![0f64; n * d], vec![0f64; n * width]);
            for at in 0..n * d {
                let (row, column) = (at / d, at % d);
                let a = f64::from(u[row * width + column]);
                let b = if gated { f64::from(u[row * width + d + column]) } else { 1.0 };
                y[at] = value(activation, a) * b;
                du[row * width + column] = f64::from(g[at]) * b * slope(activation, a);
                if gated {
                    du[row * width + d + column] = f64::from(g[at]) * value(activation, a);
                }
            }
            let what = format!("{activation:?} of {n} × {d}, gated: {gated}");
            let run = |to_u: Option<&Addition<B>>, to_g: Option<&Addition<B>>, what: &str| {
                let before = |x: &[f32], addition: Option<&Addition<B>>| {
                    addition.map_or_else(|| x.to_vec(), |addition| addition.before(&wide(x)))
                };
                let mut u_on = up(backend, &before(&u, to_u), width);
                let mut found = up(backend, &g, d);
                let (y_on, from) = (found.all_mut().values, u_on.all_mut().values);
                let added = to_u.and_then(Addition::added);
                backend.activation(activation, gated, y_on, from, added, d).unwrap();
                close(&down(backend, &found), &y, 3e-6, what);
                close(&down(backend, &u_on), &wide(&u), 1e-6, &format!("{what}, u"));
                let mut g_on = up(backend, &before(&g, to_g), d);
                let (u_to, g_to) = (u_on.all_mut().values, g_on.all_mut().values);
                let added = to_g.and_then(Addition::added);
                backend.activation_backward(activation, gated, u_to, g_to, added, d).unwrap();
                close(&down(backend, &u_on), &du, 1e-5, &format!("{what}, ∂u"));
                close(&down(backend, &g_on), &y, 3e-6, &format!("{what}, y once more"));
            };
            run(None, None, &what);
            for (to_u, to_g) in Addition::some(backend, n, width).iter().zip(Addition::some(backend, n, d)) {
                run(Some(to_u), Some(&to_g), &format!("{what}, with additions"));
            }
        }
    }
}

pub fn dropout_takes_its_share_by_seed_and_place<B: Backend>(backend: &B) {
    let x = numbers(40_000, 1);
    let dropped = |dropout: Dropout| {
        let (from, mut to) = (up(backend, &x, 200), up(backend, &x, 200));
        backend.drop(to.all_mut().values, from.all().values, dropout).unwrap();
        let mut in_place = up(backend, &x, 200);
        backend.drop_in_place(in_place.all_mut().values, dropout).unwrap();
        let found = down(backend, &to);
        assert_eq!(found, down(backend, &in_place));
        found
    };
    for p in [0.1f32, 0.5] {
        let found = dropped(Dropout { p, seed: 7 });
        for (found, x) in found.iter().zip(&x) {
            assert!(*found == 0.0 || (found - x / (1.0 - p)).abs() < 1e-6);
        }
        let share = found.iter().filter(|&&x| x == 0.0).count() as f32 / x.len() as f32;
        assert!((share - p).abs() < 0.01, "{share} of {p}");
        assert_eq!(found, dropped(Dropout { p, seed: 7 }));
        assert_ne!(found, dropped(Dropout { p, seed: 8 }));
    }
    // The mask is the one that the CPU makes, so that a run gives the same on any device but for rounding.
    let exact: Vec<f64> = x
        .iter()
        .zip(0..)
        .map(|(&x, at)| f64::from(x) * f64::from(crate::math::dropout_factor(7, at, 0.3)))
        .collect();
    close(&dropped(Dropout { p: 0.3, seed: 7 }), &exact, 1e-6, "the mask of seed 7");
}
