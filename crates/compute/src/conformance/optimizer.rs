use candle_core::{DType, Tensor, Var};

use super::numbers::{close, numbers, up};
use crate::{Backend, Moments, Step, halves::split};

pub fn sums_of_squares_are_those_of_all_numbers_or_of_some_rows<B: Backend>(backend: &B) {
    for (n, d) in [(1, 1), (7, 13), (300, 257)] {
        let x = numbers(n * d, 1);
        let matrix = up(backend, &x, d);
        let squares = |rows: &mut dyn Iterator<Item = usize>| -> f64 {
            rows.flat_map(|row| &x[row * d..(row + 1) * d]).map(|&x| f64::from(x).powi(2)).sum()
        };
        let some: Vec<u32> = (0..n as u32).step_by(3).collect();
        let exact = [squares(&mut (0..n)), squares(&mut some.iter().map(|&row| row as usize))];
        let some = backend.ids(&some).unwrap();
        let both = backend.sums_of_squares(&[(matrix.all(), None), (matrix.all(), Some(&some))]).unwrap();
        let [whole, of_some] =
            [None, Some(&some)].map(|rows| backend.sums_of_squares(&[(matrix.all(), rows)]).unwrap());
        let scalars = up(backend, &[0.1, -3.0], 1);
        let scalars = [0..1, 1..2].map(|place| B::read(&scalars.buffer, place));
        let (found, read) = backend.read_sums(&[both, whole, of_some], &scalars).unwrap();
        for (found, exact) in found[0].iter().zip(exact) {
            assert!((found / exact - 1.0).abs() < 1e-9, "{found} {exact}");
        }
        assert_eq!([&found[1][..], &found[2][..]].concat(), found[0], "the same each time, each as alone");
        assert_eq!(read, [0.1, -3.0]);
    }
    let none = backend.sums_of_squares(&[]).unwrap();
    let empty = backend.sums_of_squares(&[(up(backend, &[], 3).all(), None)]).unwrap();
    assert_eq!(backend.read_sums(&[none, empty], &[]).unwrap(), (vec![vec![], vec![0.0]], vec![]));
}

/// Ten steps of weights in 32 bits and in bf16 with their remainders; in 8 bits as near as its code book is.
pub fn a_step_is_that_of_the_definition<B: Backend>(backend: &B) {
    let count = 3000;
    let start: Vec<f32> = numbers(count, 1).iter().map(|x| 0.5 * x).collect();
    for halved in [false, true] {
        for (moments, share) in [(Moments::F32, 1e-6f64), (Moments::Blocks8, 2e-3)] {
            let (tensor, remainder) = if halved {
                let (upper, rest): (Vec<_>, Vec<_>) = start.iter().map(|&x| split(x)).unzip();
                (Tensor::from_vec(upper, count, backend.device()).unwrap(), rest)
            } else {
                (Tensor::from_vec(start.clone(), count, backend.device()).unwrap(), Vec::new())
            };
            let weight = Var::from_tensor(&tensor).unwrap();
            let mut state = backend.state(count, moments, remainder).unwrap();
            let mut exact: Vec<f64> = start.iter().map(|&x| f64::from(x)).collect();
            let (mut m, mut v) = (vec![0f64; count], vec![0f64; count]);
            for number in 1..=10 {
                let gradient: Vec<f32> = numbers(count, 10 + number as usize);
                let (rate, decay) = (1e-3, 0.1);
                let step = Step {
                    clip: 0.5,
                    beta1: 0.9,
                    beta2: 0.999,
                    rest1: 0.1,
                    rest2: 0.001,
                    step_size: (rate / (1.0 - 0.9f64.powi(number))) as f32,
                    root_correction: (1.0 / (1.0 - 0.999f64.powi(number)).sqrt()) as f32,
                    epsilon: 1e-8,
                    keep: (1.0 - rate * decay) as f32,
                };
                let on_device = up(backend, &gradient, count);
                backend.adamw(weight.as_tensor(), on_device.all().values, &mut state, &step).unwrap();
                for at in 0..count {
                    let g = 0.5 * f64::from(gradient[at]);
                    m[at] = 0.9 * m[at] + 0.1 * g;
                    v[at] = 0.999 * v[at] + 0.001 * g * g;
                    let root = (v[at] / (1.0 - 0.999f64.powi(number))).sqrt() + 1e-8;
                    exact[at] = exact[at] * (1.0 - rate * decay)
                        - rate * (m[at] / (1.0 - 0.9f64.powi(number))) / root;
                }
            }
            let found = weight.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
            let share = if halved { share.max(4e-3) } else { share };
            close(&found, &exact, share, &format!("bf16: {halved}, {moments:?}"));
        }
    }
    let weight = Var::zeros(3, DType::F32, backend.device()).unwrap();
    let mut state = backend.state(4, Moments::F32, Vec::new()).unwrap();
    let gradient = up(backend, &[1.0; 4], 4);
    let step = Step {
        clip: 1.0,
        beta1: 0.9,
        beta2: 0.999,
        rest1: 0.1,
        rest2: 0.001,
        step_size: 1e-3,
        root_correction: 1.0,
        epsilon: 1e-8,
        keep: 1.0,
    };
    assert!(backend.adamw(weight.as_tensor(), gradient.all().values, &mut state, &step).is_err());
}

/// What AdamW keeps goes to the host and back without losing a bit, after steps that have filled it.
pub fn a_state_goes_to_the_host_and_back_to_the_last_bit<B: Backend>(backend: &B) {
    let count = 1000;
    for (moments, halved) in [(Moments::F32, false), (Moments::Blocks8, false), (Moments::Blocks8, true)] {
        let values = numbers(count, 1);
        let (tensor, remainder) = if halved {
            let (upper, rest): (Vec<_>, Vec<_>) = values.iter().map(|&x| split(x)).unzip();
            (Tensor::from_vec(upper, count, backend.device()).unwrap(), rest)
        } else {
            (Tensor::from_vec(values, count, backend.device()).unwrap(), Vec::new())
        };
        let (one, other) = (Var::from_tensor(&tensor).unwrap(), Var::from_tensor(&tensor).unwrap());
        let step = Step {
            clip: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            rest1: 0.1,
            rest2: 0.001,
            step_size: 1e-2,
            root_correction: 1.0,
            epsilon: 1e-8,
            keep: 1.0,
        };
        let mut state = backend.state(count, moments, remainder.clone()).unwrap();
        let host = backend.state_to_host(&state).unwrap().into_owned();
        assert_eq!((&host.remainder, host.count()), (&remainder, count));
        assert_eq!(B::state_bytes(&state), host.bytes());
        let mut again = backend.state_from_host(host.clone()).unwrap();
        for number in 0..3 {
            let gradient = up(backend, &numbers(count, 10 + number), count);
            let g = gradient.all().values;
            backend.adamw(one.as_tensor(), g, &mut state, &step).unwrap();
            backend.adamw(other.as_tensor(), g, &mut again, &step).unwrap();
            // The one stays where it is, the other goes to the host and back between steps.
            again = backend.state_from_host(backend.state_to_host(&again).unwrap().into_owned()).unwrap();
        }
        let (found, moved) = (backend.state_to_host(&again).unwrap(), backend.state_to_host(&state).unwrap());
        assert!(found == moved && *found != host, "{moments:?}, bf16: {halved}");
        let values = |var: &Var| var.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&one), values(&other), "{moments:?}, bf16: {halved}");
    }
}
