//! The pass against candle's single operations, which are held to finite differences one by one.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Tensor, Var};
use compute::{Backend, Cpu, Matrix, Products};

mod blocks;
mod heads;

use self::blocks::{BERT, Builder, HIDDEN, Kind, LLAMA, OFFSETS, TOKENS, kinds, widen};
use super::{block::Pass, embed, packed::OnDevice};
use crate::{
    Gradients, Mode, Targets,
    block::Block,
    embeddings::{Embeddings, Positions},
    ops::{Span, gradient_check::random},
    packed::Packed,
    rotation::Rotation,
    weights::Weights,
};

fn packed(kind: Kind) -> Packed {
    let frequencies = vec![1.0, 0.1][..kind.heads.d / 2].to_vec();
    Packed {
        ids: vec![0; TOKENS].into(),
        offsets: OFFSETS.into(),
        others: Vec::new(),
        rotations: vec![Rotation::new(&OFFSETS, |_| (&frequencies, 1.0))],
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

fn matrix(shape: [usize; 2], seed: u64) -> Matrix<Cpu> {
    Cpu.to_matrix(&random(&shape, seed)).unwrap()
}

/// The result, the gradient of x, and those of all weights.
type Found = (Vec<f32>, Vec<Vec<f32>>);

/// By candle's operations and its graph.
fn by_graph(weights: &Weights, tokens: usize, f: impl Fn(&Tensor) -> Tensor) -> Found {
    let x = Var::from_tensor(&random(&[tokens, HIDDEN], 77)).unwrap();
    let y = f(x.as_tensor());
    let loss = (&y * &random(y.dims(), 78)).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let mut all = vec![flat(grads.get(x.as_tensor()).unwrap())];
    all.extend(weights.parameters.iter().map(|p| flat(grads.get(p.var.as_tensor()).unwrap())));
    (flat(&y), all)
}

fn gradients_of(weights: &Weights, gradients: &Gradients) -> Vec<Vec<f32>> {
    (0..weights.parameters.len()).map(|place| flat(&gradients.get(place).unwrap().unwrap())).collect()
}

/// By the pass, through blocks one after another.
fn by_pass(weights: &Weights, blocks: &[Block], packed: &Packed, mode: impl Fn(usize) -> Mode) -> Found {
    let mut gradients = Gradients::new(Cpu, weights).unwrap();
    let tokens = packed.ids.len();
    let batch = OnDevice::new(&Cpu, packed).unwrap();
    let pass = |place: usize| Pass { backend: &Cpu, block: &blocks[place], batch: &batch, mode: mode(place) };
    let (mut x, mut normed, mut tape) = (matrix([tokens, HIDDEN], 77), None, Vec::new());
    for place in 0..blocks.len() {
        let next = (place + 1 < blocks.len()).then(|| pass(place + 1));
        let given = pass(place).forward(&x, normed, next.as_ref()).unwrap();
        tape.push((std::mem::replace(&mut x, given.result), given.kept));
        normed = given.normed;
    }
    let mut g = matrix([tokens, HIDDEN], 78);
    for place in (0..blocks.len()).rev() {
        let (read, kept) = tape.pop().unwrap();
        g = pass(place).backward(&read, kept, g, true, &mut gradients).unwrap().unwrap();
    }
    let mut all = vec![g.buffer.to_vec()];
    all.extend(gradients_of(weights, &gradients));
    (x.buffer.to_vec(), all)
}

fn assert_same(share: f32, found: &Found, expected: &Found, what: &str) {
    assert_within(share, &found.0, &expected.0, &format!("{what}: result"));
    assert_eq!(found.1.len(), expected.1.len());
    for (place, (found, expected)) in found.1.iter().zip(&expected.1).enumerate() {
        assert_within(share, found, expected, &format!("{what}: gradient {place}"));
    }
}

fn assert_within(share: f32, found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    // The biases of keys have a gradient of rounding alone where nothing turns the keys.
    let allowed = share * largest.max(0.1);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= allowed, "{what}: {found} {expected}");
    }
}

/// Of what both compute in `f32`, in another order.
const CLOSE: f32 = 2e-5;

