//! How long parts of a run take, for `scripts/bench.sh` and for the folder of `make gpu-folder`, which set the same in
//! PyTorch beside it.
//!
//!     cargo run --release -p train --example speed -- CASE MODEL [DATA-SET] [OPTIONS]
//!
//! CASE is one of
//!   dense       forward and backward over 16 texts of 128 tokens, seconds
//!   steps       the same with an AdamW step after it
//!   optimizer   one AdamW step over all weights, seconds
//!   attention   forward and backward of one layer's attention alone, seconds
//!   product     of two matrices, `--tokens` rows and columns each, seconds; without a MODEL
//!   evaluation  all texts of the data set, texts a second
//!   tokenizing  the same, texts a second
//!   parts       milliseconds of a training step on real texts, batch 8, by what they are spent on
//!
//! DATA-SET is a folder under `datasets/` of a home; the last three cases need one. `dense` and `steps` may be followed by
//!   -lora, -nf4            LoRA of rank 8 learns beside all linear layers, which nf4 holds in 4 bits
//! and then by
//!   -tf32, -bf16           the products' precision; weights are in 32 bits
//!   -bf16-weights          weights are in bf16, too
//!   -8bit                  the moments' precision, also after `optimizer`
//! `attention` may be followed by -bf16, `product` by -tf32 or -bf16. The last three cases run on the processor alone.
//! Options:
//!   --device D      cpu, or cuda:0 in a build with the feature `cuda`
//!   --texts N       texts of a batch
//!   --tokens N      tokens of each
//!   --times N       how often it is timed
//!   --batches N     of `steps`: batches whose gradients make a step
//!   --profile       on a GPU: how long each kernel takes of one more, milliseconds
//!
//! Prints one JSON object, with the median over several times, the most memory of the process in MiB and, of a GPU, the most
//! memory that was used there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attention;
mod case;
mod passes;
mod product;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use data::{Encoded, Example, Table, Tokenizer};
use mbti::Axis;
use model::Network;
use record::TrainConfig;
use serde_json::{Value, json};
use train::{AdamW, Gradients, Hyperparameters, Moments};

use case::{Case, Work};
use passes::pass;

const AXES: [Axis; 1] = [Axis::JudgingPerceiving];
const MAX_LENGTH: usize = 512;
const WEIGHTS: [f32; 2] = [0.6, 0.4];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((case, words)) = Case::read(&arguments) else { usage() };
    let (folder, data_set) = match &words[..] {
        [] if !case.needs_a_model() => (PathBuf::new(), PathBuf::new()),
        [folder] if case.needs_a_model() && !case.needs_texts() => (PathBuf::from(folder), PathBuf::new()),
        [folder, data_set] if case.needs_texts() => (PathBuf::from(folder), PathBuf::from(data_set)),
        _ => usage(),
    };
    let mut found = match case.work {
        Work::Dense | Work::Steps | Work::Optimizer => passes::measure(&case, &folder),
        Work::Attention => attention::measure(&case, &folder),
        Work::Product => product::measure(&case),
        Work::Evaluation => json!({ "per_second": evaluation(&case.start(&folder), &data_set) }),
        Work::Tokenizing => json!({ "per_second": tokenizing(&case.start(&folder), &data_set) }),
        Work::Parts => parts(&mut case.start(&folder), &folder, &data_set),
    };
    found["peak_mib"] = json!(train::peak_rss_mib());
    say(&found);
}

fn usage() -> ! {
    say(&json!(
        "usage: speed CASE MODEL [DATA-SET] [--device D] [--texts N] [--tokens N] [--times N] [--batches N] [--profile]; CASE is dense or steps with -lora or -nf4, -tf32, -bf16 or -bf16-weights, and -8bit after it, product, optimizer, optimizer-8bit, attention, evaluation, tokenizing or parts"
    ));
    std::process::exit(2)
}

fn say(value: &Value) {
    use std::io::Write;
    writeln!(std::io::stdout(), "{value}").expect("standard output");
}

fn config(folder: &Path) -> Value {
    let config = std::fs::read(folder.join("config.json")).expect("a config.json");
    serde_json::from_slice(&config).expect("its JSON")
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
    median(std::iter::repeat_n((), times.max(1)).map(time).collect())
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
    let mut gradients = Gradients::new(compute::Cpu, &network.weights).expect("room");
    let mut steps = 0;
    let (mut tokens, mut squares, mut passes, mut norms, mut updates) = (0, 0.0, 0.0, 0.0, 0.0);
    for (number, rows) in batches.iter().enumerate() {
        if number == 2 {
            model::timing::start();
            (steps, tokens, squares, passes, norms, updates) = (0, 0, 0.0, 0.0, 0.0, 0.0);
        }
        let batch = data::pack(&encoded, rows);
        let types: Vec<mbti::Type> = rows.iter().map(|&row| examples[row as usize].mbti).collect();
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
    let config = config(folder);
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
