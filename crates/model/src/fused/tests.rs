//! A block as one operation against the same block in single operations, which are held to
//! finite differences one by one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use candle_core::{Tensor, Var};

use super::{blocks, embed, fits};
use crate::{
    GradientSum, Mode, Products,
    block::{Attention, Block, Mlp, MlpInputs, Order, Projections},
    embeddings::{Embeddings, Positions},
    layers::{Linear, Norm, NormKind},
    ops::{Activation, Heads, Rotation, Span, gradient_check::random},
    packed::Packed,
    weights::{Weight, Weights},
};

// Large enough that products may be made in bf16.
const HIDDEN: usize = 36;
const INNER: usize = 34;
const TOKENS: usize = 15;
const OFFSETS: [u32; 4] = [0, 5, 6, TOKENS as u32];

#[derive(Debug, Clone, Copy)]
struct Kind {
    order: Order,
    layer_norm: bool,
    attention_norm: bool,
    heads: Heads,
    span: Span,
    apart: bool,
    bias: bool,
    rotates: bool,
    /// None for no gate, else whether both are by one layer.
    gate: Option<bool>,
    activation: Activation,
    dropout: f32,
}

const BERT: Kind = Kind {
    order: Order::NormLast,
    layer_norm: true,
    attention_norm: true,
    heads: Heads { query: 3, key_value: 3, d: 4 },
    span: Span::ALL,
    apart: true,
    bias: true,
    rotates: false,
    gate: None,
    activation: Activation::Gelu,
    dropout: 0.0,
};

const LLAMA: Kind = Kind {
    order: Order::NormFirst,
    layer_norm: false,
    attention_norm: true,
    heads: Heads { query: 4, key_value: 2, d: 2 },
    span: Span::CAUSAL,
    apart: true,
    bias: false,
    rotates: true,
    gate: Some(false),
    activation: Activation::Silu,
    dropout: 0.0,
};

fn kinds() -> Vec<Kind> {
    vec![
        BERT,
        Kind { dropout: 0.3, ..BERT },
        Kind { attention_norm: false, bias: false, ..BERT },
        LLAMA,
        // Phi-3, with sliding attention.
        Kind { apart: false, gate: Some(true), span: Span { before: 1, after: 0 }, dropout: 0.2, ..LLAMA },
        // Qwen2 has biases on its queries, keys and values.
        Kind { bias: true, ..LLAMA },
        // ModernBERT, its first layer without a norm before attention, and local attention.
        Kind { layer_norm: true, apart: false, gate: Some(true), activation: Activation::GeluTanh, ..LLAMA },
        Kind { attention_norm: false, layer_norm: true, span: Span { before: 1, after: 1 }, ..LLAMA },
    ]
}

struct Builder {
    weights: Weights,
    seed: u64,
}

impl Builder {
    fn weight(&mut self, shape: &[usize], around: f64) -> Weight {
        self.seed += 1;
        let tensor = ((random(shape, self.seed) * 0.5).unwrap() + around).unwrap();
        self.weights.learn(format!("w{}", self.seed), &tensor).unwrap()
    }

    fn linear(&mut self, inputs: usize, outputs: usize, bias: bool) -> Linear {
        let weight = self.weight(&[outputs, inputs], 0.0);
        Linear { weight, bias: bias.then(|| self.weight(&[outputs], 0.0)), lora: None }
    }

    fn norm(&mut self, kind: Kind) -> Norm {
        let weight = self.weight(&[HIDDEN], 1.0);
        let bias = (kind.layer_norm && kind.bias).then(|| self.weight(&[HIDDEN], 0.0));
        let kind = if kind.layer_norm { NormKind::Layer { bias } } else { NormKind::RootMeanSquare };
        Norm { weight, eps: 1e-5, kind }
    }