#[test]
fn a_block_gives_what_its_single_operations_give_and_so_do_all_gradients() {
    for kind in kinds() {
        let mut builder = Builder::new(kind);
        let layer = builder.block(kind);
        let packed = packed(kind);
        for mode in [Mode::train(5), Mode::train(6)] {
            let one = by_pass(&builder.weights, std::slice::from_ref(&layer), &packed, |_| mode);
            let single = by_graph(&builder.weights, TOKENS, |x| layer.forward(x, &packed, mode).unwrap());
            assert_same(CLOSE, &one, &single, &format!("{kind:?}"));
        }
        let evaluated = by_pass(&builder.weights, std::slice::from_ref(&layer), &packed, |_| Mode::Evaluate);
        let single = layer.forward(&random(&[TOKENS, HIDDEN], 77), &packed, Mode::Evaluate).unwrap();
        assert_within(CLOSE, &evaluated.0, &flat(&single), &format!("{kind:?}: evaluation"));
    }
}

#[test]
fn several_blocks_give_what_each_of_them_gives_in_turn() {
    for kind in [BERT, LLAMA] {
        let mut builder = Builder::new(kind);
        let layers = [(); 3].map(|()| builder.block(Kind { dropout: 0.2, ..kind }));
        let packed = packed(kind);
        let mode = |place: usize| Mode::train(5).at(place as u64);
        let in_turn = |x: &Tensor| {
            let each = layers.iter().enumerate();
            each.fold(x.clone(), |x, (place, layer)| layer.forward(&x, &packed, mode(place)).unwrap())
        };
        let single = by_graph(&builder.weights, TOKENS, in_turn);
        assert_same(CLOSE, &by_pass(&builder.weights, &layers, &packed, mode), &single, &format!("{kind:?}"));
    }
}

#[test]
fn with_products_in_bf16_a_block_gives_what_its_single_operations_give() {
    for kind in kinds() {
        let mut builder = Builder::new(kind);
        let layer = [builder.block(kind)];
        let packed = packed(kind);
        let mode = Mode::Train { seed: 5, products: Products::Bf16 };
        let one = by_pass(&builder.weights, &layer, &packed, |_| mode);
        let single = by_graph(&builder.weights, TOKENS, |x| layer[0].forward(x, &packed, mode).unwrap());
        let exact = by_pass(&builder.weights, &layer, &packed, |_| Mode::train(5));
        // What differs in its last bit may be rounded to another bf16, which is off by 2⁻⁸.
        assert_same(1e-2, &one, &single, &format!("{kind:?}"));
        assert_same(6e-2, &one, &exact, &format!("{kind:?}: in f32"));
        assert_ne!(one.0, exact.0, "{kind:?}: nothing was rounded");
    }
}

#[test]
fn frozen_weights_in_bf16_give_what_the_same_numbers_in_f32_give() {
    for kind in kinds().into_iter().filter(|kind| kind.lora.is_some()) {
        let [halved, widened] = [true, false].map(|halved| {
            let mut builder = Builder { dtype: DType::BF16, ..Builder::new(kind) };
            let mut layer = builder.block(kind);
            if !halved {
                widen(&mut layer);
            }
            by_pass(&builder.weights, &[layer], &packed(kind), |_| Mode::train(5))
        });
        assert_same(1e-6, &halved, &widened, &format!("{kind:?}"));
    }
}

#[test]
fn where_nothing_below_learns_no_gradient_of_the_input_is_made_and_the_others_are_the_same() {
    for kind in kinds() {
        let mut builder = Builder::new(kind);
        let layer = builder.block(kind);
        let packed = packed(kind);
        let batch = OnDevice::new(&Cpu, &packed).unwrap();
        let pass = Pass { backend: &Cpu, block: &layer, batch: &batch, mode: Mode::train(5) };
        let run = |wanted: bool| {
            let mut gradients = Gradients::new(Cpu, &builder.weights).unwrap();
            let x = matrix([TOKENS, HIDDEN], 77);
            let kept = pass.forward(&x, None, None).unwrap().kept;
            let g = matrix([TOKENS, HIDDEN], 78);
            let dx = pass.backward(&x, kept, g, wanted, &mut gradients).unwrap();
            (dx.is_some(), gradients_of(&builder.weights, &gradients))
        };
        let (with, without) = (run(true), run(false));
        assert!(with.0 && !without.0 && with.1 == without.1, "{kind:?}");
    }
}

#[test]
fn gradients_of_two_passes_add_up() {
    for kind in [BERT, Kind { lora: Some(0.0), ..LLAMA }] {
        let mut builder = Builder::new(kind);
        let layer = builder.block(kind);
        let packed = packed(kind);
        let batch = OnDevice::new(&Cpu, &packed).unwrap();
        let pass = Pass { backend: &Cpu, block: &layer, batch: &batch, mode: Mode::train(1) };
        let mut gradients = Gradients::new(Cpu, &builder.weights).unwrap();
        let learn = |gradients: &mut Gradients| {
            let x = matrix([TOKENS, HIDDEN], 77);
            let kept = pass.forward(&x, None, None).unwrap().kept;
            pass.backward(&x, kept, matrix([TOKENS, HIDDEN], 78), true, gradients).unwrap();
        };
        learn(&mut gradients);
        let once = gradients_of(&builder.weights, &gradients);
        gradients.clear();
        learn(&mut gradients);
        learn(&mut gradients);
        for (twice, once) in gradients_of(&builder.weights, &gradients).iter().zip(&once) {
            assert_within(CLOSE, twice, &once.iter().map(|x| 2.0 * x).collect::<Vec<_>>(), "twice");
        }
    }
}

