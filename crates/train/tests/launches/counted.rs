//! A process that trains on the GPU and is counted, as its driver's report covers a whole process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use compute::{Backend, Cuda, Device, Products};
use data::Batch;
use mbti::{Axis, Type};
use model::{Gradients, Mode, Setup};
use record::{Dtype, Trainable};
use serde::{Deserialize, Serialize};
use train::{AdamW, Hyperparameters, Moments};

use crate::model_folder::{Shape, VOCABULARY};

/// How far a process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// The logits of one batch.
    Forward,
    /// The gradients of one batch.
    Backward,
    /// So many steps of the optimizer.
    Steps(usize),
}

/// What a process is told, in [`VARIABLE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    pub model: PathBuf,
    pub texts: usize,
    pub tokens: usize,
    pub checkpointing: bool,
    pub until: Until,
}

const VARIABLE: &str = "MBTI_TEST_COUNTED";

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Kernel {
    pub launches: i64,
    pub bytes_read: i64,
    pub bytes_written: i64,
    pub flop: i64,
    pub product_flop: i64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Copies {
    pub count: i64,
}

/// The part of the emulated GPU's report that is looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    pub kernels: BTreeMap<String, Kernel>,
    pub launches: i64,
    pub fills: Copies,
    pub uploads: Copies,
    pub synchronisations: i64,
    pub peak_memory: i64,
    fault_count: u64,
}

/// Lets this program train in a process of its own.
pub fn run(work: &Work, folder: &Path) -> Report {
    let report = folder.join("report.json");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trains_where_it_is_counted", "--nocapture"])
        .env(VARIABLE, serde_json::to_string(work).unwrap())
        .env("EMULATED_GPU_REPORT", &report)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Report = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(found.fault_count, 0);
    found
}

/// What a process was told, if it is one that is counted.
pub fn told() -> Option<Work> {
    std::env::var(VARIABLE).ok().map(|text| serde_json::from_str(&text).unwrap())
}

fn batch(work: &Work) -> (Batch, Vec<Type>) {
    let Work { texts, tokens, .. } = *work;
    let batch = Batch {
        ids: (0..texts * tokens).map(|at| (at * 7919 % (VOCABULARY - 3)) as u32 + 3).collect(),
        offsets: (0..=texts).map(|text| (text * tokens) as u32).collect(),
        rows: (0..texts as u32).collect(),
        tokens: (texts * tokens) as u64,
    };
    (batch, (0..texts).map(|text| if text % 2 == 0 { "INFP" } else { "INFJ" }.parse().unwrap()).collect())
}

/// Steps as a run does them: LoRA as it is by default, over weights in bf16 with products in bf16.
pub fn train(work: &Work) {
    let gpu = Cuda::new(0).unwrap();
    let setup = Setup {
        dtype: Dtype::Bf16,
        trainable: Trainable::Lora,
        device: Device::Cuda(gpu.clone()),
        ..Setup::plain(&[Axis::JudgingPerceiving], 0)
    };
    let mut network = model::start(&work.model, &setup).unwrap();
    network.products = Products::Bf16;
    let hyperparameters = Hyperparameters::default();
    let mut optimizer = AdamW::on(&gpu, &mut network.weights, hyperparameters, Moments::F32).unwrap();
    let mut gradients = Gradients::new(gpu.clone(), &network.weights).unwrap();
    let (batch, types) = batch(work);
    if work.until == Until::Forward {
        let mode = Mode::Train { seed: 0, products: network.products };
        network.forward(&batch, mode).unwrap();
        gpu.synchronise().unwrap();
        return;
    }
    let targets = train::targets(&types, &network.head, &vec![[1.0, 1.0]], &[types.len() as f64]);
    let steps = if let Until::Steps(steps) = work.until { steps } else { 1 };
    for step in 0..steps {
        gradients.clear();
        let found = network.learn(&batch, step as u64, work.checkpointing, &targets, &mut gradients).unwrap();
        if let Until::Steps(_) = work.until {
            let read = optimizer.step_and_read(&network.weights, &gradients, &[found], 1e-4).unwrap();
            assert!(read.is_finite());
        }
    }
    gpu.synchronise().unwrap();
}

impl Work {
    pub fn of(model: &Path, shape: Shape, until: Until, checkpointing: bool) -> Work {
        Work { model: model.to_owned(), texts: shape.texts, tokens: shape.tokens, checkpointing, until }
    }
}