    fn block(&mut self, kind: Kind) -> Block {
        let Heads { query, key_value, d } = kind.heads;
        let inputs = if kind.apart {
            Projections::Apart(Box::new(
                [query, key_value, key_value].map(|heads| self.linear(HIDDEN, heads * d, kind.bias)),
            ))
        } else {
            Projections::Fused(self.linear(HIDDEN, (query + 2 * key_value) * d, kind.bias))
        };
        let mlp = match kind.gate {
            None => MlpInputs::Plain(self.linear(HIDDEN, INNER, kind.bias)),
            Some(false) => {
                let [gate, up] = [(); 2].map(|()| self.linear(HIDDEN, INNER, kind.bias));
                MlpInputs::Gated { gate, up }
            }
            Some(true) => MlpInputs::GatedFused(self.linear(HIDDEN, 2 * INNER, kind.bias)),
        };
        Block {
            order: kind.order,
            attention_norm: kind.attention_norm.then(|| self.norm(kind)),
            attention: Attention {
                inputs,
                output: self.linear(query * d, HIDDEN, kind.bias),
                heads: kind.heads,
                span: kind.span,
                rotation: kind.rotates.then_some(0),
                head_norms: None,
                dropout: kind.dropout,
            },
            attention_dropout: kind.dropout,
            mlp_norm: self.norm(kind),
            mlp: Mlp {
                inputs: mlp,
                activation: kind.activation,
                dropout: kind.dropout,
                output: self.linear(INNER, HIDDEN, kind.bias),
            },
            mlp_dropout: kind.dropout,
        }
    }
}

fn packed(kind: Kind) -> Packed {
    let frequencies = vec![1.0, 0.1][..kind.heads.d / 2].to_vec();
    Packed {
        ids: vec![0; TOKENS].into(),
        offsets: OFFSETS.into(),
        rotations: vec![Rotation::new(&OFFSETS, |_| (&frequencies, 1.0))],
    }
}

