//! A run on a GPU beside the same run on the CPU, on the GPU that there is: `scripts/gpu-tests.sh` runs it on the emulated one.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use compute::{Cpu, Cuda};
use data::{Batch, Example, Part, Table};
use mbti::{Axis, Type};
use model::{LoraSetup, Mode, Network, Setup};
use record::{
    Device, Dtype, Event, GradientCheckpointing, Optim, Quantization, TokensPerPass, TrainConfig, Trainable,
};
use tiny_models::tiny_bert;
use train::{AdamW, Gradients, Hyperparameters, Inputs, Moments, Progress, Wish};

const GPU: Device = Device::Cuda(0);

struct Runner {
    home: tempfile::TempDir,
    model: PathBuf,
    table: Table,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    /// Losses and norms of the gradients.
    steps: Vec<(u32, f64, f64)>,
    evaluations: Vec<f64>,
    /// Tokens that go through the network at once.
    at_once: Option<u32>,
}

impl Runner {
    fn new() -> Runner {
        Runner::of(tiny_bert)
    }

    fn of(model: fn(&Path) -> PathBuf) -> Runner {
        let home = tempfile::tempdir().unwrap();
        let model = model(home.path());
        let example = |n: usize| Example {
            author: Some(format!("a{}", n / 2)),
            text: format!("text {} about {n}", "abcdefgh".repeat(n % 3 + 1)),
            mbti: Type::all().nth(n * 7 % 16).unwrap(),
        };
        Runner { home, model, table: Table::of((0..20).map(example).collect()) }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Runs up to a step, from the newest checkpoint if there is one, and adds to what was told.
    fn run(&self, folder: &Path, config: &TrainConfig, until: u32, told: &mut Told) {
        let (valid, train): (Vec<u32>, Vec<u32>) = self.table.rows().iter().partition(|&n| n % 5 == 0);
        let inputs = Inputs {
            run: 1,
            config,
            model_folder: &self.model,
            run_folder: folder,
            words_folder: None,
            train: Part { table: &self.table, rows: &train },
            valid: Part { table: &self.table, rows: &valid },
            made_up: false,
            resume: train::newest_checkpoint(1, folder).ok(),
        };
        train::run(&inputs, &mut |progress| {
            let mut wish = Wish::GoOn;
            match progress {
                Progress::Event(Event::Step(step)) => {
                    told.steps.retain(|(earlier, ..)| *earlier < step.step);
                    told.steps.push((step.step, step.loss, step.grad_norm.unwrap()));
                    if step.step == until {
                        wish = Wish::StopNow;
                    }
                }
                Progress::Event(Event::Estimate(estimate)) => told.at_once = estimate.tokens_per_pass,
                Progress::Event(Event::Evaluation(evaluation)) => {
                    told.evaluations.push(evaluation.loss.unwrap())
                }
                _ => {}
            }
            Ok(wish)
        })
        .unwrap();
    }

    fn whole(&self, name: &str, config: &TrainConfig) -> (Told, Vec<u8>) {
        let (folder, mut told) = (self.folder(name), Told::default());
        self.run(&folder, config, u32::MAX, &mut told);
        (told, weights(&folder))
    }
}

/// The same with heads of 32 features, which the GPU has kernels in bf16 for, and random weights.
fn wide_bert(folder: &Path) -> PathBuf {
    let (narrow, wide) = (tiny_bert(folder), folder.join("wide-bert"));
    std::fs::create_dir_all(&wide).unwrap();
    std::fs::copy(narrow.join("tokenizer.json"), wide.join("tokenizer.json")).unwrap();
    let config = std::fs::read_to_string(narrow.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    (config["hidden_size"], config["num_attention_heads"]) = (64.into(), 2.into());
    std::fs::write(wide.join("config.json"), config.to_string()).unwrap();
    let file = "model.safetensors";
    let tensors = candle_core::safetensors::load(narrow.join(file), &candle_core::Device::Cpu).unwrap();
    let widened = |(name, tensor): (String, candle_core::Tensor)| {
        let dims: Vec<usize> = tensor.dims().iter().map(|&size| if size == 16 { 64 } else { size }).collect();
        let (count, seed) = (dims.iter().product(), name.bytes().map(usize::from).sum::<usize>());
        let is_scale = name.ends_with("LayerNorm.weight");
        let number =
            |at: usize| if is_scale { 1.0 } else { ((at + seed) * 7919 % 2003) as f32 / 5000.0 - 0.2 };
        let values = (0..count).map(number).collect();
        (name, candle_core::Tensor::from_vec(values, dims, tensor.device()).unwrap())
    };
    let tensors: std::collections::HashMap<_, _> = tensors.into_iter().map(widened).collect();
    candle_core::safetensors::save(&tensors, wide.join(file)).unwrap();
    wide
}

fn weights(folder: &Path) -> Vec<u8> {
    let names = ["model/model.safetensors", "model/adapter_model.safetensors"];
    std::fs::read(names.iter().map(|name| folder.join(name)).find(|path| path.exists()).unwrap()).unwrap()
}

fn config() -> TrainConfig {
    TrainConfig {
        axes: vec![Axis::JudgingPerceiving, Axis::ExtraversionIntroversion],
        max_steps: Some(6),
        per_device_train_batch_size: 3,
        learning_rate: Some(1e-3),
        eval_steps: Some(6),
        save_steps: Some(2),
        device: GPU,
        ..Default::default()
    }
}

/// In each way of learning: full, in bf16 with moments in 8 bits, by LoRA, and over 4 bits.
fn ways() -> [(&'static str, f64, TrainConfig); 5] {
    let lora = TrainConfig { trainable: Trainable::Lora, lora_dropout: 0.1, ..config() };
    let nf4 = TrainConfig { quantization: Quantization::Nf4, ..lora.clone() };
    let checkpointed = TrainConfig {
        gradient_checkpointing: GradientCheckpointing::All,
        gradient_accumulation_steps: 2,
        ..config()
    };
    let bf16 = TrainConfig { dtype: Dtype::Bf16, optim: Optim::Adamw8bit, ..config() };
    [
        ("f32", 1e-3, config()),
        ("checkpointed", 1e-3, checkpointed),
        ("lora", 1e-3, lora),
        ("nf4", 1e-3, nf4),
        ("bf16", 2e-2, bf16),
    ]
}

#[test]
fn a_run_on_the_gpu_has_the_losses_and_norms_of_the_cpu() {
    let runner = Runner::new();
    for (name, close, config) in ways() {
        let gpu = runner.whole(&format!("{name}-gpu"), &config).0;
        let cpu = runner.whole(&format!("{name}-cpu"), &TrainConfig { device: Device::Cpu, ..config }).0;
        assert_eq!(gpu.steps.len(), 6);
        for ((step, loss, norm), (_, exact, exact_norm)) in gpu.steps.iter().zip(&cpu.steps) {
            let (by, norm_by) = ((loss - exact).abs(), (norm / exact_norm - 1.0).abs());
            assert!(
                by < close && norm_by < 10.0 * close,
                "{name}, step {step}: {loss} {exact}, {norm} {exact_norm}"
            );
        }
        for (loss, exact) in gpu.evaluations.iter().zip(&cpu.evaluations) {
            assert!((loss - exact).abs() < close, "{name}: {loss} {exact}");
        }
    }
}

#[test]
fn a_run_on_the_gpu_that_is_interrupted_goes_on_there_to_the_last_bit_and_on_the_cpu_within_rounding() {
    let runner = Runner::new();
    for (name, close, config) in ways() {
        let (expected, exact) = runner.whole(&format!("{name}-whole"), &config);
        let (folder, mut told) = (runner.folder(&format!("{name}-parts")), Told::default());
        runner.run(&folder, &config, 3, &mut told);
        runner.run(&folder, &config, u32::MAX, &mut told);
        assert_eq!(told.steps, expected.steps, "{name}");
        assert!(weights(&folder) == exact, "{name}");

        // To the CPU after two steps, and back after four.
        let (folder, mut moved) = (runner.folder(&format!("{name}-moved")), Told::default());
        runner.run(&folder, &config, 3, &mut moved);
        runner.run(&folder, &TrainConfig { device: Device::Cpu, ..config.clone() }, 5, &mut moved);
        runner.run(&folder, &config, u32::MAX, &mut moved);
        assert_eq!(moved.steps.len(), expected.steps.len());
        for ((step, loss, _), (_, exact, _)) in moved.steps.iter().zip(&expected.steps) {
            assert!((loss - exact).abs() < close, "{name}, step {step}: {loss} {exact}");
        }
    }
}

/// bf16 rounds a factor by 2^-8 at most, and so does the CPU's, where it has such products.
#[test]
fn a_run_by_tensor_cores_is_near_the_cpus_and_the_same_each_time_and_when_it_is_resumed() {
    let runner = Runner::of(wide_bert);
    let of = |dtype| TrainConfig { dtype, ..config() };
    let quantised =
        |quantization| TrainConfig { trainable: Trainable::Lora, quantization, ..of(Dtype::Bf16) };
    for (name, config) in [
        ("bf16-mixed", of(Dtype::Bf16Mixed)),
        ("bf16", of(Dtype::Bf16)),
        ("nf4", quantised(Quantization::Nf4)),
        ("int8", quantised(Quantization::Int8)),
    ] {
        let (told, exact) = runner.whole(&format!("{name}-whole"), &config);
        let (folder, mut parts) = (runner.folder(&format!("{name}-parts")), Told::default());
        runner.run(&folder, &config, 3, &mut parts);
        runner.run(&folder, &config, u32::MAX, &mut parts);
        assert!(parts.steps == told.steps && weights(&folder) == exact, "{name}");
        let on_cpu = TrainConfig { device: Device::Cpu, ..config };
        let cpu = runner.whole(&format!("{name}-cpu"), &on_cpu).0;
        for ((step, loss, norm), (_, exact, exact_norm)) in told.steps.iter().zip(&cpu.steps) {
            let near = (loss - exact).abs() < 2e-2 && (norm / exact_norm - 1.0).abs() < 0.2;
            assert!(near, "{name}, step {step}: {loss} {exact}, {norm} {exact_norm}");
        }
    }
}

#[test]
fn a_gpu_with_room_takes_a_step_in_one_pass_and_has_the_losses_of_its_batches() {
    let runner = Runner::new();
    let of = |tokens_per_pass| {
        let config = TrainConfig { gradient_accumulation_steps: 3, tokens_per_pass, ..config() };
        runner.whole(&format!("passes {tokens_per_pass}"), &config).0
    };
    let [as_set, auto, few] = [TokensPerPass::None, TokensPerPass::Auto, TokensPerPass::Tokens(30)].map(of);
    // Nine texts of 12 ids and more.
    assert!(as_set.at_once.is_none() && auto.at_once.is_some_and(|tokens| tokens > 100), "{auto:?}");
    for packed in [auto, few] {
        assert_eq!(packed.steps.len(), as_set.steps.len());
        for ((step, loss, norm), (_, exact, exact_norm)) in packed.steps.iter().zip(&as_set.steps) {
            let near = (loss - exact).abs() < 1e-4 && (norm / exact_norm - 1.0).abs() < 1e-2;
            assert!(near, "step {step}: {loss} {exact}, {norm} {exact_norm}");
        }
    }
}

#[test]
fn steps_by_pieces_on_the_gpu_are_its_ordinary_ones_to_the_last_bit() {
    let runner = Runner::new();
    let of = |name: &str, max_grad_norm: f64| runner.whole(name, &TrainConfig { max_grad_norm, ..config() });
    assert!(of("by-pieces", 0.0) == of("whole", 1e6));
}

fn start(model: &Path, setup: &Setup) -> Network {
    model::start(model, setup).unwrap()
}

#[test]
fn weights_and_states_are_saved_with_the_same_bytes_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_bert(folder.path());
    let gpu = Cuda::new(0).unwrap();
    let path = |name: &str| folder.path().join(name);
    let lora = LoraSetup { rank: 4, ..Default::default() };
    for (trainable, dtype, moments) in [
        (Trainable::All, Dtype::F32, Moments::Blocks8),
        (Trainable::All, Dtype::Bf16, Moments::F32),
        (Trainable::Lora, Dtype::F32, Moments::F32),
    ] {
        let lora = lora.clone();
        let setup = Setup { trainable, dtype, lora, ..Setup::plain(&[Axis::JudgingPerceiving], 1) };
        let on_gpu = Setup { device: compute::Device::Cuda(gpu.clone()), ..setup.clone() };
        let (mut here, mut there) = (start(&model, &setup), start(&model, &on_gpu));
        let mut on_cpu = AdamW::on(&Cpu, &mut here.weights, Hyperparameters::default(), moments).unwrap();
        let mut optimizer = AdamW::on(&gpu, &mut there.weights, Hyperparameters::default(), moments).unwrap();
        let ids = (0..13).map(|at| 4 + at % 20).collect();
        let batch = Batch { ids, offsets: vec![0, 8, 13], rows: vec![0, 1], tokens: 13 };
        let types: Vec<Type> = ["INFP", "ESTJ"].map(|name| name.parse().unwrap()).into();
        let mut gradients = Gradients::new(gpu.clone(), &there.weights).unwrap();
        let targets = train::targets(&types, &there.head, &vec![[0.5, 0.5]], &[1.0]);
        there.learn(&batch, 1, false, &targets, &mut gradients).unwrap();
        optimizer.step(&there.weights, &gradients, 1e-2).unwrap();

        // From the GPU to the disk, to the CPU, to the disk.
        model::save(&there, &path("gpu"), serde_json::Map::new()).unwrap();
        train::save_state(&optimizer, &there.weights, &path("gpu-state")).unwrap();
        model::restore(&here, &path("gpu")).unwrap();
        train::load_state(&mut on_cpu, &here.weights, &path("gpu-state")).unwrap();
        model::save(&here, &path("cpu"), serde_json::Map::new()).unwrap();
        train::save_state(&on_cpu, &here.weights, &path("cpu-state")).unwrap();
        let read = |name: &str| std::fs::read(path(name)).unwrap();
        // The notes in the header of a state are in no order.
        let parts = |name: &str| -> (BTreeMap<String, String>, Vec<u8>) {
            let bytes = read(name);
            let (length, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
            let notes = header.metadata().clone().unwrap().into_iter().collect();
            (notes, bytes[8 + length..].to_vec())
        };
        let file =
            if trainable == Trainable::Lora { "adapter_model.safetensors" } else { "model.safetensors" };
        assert!(read(&format!("gpu/{file}")) == read(&format!("cpu/{file}")), "{trainable:?} {dtype:?}");
        assert!(parts("gpu-state") == parts("cpu-state"), "{trainable:?} {dtype:?}");
        let logits = |network: &Network| {
            let logits = network.forward(&batch, Mode::Evaluate).unwrap();
            logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        for (found, exact) in logits(&there).iter().zip(logits(&here)) {
            assert!((found - exact).abs() < 1e-4, "{found} {exact}");
        }

        // And back.
        let mut again = start(&model, &on_gpu);
        let mut fresh = AdamW::on(&gpu, &mut again.weights, Hyperparameters::default(), moments).unwrap();
        model::restore(&again, &path("cpu")).unwrap();
        train::load_state(&mut fresh, &again.weights, &path("cpu-state")).unwrap();
        train::save_state(&fresh, &again.weights, &path("again-state")).unwrap();
        assert!(parts("again-state") == parts("cpu-state"), "{trainable:?} {dtype:?}");
        for name in ["gpu", "cpu"] {
            std::fs::remove_dir_all(path(name)).unwrap();
        }
    }
}

/// In the process that the test below starts for it: the folder of a run, its settings, and the step to resume it to.
const RESUMED: [&str; 3] = ["MBTI_TEST_FOLDER", "MBTI_TEST_CONFIG", "MBTI_TEST_UNTIL"];

/// What the emulated GPU counted in a process of its own, which resumes a run up to a step: waits of the host.
fn waits(folder: &Path, config: &TrainConfig, until: u32) -> Option<u64> {
    let report = folder.join("report.json");
    let values = [folder.display().to_string(), serde_json::to_string(config).unwrap(), until.to_string()];
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_step_waits_for_the_gpu_once"]).envs(RESUMED.into_iter().zip(values));
    let done = child.env("EMULATED_GPU_REPORT", &report).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    // A real GPU writes none.
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).ok()?).unwrap();
    Some(report["synchronisations"].as_u64().unwrap())
}

#[test]
fn a_step_waits_for_the_gpu_once() {
    let runner = Runner::new();
    if let [Some(folder), Some(config), Some(until)] = RESUMED.map(|name| std::env::var(name).ok()) {
        let config = serde_json::from_str(&config).unwrap();
        return runner.run(Path::new(&folder), &config, until.parse().unwrap(), &mut Told::default());
    }
    let long = TrainConfig { max_steps: Some(12), eval_steps: Some(100), save_steps: Some(2), ..config() };
    let lora = TrainConfig { trainable: Trainable::Lora, dtype: Dtype::Bf16, ..long.clone() };
    let accumulated =
        TrainConfig { gradient_accumulation_steps: 3, tokens_per_pass: TokensPerPass::None, ..lora };
    let by_pieces = TrainConfig { max_grad_norm: 0.0, ..long };
    for (name, config) in [("accumulated", accumulated), ("by-pieces", by_pieces)] {
        let folder = runner.folder(name);
        // Up to a checkpoint, from which both resume: nothing is measured before the first step then.
        runner.run(&folder, &config, 3, &mut Told::default());
        let config = TrainConfig { save_steps: Some(100), ..config };
        let [few, many] = [4, 9].map(|until| waits(&folder, &config, until));
        let Some((few, many)) = few.zip(many) else { return };
        assert_eq!(many - few, 5, "{name}: five steps more");
    }
}
