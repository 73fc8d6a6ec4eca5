//! How long parts of a run take, for `scripts/bench.sh`, which sets the same in PyTorch beside it.
//!
//!     cargo run --release -p train --example speed -- CASE MODEL DATA-SET
//!
//! DATA-SET is a folder under `datasets/` of a home. CASE is one of
//!   dense       forward and backward over 16 texts of 128 tokens, seconds
//!   dense-bf16  the same with products in bf16, where the processor has instructions for them
//!   dense-lora  the same where LoRA of rank 8 learns beside all linear layers
//!   dense-lora-bf16  that with products in bf16
//!   optimizer   one AdamW step over all weights, seconds
//!   optimizer-8bit  the same with its moments in 8 bits
//!   evaluation  all texts of the data set, texts a second
//!   tokenizing  the same, texts a second
//!   parts       milliseconds of a training step on real texts, batch 8, by what they are spent on
//!
//! Prints one JSON object, with the median over several times and the most memory in MiB.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use data::{Batch, Encoded, Example, Table, Tokenizer};
use mbti::{Axis, Type};
use model::{Network, Products, Setup};
use record::{Dtype, TrainConfig, Trainable};
use serde_json::{Value, json};
use train::{AdamW, Gradients, Hyperparameters, Moments};

const AXES: [Axis; 1] = [Axis::JudgingPerceiving];
const MAX_LENGTH: usize = 512;
const WEIGHTS: [f32; 2] = [0.6, 0.4];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, folder, data_set] = &arguments[..] else { usage() };
    let (folder, data_set) = (PathBuf::from(folder), PathBuf::from(data_set));
    let mut found = match case.as_str() {
        "dense" => json!({ "seconds": dense(&mut start(&folder)) }),
        "dense-bf16" if model::processor_multiplies_bf16() => {
            let mut network = start(&folder);
            network.products = Products::Bf16;
            json!({ "seconds": dense(&mut network) })
        }
        "dense-lora" => json!({ "seconds": dense(&mut start_lora(&folder)) }),
        "dense-lora-bf16" if model::processor_multiplies_bf16() => {
            let mut network = start_lora(&folder);
            network.products = Products::Bf16;
            json!({ "seconds": dense(&mut network) })
        }
        "optimizer" => json!({ "seconds": optimizer(&mut start(&folder), Moments::F32) }),
        "optimizer-8bit" => json!({ "seconds": optimizer(&mut start(&folder), Moments::Blocks8) }),
        "evaluation" => json!({ "per_second": evaluation(&start(&folder), &data_set) }),
        "tokenizing" => json!({ "per_second": tokenizing(&start(&folder), &data_set) }),
        "parts" => parts(&mut start(&folder), &folder, &data_set),
        _ => usage(),
    };
    found["peak_mib"] = json!(train::peak_rss_mib());
    say(&found);
}

fn usage() -> ! {
    say(&json!(
        "usage: speed dense|dense-bf16|dense-lora|dense-lora-bf16|optimizer|optimizer-8bit|evaluation|tokenizing|parts MODEL DATA-SET"
    ));
    std::process::exit(2)
}

fn say(value: &Value) {
    use std::io::Write;
    writeln!(std::io::stdout(), "{value}").expect("standard output");
}

fn start(model: &Path) -> Network {
    let setup = Setup { dtype: Dtype::F32, trainable: Trainable::All, ..Setup::plain(&AXES, 0) };
    model::start(model, &setup).expect("the model opens")
}

