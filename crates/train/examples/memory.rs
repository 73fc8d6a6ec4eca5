//! Peak memory and time of training steps, beside tests/reference/memory.py, which does the same
//! with PyTorch. `scripts/memory.sh` runs both and writes docs/memory.md.
//!
//!     cargo run --release -p train --example memory -- MODEL full|checkpointed|lora|lora-checkpointed f32|bf16 TOKENS BATCH STEPS
//!
//! Prints one JSON object: peak_mib, the most that was resident, and training_mib, that without
//! what was resident before the model was loaded; seconds_per_step, the median.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::PathBuf, time::Instant};

use data::Batch;
use mbti::{Axis, Type};
use model::Setup;
use record::{Dtype, Trainable};
use train::{AdamW, Hyperparameters, Moments};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, mode, dtype, tokens, batch, steps] = &arguments[..] else { panic_with_usage() };
    let number = |text: &String| text.parse::<usize>().expect("a whole number");
    let (tokens, texts, steps) = (number(tokens), number(batch), number(steps));
    let checkpointing = mode.ends_with("checkpointed");
    let setup = Setup {
        dtype: if dtype == "bf16" { Dtype::Bf16 } else { Dtype::F32 },
        trainable: if mode.starts_with("lora") { Trainable::Lora } else { Trainable::All },
        ..Setup::plain(&[Axis::JudgingPerceiving], 0)
    };
    let before = train::peak_rss_mib().unwrap_or(0.0);
    let mut network = model::start(&PathBuf::from(model), &setup).expect("the model opens");
    let mut optimizer = AdamW::new(&mut network.weights, Hyperparameters::default(), Moments::F32);
    let mut gradients = network.gradients().expect("room");
    let types: Vec<Type> =
        (0..texts).map(|n| if n % 2 == 0 { "INFP" } else { "INFJ" }.parse().unwrap()).collect();
    let weights = vec![[0.6, 0.4]];
    let group =
        vec![types.iter().map(|mbti| if mbti.class(Axis::JudgingPerceiving) { 0.4 } else { 0.6 }).sum()];
    let mut seconds = Vec::new();
    for step in 0..steps {
        let begin = Instant::now();
        let id = |at: usize| ((at * 7919 + step * 104_729) % 30_000) as u32 + 3;
        let packed = Batch {
            ids: (0..texts * tokens).map(id).collect(),
            offsets: (0..=texts).map(|text| (text * tokens) as u32).collect(),
            rows: (0..texts as u32).collect(),
            tokens: (texts * tokens) as u64,
        };
        gradients.clear();
        network
            .learn(
                &packed,
                step as u64,
                checkpointing,
                &train::targets(&types, &network.head, &weights, &group),
                &mut gradients,
            )
            .expect("a step");
        optimizer.step(&network.weights, &gradients, 2e-5).expect("a step");
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let peak = train::peak_rss_mib().unwrap_or(f64::NAN);
    let report = serde_json::json!({
        "peak_mib": peak.round() as u64,
        "training_mib": (peak - before).round() as u64,
        "seconds_per_step": (seconds[seconds.len() / 2] * 1000.0).round() / 1000.0,
    });
    print(&report.to_string());
}

fn print(line: &str) {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

fn panic_with_usage() -> ! {
    print("usage: memory MODEL full|checkpointed|lora|lora-checkpointed f32|bf16 TOKENS BATCH STEPS");
    std::process::exit(2)
}