/// The result, the gradient of x, and those of all weights.
fn run(weights: &Weights, f: impl Fn(&Tensor) -> Tensor) -> (Vec<f32>, Vec<Vec<f32>>) {
    let x = Var::from_tensor(&random(&[TOKENS, HIDDEN], 77)).unwrap();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let y = f(x.as_tensor());
    let loss = (&y * &random(&[TOKENS, HIDDEN], 78)).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let mut all = vec![flat(grads.get(x.as_tensor()).unwrap())];
    for parameter in &weights.parameters {
        let summed = parameter.gradient.take();
        all.push(flat(summed.as_ref().or(grads.get(parameter.var.as_tensor())).unwrap()));
    }
    (flat(&y), all)
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_within(2e-5, found, expected, what);
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

#[test]
fn a_block_as_one_operation_gives_what_its_single_operations_give_and_so_do_all_gradients() {
    for kind in kinds() {
        let mut builder = Builder { weights: Weights::default(), seed: 0 };
        let layer = Arc::new(builder.block(kind));
        let packed = packed(kind);
        assert!(fits(&layer, &random(&[TOKENS, HIDDEN], 77)));
        for mode in [Mode::train(5), Mode::train(6)] {
            let (one, single) = (
                run(&builder.weights, |x| block(&layer, x, &packed, mode).unwrap()),
                run(&builder.weights, |x| layer.forward(x, &packed, mode).unwrap()),
            );
            assert_close(&one.0, &single.0, &format!("{kind:?}: result"));
            for (place, (one, single)) in one.1.iter().zip(&single.1).enumerate() {
                assert_close(one, single, &format!("{kind:?}: gradient {place}"));
            }
        }
        let x = random(&[TOKENS, HIDDEN], 77);
        let evaluated = block(&layer, &x, &packed, Mode::Evaluate).unwrap();
        let single = layer.forward(&x, &packed, Mode::Evaluate).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_close(&flat(&evaluated), &flat(&single), &format!("{kind:?}: evaluation"));
        assert!(!evaluated.track_op());
    }
}

/// One block as one operation.
fn block(block: &Arc<Block>, x: &Tensor, packed: &Packed, mode: Mode) -> candle_core::Result<Tensor> {
    blocks(&[(block, mode)], x, packed)
}

#[test]
fn several_blocks_as_one_operation_give_what_each_of_them_gives_in_turn() {
    for kind in [BERT, LLAMA] {
        let mut builder = Builder { weights: Weights::default(), seed: 0 };
        let layers = [(); 3].map(|()| Arc::new(builder.block(Kind { dropout: 0.2, ..kind })));
        let packed = packed(kind);
        let in_turn = |x: &Tensor, mode: Mode| {
            let each = layers.iter().enumerate();
            each.fold(x.clone(), |x, (place, layer)| {
                layer.forward(&x, &packed, mode.at(place as u64)).unwrap()
            })
        };
        let at_once = |x: &Tensor, mode: Mode| {
            let each = layers.iter().enumerate();
            let all: Vec<_> = each.map(|(place, layer)| (layer, mode.at(place as u64))).collect();
            blocks(&all, x, &packed).unwrap()
        };
        let mode = Mode::train(5);
        let (one, single) =
            (run(&builder.weights, |x| at_once(x, mode)), run(&builder.weights, |x| in_turn(x, mode)));
        assert_close(&one.0, &single.0, "result");
        for (place, (one, single)) in one.1.iter().zip(&single.1).enumerate() {
            assert_close(one, single, &format!("{kind:?}: gradient {place}"));
        }
        let x = random(&[TOKENS, HIDDEN], 77);
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let evaluated = at_once(&x, Mode::Evaluate);
        assert_close(&flat(&evaluated), &flat(&in_turn(&x, Mode::Evaluate)), "evaluation");
        assert!(!evaluated.track_op());
    }
}

#[test]
fn with_products_in_bf16_a_block_as_one_operation_gives_what_its_single_operations_give() {
    for kind in kinds() {
        let mut builder = Builder { weights: Weights::default(), seed: 0 };
        let layer = Arc::new(builder.block(kind));
        let packed = packed(kind);
        let mode = Mode::Train { seed: 5, products: Products::Bf16 };
        let one = run(&builder.weights, |x| block(&layer, x, &packed, mode).unwrap());
        let single = run(&builder.weights, |x| layer.forward(x, &packed, mode).unwrap());
        let exact = run(&builder.weights, |x| block(&layer, x, &packed, Mode::train(5)).unwrap());
        // What differs in its last bit may be rounded to another bf16, which is off by 2⁻⁸.
        assert_within(4e-3, &one.0, &single.0, &format!("{kind:?}: result"));
        assert_within(2e-2, &one.0, &exact.0, &format!("{kind:?}: result in f32"));
        assert_ne!(one.0, exact.0, "{kind:?}: nothing was rounded");
        for (place, (one, single)) in one.1.iter().zip(&single.1).enumerate() {
            assert_within(8e-3, one, single, &format!("{kind:?}: gradient {place}"));
            assert_within(5e-2, one, &exact.1[place], &format!("{kind:?}: gradient {place} in f32"));
        }
        let x = random(&[TOKENS, HIDDEN], 77);
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let evaluated = flat(&block(&layer, &x, &packed, Mode::Evaluate).unwrap());
        let single = flat(&layer.forward(&x, &packed, Mode::Evaluate).unwrap());
        assert_close(&evaluated, &single, "what is evaluated is computed in f32");
    }
}

#[test]
fn gradients_of_two_passes_add_up() {
    let mut builder = Builder { weights: Weights::default(), seed: 0 };
    let layer = Arc::new(builder.block(BERT));
    let packed = packed(BERT);
    let gradient = || {
        let x = Var::from_tensor(&random(&[TOKENS, HIDDEN], 77)).unwrap();
        let y = block(&layer, x.as_tensor(), &packed, Mode::train(1)).unwrap();
        y.sum_all().unwrap().backward().unwrap();
    };
    let sums: Vec<GradientSum> = builder.weights.parameters.iter().map(|p| p.gradient.clone()).collect();
    let taken = || -> Vec<Vec<f32>> {
        sums.iter().map(|sum| sum.take().unwrap().flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    gradient();
    let once = taken();
    gradient();
    gradient();
    for (twice, once) in taken().iter().zip(&once) {
        assert_close(twice, &once.iter().map(|x| 2.0 * x).collect::<Vec<_>>(), "twice");
    }
}

#[test]
fn texts_longer_than_a_block_of_queries_are_whole() {
    let kind = Kind { span: Span { before: 300, after: 2 }, ..BERT };
    let mut builder = Builder { weights: Weights::default(), seed: 0 };
    let layer = Arc::new(builder.block(kind));
    let total = 1100;
    let packed = Packed { ids: vec![0; total].into(), offsets: [0, total as u32].into(), rotations: vec![] };
    let x = random(&[total, HIDDEN], 7);
    let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let one = block(&layer, &x, &packed, Mode::Evaluate).unwrap();
    assert_close(&flat(one), &flat(layer.forward(&x, &packed, Mode::Evaluate).unwrap()), "long");
    let gradient = |f: &dyn Fn(&Tensor) -> Tensor| {
        let x = Var::from_tensor(&x).unwrap();
        let loss = (f(x.as_tensor()) * &random(&[total, HIDDEN], 8)).unwrap().sum_all().unwrap();
        flat(loss.backward().unwrap().get(x.as_tensor()).unwrap().clone())
    };
    let mode = Mode::train(1);
    let one = gradient(&|x| block(&layer, x, &packed, mode).unwrap());
    assert_close(&one, &gradient(&|x| layer.forward(x, &packed, mode).unwrap()), "long, gradient");
}

#[test]
fn a_batch_that_does_not_fit_its_offsets_is_an_error_and_no_panic() {
    let mut builder = Builder { weights: Weights::default(), seed: 0 };
    let layer = Arc::new(builder.block(BERT));
    assert!(block(&layer, &random(&[8, HIDDEN], 1), &packed(BERT), Mode::Evaluate).is_err());
    let wrong = Packed { offsets: [0, 7, 3, TOKENS as u32].into(), ..packed(BERT) };
    assert!(block(&layer, &random(&[TOKENS, HIDDEN], 1), &wrong, Mode::Evaluate).is_err());
}

#[test]
fn embeddings_as_one_operation_give_what_their_single_operations_give_and_so_do_all_gradients() {
    for (with_others, with_norm, dropout) in [(true, true, 0.3), (true, true, 0.0), (false, false, 0.0)] {
        let mut builder = Builder { weights: Weights::default(), seed: 0 };
        let embeddings = Arc::new(Embeddings {
            words: builder.weight(&[20, HIDDEN], 0.0),
            positions: with_others
                .then(|| Positions { table: builder.weight(&[TOKENS, HIDDEN], 0.0), offset: 2 }),
            token_types: with_others.then(|| builder.weight(&[2, HIDDEN], 0.0)),
            norm: with_norm.then(|| builder.norm(BERT)),
            dropout,
        });
        let packed = Packed { ids: [3, 3, 0, 19, 7, 3, 1, 2, 4, 5, 0, 19, 8, 8, 6].into(), ..packed(BERT) };
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let run = |one: bool| {
            let mode = Mode::train(4);
            let y = if one {
                embed(&embeddings, &packed, mode).unwrap()
            } else {
                embeddings.forward(&packed, mode).unwrap()
            };
            let grads = (&y * &random(&[TOKENS, HIDDEN], 78)).unwrap().sum_all().unwrap().backward().unwrap();
            let parameters = builder.weights.parameters.iter();
            let gradients: Vec<Vec<f32>> = parameters
                .map(|p| flat(p.gradient.take().as_ref().or(grads.get(p.var.as_tensor())).unwrap()))
                .collect();
            (flat(&y), gradients)
        };
        let (one, single) = (run(true), run(false));
        assert_close(&one.0, &single.0, "result");
        for (place, (one, single)) in one.1.iter().zip(&single.1).enumerate() {
            assert_close(one, single, &format!("gradient {place}"));
        }
        let wrong = Packed { ids: [20; TOKENS].into(), ..self::packed(BERT) };
        assert!(embed(&embeddings, &wrong, Mode::Evaluate).is_err());
    }
}