fn start_lora(model: &Path) -> Network {
    let setup = Setup { trainable: Trainable::Lora, ..Setup::plain(&AXES, 0) };
    model::start(model, &setup).expect("the model opens")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn timed(times: usize, mut f: impl FnMut()) -> f64 {
    f();
    let time = |()| {
        let begin = Instant::now();
        f();
        begin.elapsed().as_secs_f64()
    };
    median(std::iter::repeat_n((), times).map(time).collect())
}

/// Forward and backward of the weighted loss.
fn pass(network: &Network, batch: &Batch, types: &[Type], seed: u64, gradients: &mut Gradients) {
    let total = vec![types.iter().map(|mbti| f64::from(WEIGHTS[usize::from(mbti.class(AXES[0]))])).sum()];
    gradients.clear();
    network
        .learn(
            batch,
            seed,
            false,
            &|logits| train::loss(logits, types, &network.head, &vec![WEIGHTS], &total),
            gradients,
        )
        .expect("a pass");
}

fn dense(network: &mut Network) -> f64 {
    let (texts, tokens) = (16, 128);
    let types: Vec<Type> =
        (0..texts).map(|n| if n % 2 == 0 { "INFP" } else { "INFJ" }.parse().unwrap()).collect();
    let batch = Batch {
        ids: (0..texts * tokens).map(|at| (at * 7919 % 30_000) as u32 + 3).collect(),
        offsets: (0..=texts).map(|text| (text * tokens) as u32).collect(),
        rows: (0..texts as u32).collect(),
        tokens: (texts * tokens) as u64,
    };
    let mut gradients = network.gradients().expect("room");
    timed(7, || pass(network, &batch, &types, 1, &mut gradients))
}

fn optimizer(network: &mut Network, moments: Moments) -> f64 {
    let mut optimizer = AdamW::new(&mut network.weights, Hyperparameters::default(), moments);
    let mut gradients = network.gradients().expect("room");
    for (place, parameter) in network.weights.parameters.iter().enumerate() {
        let gradient = parameter.var.ones_like().unwrap().affine(1e-3, 0.0).unwrap();
        gradients.add_tensor(place, &gradient).expect("a gradient");
    }
    timed(15, || {
        optimizer.step(&network.weights, &gradients, 1e-6).expect("a step");
    })
}

fn texts(network: &Network, data_set: &Path) -> (Vec<Example>, Tokenizer, usize) {
    let (tokenizer, max_length) = network.tokenizer(MAX_LENGTH).expect("a tokenizer");
    let table = Table::open(data_set).expect("the data set");
    (table.examples(&table.rows()).expect("its texts"), tokenizer, max_length)
}

fn encode(examples: &[Example], tokenizer: &Tokenizer, max_length: usize) -> Encoded {
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    data::encode(tokenizer, &texts, max_length, |_| true).expect("tokens").expect("all of them")
}

fn tokenizing(network: &Network, data_set: &Path) -> f64 {
    let (examples, tokenizer, max_length) = texts(network, data_set);
    let seconds = timed(3, || drop(encode(&examples, &tokenizer, max_length)));
    examples.len() as f64 / seconds
}

fn evaluation(network: &Network, data_set: &Path) -> f64 {
    let (examples, tokenizer, max_length) = texts(network, data_set);
    let valid = train::ValidationSet {
        encoded: encode(&examples, &tokenizer, max_length),
        types: examples.iter().map(|example| example.mbti).collect(),
        authors: vec![None; examples.len()],
    };
    let config = TrainConfig { axes: AXES.to_vec(), ..TrainConfig::default() };
    let seconds = timed(1, || {
        train::evaluate(network, &valid, &vec![WEIGHTS], &config, || Ok(true)).expect("answers");
    });
    examples.len() as f64 / seconds
}

/// Milliseconds a step, over forty batches of eight texts as they come.
fn parts(network: &mut Network, folder: &Path, data_set: &Path) -> Value {
    let (examples, tokenizer, max_length) = texts(network, data_set);
    let encoded = encode(&examples, &tokenizer, max_length);
    let order = data::epoch_order(examples.len(), 0, 0);
    let batches: Vec<Vec<u32>> = order.chunks(8).take(42).map(<[u32]>::to_vec).collect();
    let mut optimizer = AdamW::new(&mut network.weights, Hyperparameters::default(), Moments::F32);
    let mut gradients = network.gradients().expect("room");
    let mut steps = 0;
    let (mut tokens, mut squares, mut passes, mut norms, mut updates) = (0, 0.0, 0.0, 0.0, 0.0);
    for (number, rows) in batches.iter().enumerate() {
        if number == 2 {
            model::timing::start();
            (steps, tokens, squares, passes, norms, updates) = (0, 0, 0.0, 0.0, 0.0, 0.0);
        }
        let batch = data::pack(&encoded, rows);
        let types: Vec<Type> = rows.iter().map(|&row| examples[row as usize].mbti).collect();
        let begin = Instant::now();
        pass(network, &batch, &types, number as u64, &mut gradients);
        passes += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        gradients.norm().expect("a norm");
        norms += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        optimizer.step(&network.weights, &gradients, 2e-5).expect("a step");
        updates += begin.elapsed().as_secs_f64();
        (steps, tokens) = (steps + 1, tokens + batch.ids.len());
        squares += batch.offsets.windows(2).map(|text| f64::from(text[1] - text[0]).powi(2)).sum::<f64>();
    }
    let spent = model::timing::stop();
    let milliseconds = |seconds: f64| seconds * 1000.0 / f64::from(steps);
    let mut table: serde_json::Map<String, Value> = spent
        .iter()
        .map(|(name, spent)| ((*name).to_owned(), json!(milliseconds(spent.as_secs_f64()))))
        .collect();
    let named: f64 = spent.values().map(std::time::Duration::as_secs_f64).sum();
    table.insert("other passes".into(), json!(milliseconds(passes - named)));
    table.insert("norm of the gradients".into(), json!(milliseconds(norms)));
    // The step measures the norm itself, once more.
    table.insert("AdamW".into(), json!(milliseconds(updates - norms)));
    // Σ 6 · weights of matrices · tokens; the tables of the embeddings are read, not multiplied.
    let in_products = |parameter: &&model::Parameter| {
        parameter.var.rank() == 2
            && !parameter.name.contains("embeddings")
            && !parameter.name.contains("classifier")
    };
    let weights: usize = network
        .weights
        .parameters
        .iter()
        .filter(in_products)
        .map(|parameter| parameter.var.elem_count())
        .sum();
    let flops = 6.0 * weights as f64 * tokens as f64 / f64::from(steps);
    // Scores and their mean of values are two products forward and four backward, all heads together as wide as
    // the model; that the scores are made once more for the backward is not counted.
    let config = std::fs::read(folder.join("config.json")).expect("a config.json");
    let config: Value = serde_json::from_slice(&config).expect("its JSON");
    let size = |name: &str| config[name].as_f64().expect(name);
    let of_attention = 12.0 * size("hidden_size") * size("num_hidden_layers") * squares / f64::from(steps);
    json!({
        "milliseconds": table,
        "step_ms": milliseconds(passes + updates),
        "tokens": tokens as f64 / f64::from(steps),
        "gflop": flops / 1e9,
        "attention_gflop": of_attention / 1e9,
        "limit_gflop_per_second": model::product_limit() / 1e9,
    })
}
