//! Forward and backward of single operations in the shapes of all-MiniLM-L6-v2 and of small decoders,
//! over 412 tokens of eight texts, as many as a batch of real posts has.
//!
//!     cargo bench -p model --bench ops
//!
//! Where an operation is made of matrix products its throughput counts their floating point operations,
//! forward and backward together, so that it can be set beside the last line, a large product of
//! matrices, which is the limit; elsewhere it counts elements of the result.
#![allow(clippy::unwrap_used)]

use std::{hint::black_box, sync::Arc, time::Duration};

use candle_core::{DType, Device, Result, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{
    Mode, Products,
    ops::{
        Activation, Heads, Rotation, Span, activate, attention_fused, embedding, glu, layer_norm, linear,
        rms_norm, rope,
    },
};

const TOKENS: usize = 412;
const HIDDEN: usize = 384;
const INNER: usize = 1536;
const HEADS: Heads = Heads { query: 12, key_value: 12, d: 32 };
const WORDS: usize = 30_522;

/// Eight texts of unlike lengths, and one long one.
const TEXTS: [u32; 9] = [0, 20, 50, 85, 125, 170, 230, 310, 412];
const LONG: [u32; 2] = [0, 412];

/// Values from −1 to 1, the same each time.
fn values(shape: &[usize]) -> Var {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|at| (at * 7919 % 2001) as f32 / 1000.0 - 1.0).collect();
    Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()).unwrap()
}

/// Forward and backward of the sum of all elements, on one of the threads that share the work, as a
/// training step does it.
fn both(criterion: &mut Criterion, name: &str, work: u64, f: impl Fn() -> Result<Tensor> + Sync) {
    let mut group = criterion.benchmark_group("forward and backward");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let pass = || f().unwrap().sum_all().unwrap().backward().unwrap();
    group.throughput(Throughput::Elements(work));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            rayon::scope(|_| {
                let begin = std::time::Instant::now();
                (0..times).for_each(|_| drop(black_box(pass())));
                begin.elapsed()
            })
        });
    });
    group.finish();
}

fn products(criterion: &mut Criterion) {
    for (name, inputs, outputs) in [
        ("linear 384 to 384", HIDDEN, HIDDEN),
        ("linear 384 to 1536", HIDDEN, INNER),
        ("linear 1536 to 384", INNER, HIDDEN),
    ] {
        let (x, w, b) = (values(&[TOKENS, inputs]), values(&[outputs, inputs]), values(&[outputs]));
        let work = 6 * TOKENS * inputs * outputs;
        both(criterion, name, work as u64, || linear(&x, &w, Some(&b), Products::F32));
        if model::processor_multiplies_bf16() {
            let name = format!("{name}, bf16");
            both(criterion, &name, work as u64, || linear(&x, &w, Some(&b), Products::Bf16));
        }
    }
    let qkv = values(&[TOKENS, 3 * HIDDEN]);
    for (name, offsets) in [("attention, 8 texts", &TEXTS[..]), ("attention, 1 text of 412", &LONG[..])] {
        let offsets: Arc<[u32]> = offsets.into();
        let square = |range: &[u32]| u64::from(range[1] - range[0]).pow(2);
        // Scores and their mean of values, twice as much backward, and the scores once more.
        let work = 2 * 7 * HIDDEN as u64 * offsets.windows(2).map(square).sum::<u64>();
        let mode = Mode::Evaluate;
        both(criterion, name, work, || attention_fused(&qkv, offsets.clone(), HEADS, Span::ALL, 0.0, mode));
    }
}

fn rows(criterion: &mut Criterion) {
    let (x, w, b) = (values(&[TOKENS, HIDDEN]), values(&[HIDDEN]), values(&[HIDDEN]));
    let narrow = (TOKENS * HIDDEN) as u64;
    both(criterion, "layer norm", narrow, || layer_norm(&x, &w, Some(&b), 1e-12));
    both(criterion, "rms norm", narrow, || rms_norm(&x, &w, 1e-6));
    let turns: Vec<f32> = (0..16).map(|at| 10_000f32.powf(-at as f32 / 16.0)).collect();
    let rotation = Rotation::new(&TEXTS, |_| (&turns, 1.0));
    both(criterion, "rope", narrow, || rope(&x, &rotation, HEADS.query, HEADS.d));
    let (gate, up) = (values(&[TOKENS, INNER]), values(&[TOKENS, INNER]));
    let wide = (TOKENS * INNER) as u64;
    both(criterion, "gelu", wide, || activate(&up, Activation::Gelu));
    both(criterion, "gated silu", wide, || glu(&gate, &up, Activation::Silu));
    let table = values(&[WORDS, HIDDEN]);
    let ids: Arc<[u32]> = (0..TOKENS).map(|at| (at * 7919 % WORDS) as u32).collect();
    both(criterion, "embedding", narrow, || embedding(&table, ids.clone()));
}

/// The product that the others are measured against.
fn limit(criterion: &mut Criterion) {
    const SIZE: usize = 1024;
    let [a, b] = [(); 2].map(|()| values(&[SIZE, SIZE]).as_tensor().detach());
    assert_eq!(a.dtype(), DType::F32);
    let mut group = criterion.benchmark_group("limit");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(2 * (SIZE as u64).pow(3)));
    group.bench_function("product 1024", |bencher| bencher.iter(|| black_box(a.matmul(&b).unwrap())));
    group.finish();
}

criterion_group!(ops, limit, products, rows);
criterion_main!(ops);