#[test]
fn texts_longer_than_a_block_of_queries_are_whole() {
    let kind = Kind { span: Span { before: 300, after: 2 }, ..BERT };
    let mut builder = Builder::new(kind);
    let layer = [builder.block(kind)];
    let total = 1100;
    let (offsets, others) = ([0, total as u32].into(), Vec::new());
    let packed = Packed { ids: vec![0; total].into(), offsets, others, rotations: vec![] };
    let mode = Mode::train(1);
    // The gradient of the keys' biases is one of rounding alone, over so many tokens.
    let input_alone = |(result, all): Found| (result, all[..1].to_vec());
    let single = by_graph(&builder.weights, total, |x| layer[0].forward(x, &packed, mode).unwrap());
    let one = by_pass(&builder.weights, &layer, &packed, |_| mode);
    assert_same(CLOSE, &input_alone(one), &input_alone(single), "long");
}

#[test]
fn a_batch_that_does_not_fit_its_offsets_is_an_error_and_no_panic() {
    let mut builder = Builder::new(BERT);
    let layer = builder.block(BERT);
    let batch = OnDevice::new(&Cpu, &packed(BERT)).unwrap();
    let pass = Pass { backend: &Cpu, block: &layer, batch: &batch, mode: Mode::Evaluate };
    assert!(pass.forward(&matrix([8, HIDDEN], 1), None, None).is_err());
    let wrong = Packed { offsets: [0, 7, 3, TOKENS as u32].into(), ..packed(BERT) };
    assert!(OnDevice::new(&Cpu, &wrong).is_err());
}

#[test]
fn embeddings_give_what_their_single_operations_give_and_so_do_all_gradients() {
    for (with_others, with_norm, dropout) in [(true, true, 0.3), (true, true, 0.0), (false, false, 0.0)] {
        let mut builder = Builder::new(BERT);
        let embeddings = Embeddings {
            words: builder.weight(&[20, HIDDEN], 0.0),
            positions: with_others
                .then(|| Positions { table: builder.weight(&[TOKENS, HIDDEN], 0.0), offset: 2 }),
            token_types: with_others.then(|| builder.weight(&[2, HIDDEN], 0.0)),
            norm: with_norm.then(|| builder.norm(BERT)),
            dropout,
        };
        let with_others = || Packed { others: embeddings.others(&OFFSETS), ..packed(BERT) };
        let ids = [3, 3, 0, 19, 7, 3, 1, 2, 4, 5, 0, 19, 8, 8, 6].into();
        let packed = Packed { ids, ..with_others() };
        let mode = Mode::train(4);
        let targets = Targets { values: vec![1.0; 3], axes: 1 };
        let (batch, _) = OnDevice::to_learn(&Cpu, &packed, &targets, true).unwrap();
        let (y, sums) = embed::forward(&Cpu, &embeddings, &batch, mode).unwrap();
        let mut gradients = Gradients::new(Cpu, &builder.weights).unwrap();
        let g = matrix([TOKENS, HIDDEN], 78);
        embed::backward(&Cpu, &embeddings, &batch, sums.as_ref(), g, &mut gradients, mode).unwrap();
        let single = embeddings.forward(&packed, mode).unwrap();
        assert_within(CLOSE, &y.buffer, &flat(&single), "result");
        let grads =
            (&single * &random(&[TOKENS, HIDDEN], 78)).unwrap().sum_all().unwrap().backward().unwrap();
        let found = gradients_of(&builder.weights, &gradients);
        for (parameter, found) in builder.weights.parameters.iter().zip(found) {
            let expected = flat(grads.get(parameter.var.as_tensor()).unwrap());
            assert_within(CLOSE, &found, &expected, &parameter.name);
        }
        let wrong = Packed { ids: [20; TOKENS].into(), ..with_others() };
        let wrong = OnDevice::new(&Cpu, &wrong).unwrap();
        assert!(embed::forward(&Cpu, &embeddings, &wrong, Mode::Evaluate).is_err());
    }
}
