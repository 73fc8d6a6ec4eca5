//! Heads of every kind, and the bag of words.

use compute::{Activation, Backend, Cpu};

use super::{
    CLOSE, Found, assert_same, assert_within,
    blocks::{BERT, Builder, HIDDEN, Kind, TOKENS},
    by_graph, flat, gradients_of, matrix, packed,
};
use crate::{
    Gradients, Mode, Targets,
    classifier::{Classifier, Dense, Pool},
    embeddings::Embeddings,
    ops::gradient_check::random,
    packed::Packed,
    pass::{head, learn_words, logits_of_words, packed::OnDevice},
    transformer::{Learns, Transformer},
    weights::{Weight, Weights},
    words::Words,
};

const OUTPUTS: usize = 2;

#[derive(Debug, Clone, Copy)]
struct HeadKind {
    pool: Pool,
    /// Whether a norm comes before pooling.
    norm: bool,
    /// The activation of the dense layer, and whether a norm comes after it.
    dense: Option<(Activation, bool)>,
    dropout: f32,
}

/// Those of the families, and what none of them has together.
fn kinds() -> Vec<HeadKind> {
    let decoder = HeadKind { pool: Pool::Last, norm: true, dense: None, dropout: 0.0 };
    let bert =
        HeadKind { pool: Pool::First, norm: false, dense: Some((Activation::Tanh, false)), dropout: 0.0 };
    vec![
        decoder,
        bert,
        HeadKind { dropout: 0.3, ..bert },
        HeadKind { dense: Some((Activation::Relu, false)), dropout: 0.2, ..bert },
        // ModernBERT reads the first token or the mean of all.
        HeadKind { norm: true, dense: Some((Activation::Gelu, true)), dropout: 0.2, ..bert },
        HeadKind { pool: Pool::Mean, norm: true, dense: Some((Activation::Gelu, true)), dropout: 0.0 },
        HeadKind { pool: Pool::Mean, dense: None, dropout: 0.4, ..bert },
        HeadKind { norm: false, dropout: 0.3, ..decoder },
    ]
}

fn frozen() -> Weight {
    Weights::default().freeze("words".into(), random(&[2, HIDDEN], 1)).unwrap()
}

/// A transformer with no block.
fn transformer(builder: &mut Builder, kind: HeadKind) -> Transformer {
    let HeadKind { pool, norm, dense, dropout } = kind;
    let embeddings =
        Embeddings { words: frozen(), positions: None, token_types: None, norm: None, dropout: 0.0 };
    let dense = dense.map(|(activation, with_norm)| Dense {
        linear: builder.linear(HIDDEN, HIDDEN, true),
        activation,
        norm: with_norm.then(|| builder.norm(BERT)),
    });
    let output = builder.linear(HIDDEN, OUTPUTS, dense.is_some());
    Transformer {
        embeddings,
        blocks: Vec::new(),
        final_norm: norm.then(|| builder.norm(Kind { bias: false, ..BERT })),
        classifier: Classifier { pool, pooled_dropout: dropout, dense, dropout, output },
        frequencies: Vec::new(),
        max_tokens: TOKENS,
        learns: Learns { embeddings: true, blocks: true },
    }
}

/// The logits, the gradient of what the last block gives if it is made, and those of all weights.
fn by_pass(weights: &Weights, transformer: &Transformer, mode: Mode, wanted: bool) -> Found {
    let mut gradients = Gradients::new(Cpu, weights).unwrap();
    let batch = OnDevice::new(&Cpu, &packed(BERT)).unwrap();
    let x = matrix([TOKENS, HIDDEN], 77);
    let (logits, kept) = head::forward(&Cpu, transformer, x, &batch, mode).unwrap();
    let g = matrix([batch.texts.count(), OUTPUTS], 78);
    let dx = head::backward(&Cpu, transformer, kept, &g, &batch, mode, wanted, &mut gradients).unwrap();
    let all = dx.iter().map(|dx| dx.buffer.to_vec()).chain(gradients_of(weights, &gradients));
    (logits.buffer.to_vec(), all.collect())
}

#[test]
fn a_head_gives_what_its_single_operations_give_and_so_do_all_gradients() {
    for kind in kinds() {
        let mut builder = Builder::new(BERT);
        let transformer = transformer(&mut builder, kind);
        let (weights, packed) = (&builder.weights, packed(BERT));
        for mode in [Mode::train(5), Mode::train(6)] {
            let found = by_pass(weights, &transformer, mode, true);
            let single = by_graph(weights, TOKENS, |x| transformer.logits(x, &packed, mode).unwrap());
            assert_same(CLOSE, &found, &single, &format!("{kind:?}"));
        }
        let x = random(&[TOKENS, HIDDEN], 77);
        let single = transformer.logits(&x, &packed, Mode::Evaluate).unwrap();
        let found = by_pass(weights, &transformer, Mode::Evaluate, true);
        assert_within(CLOSE, &found.0, &flat(&single), &format!("{kind:?}: evaluation"));
    }
}

#[test]
fn where_nothing_below_a_head_learns_its_own_gradients_are_the_same() {
    for kind in kinds().into_iter().filter(|kind| !kind.norm) {
        let mut builder = Builder::new(BERT);
        let transformer = transformer(&mut builder, kind);
        let run = |wanted| by_pass(&builder.weights, &transformer, Mode::train(5), wanted).1;
        let (with, without) = (run(true), run(false));
        assert!(with.len() == without.len() + 1 && with[1..] == without[..], "{kind:?}");
    }
}

#[test]
fn the_bag_of_words_gives_what_its_single_operations_give_and_so_do_its_gradients() {
    let mut builder = Builder::new(BERT);
    let words = Words { weight: builder.weight(&[30, OUTPUTS], 0.0), bias: builder.weight(&[OUTPUTS], 0.0) };
    // A text with no feature, too.
    let (ids, offsets) = ([3, 29, 0, 3, 7, 8].into(), [0, 3, 3, 6].into());
    let packed = Packed { ids, offsets, others: Vec::new(), rotations: Vec::new() };
    let single = words.forward(&packed, Mode::train(1)).unwrap();
    assert_within(CLOSE, &flat(&logits_of_words(&Cpu, &words, &packed).unwrap()), &flat(&single), "logits");
    let targets = Targets { values: vec![0.4, -0.2, -0.7], axes: 1 };
    let mut gradients = Gradients::new(Cpu, &builder.weights).unwrap();
    let loss = learn_words(&Cpu, &words, &packed, &targets, &mut gradients).unwrap();
    let (mut expected, mut g) = ([0f32], flat(&single));
    Cpu.cross_entropy(&mut expected, &mut g, &targets.values).unwrap();
    assert_within(CLOSE, &loss, &expected, "loss");
    let g = candle_core::Tensor::from_vec(g, single.dims(), &candle_core::Device::Cpu).unwrap();
    let grads = (single * g).unwrap().sum_all().unwrap().backward().unwrap();
    for (parameter, found) in
        builder.weights.parameters.iter().zip(gradients_of(&builder.weights, &gradients))
    {
        assert_within(CLOSE, &found, &flat(grads.get(parameter.var.as_tensor()).unwrap()), &parameter.name);
    }
    let wrong = Targets { values: vec![1.0; 4], axes: 1 };
    assert!(
        learn_words(&Cpu, &words, &packed, &wrong, &mut gradients).is_err(),
        "four targets for three texts"
    );
}
