//! A run that was interrupted and gone on with is the run that never was, to the last bit.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use data::{Example, Part, Table};
use mbti::{Axis, Type};
use record::{
    Dtype, Event, GradientCheckpointing, Metric, Optim, ProblemCode, TokensPerPass, TrainConfig, Trainable,
};
use sha2::Digest;
use tiny_models::tiny_bert;
use train::{Inputs, Outcome, Progress, Wish};

fn examples() -> Table {
    let examples = (0..60)
        .map(|n| Example {
            author: Some(format!("a{}", n / 3)),
            text: format!("text {} about {}", "abcdefgh".repeat(n % 7 + 1), n),
            mbti: Type::all().nth(n * 7 % 16).unwrap(),
        })
        .collect();
    Table::of(examples)
}

/// What a run told: the bits of its losses, its evaluations, notices.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    losses: Vec<(u32, u64)>,
    evaluations: Vec<(u32, Option<u64>)>,
    notices: Vec<ProblemCode>,
}

struct Runner {
    home: tempfile::TempDir,
    model: PathBuf,
    examples: Table,
}

impl Runner {
    fn new() -> Runner {
        let home = tempfile::tempdir().unwrap();
        let model = tiny_bert(home.path());
        Runner { home, model, examples: examples() }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn run(
        &self,
        folder: &Path,
        config: &TrainConfig,
        resume: bool,
        told: &mut Told,
        mut wish: impl FnMut(&Progress) -> Wish,
    ) -> Result<Outcome, train::Error> {
        let (valid, train): (Vec<u32>, Vec<u32>) = self.examples.rows().iter().partition(|&n| n % 5 == 0);
        let table = &self.examples;
        let inputs = Inputs {
            run: 1,
            config,
            model_folder: &self.model,
            run_folder: folder,
            words_folder: None,
            train: Part { table, rows: &train },
            valid: Part { table, rows: &valid },
            made_up: false,
            resume: resume.then(|| train::newest_checkpoint(1, folder)).transpose()?,
        };
        train::run(&inputs, &mut |progress| {
            match &progress {
                Progress::Event(Event::Step(step)) => {
                    told.losses.retain(|(earlier, _)| *earlier < step.step);
                    told.losses.push((step.step, step.loss.to_bits()));
                }
                Progress::Event(Event::Evaluation(evaluation)) => {
                    told.evaluations.retain(|(earlier, _)| *earlier < evaluation.step);
                    told.evaluations.push((evaluation.step, evaluation.loss.map(f64::to_bits)));
                }
                Progress::Event(Event::Notice(notice)) => told.notices.push(notice.problem.code),
                _ => {}
            }
            Ok(wish(&progress))
        })
    }

    fn whole(&self, folder: &Path, config: &TrainConfig) -> Told {
        let mut told = Told::default();
        self.run(folder, config, false, &mut told, |_| Wish::GoOn).unwrap();
        told
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        axes: vec![Axis::JudgingPerceiving, Axis::ExtraversionIntroversion],
        max_steps: Some(20),
        per_device_train_batch_size: 3,
        gradient_accumulation_steps: 2,
        learning_rate: Some(1e-3),
        eval_steps: Some(6),
        save_steps: Some(3),
        logging_steps: 2,
        warmup_ratio: 0.1,
        ..Default::default()
    }
}

fn at_step(progress: &Progress, step: u32) -> bool {
    matches!(progress, Progress::Event(Event::Step(told)) if told.step >= step)
}

fn weights(folder: &Path) -> Vec<u8> {
    let model = folder.join("model");
    let names = ["model.safetensors", "adapter_model.safetensors"];
    std::fs::read(names.iter().map(|name| model.join(name)).find(|path| path.exists()).unwrap()).unwrap()
}

fn config_json(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("model/config.json")).unwrap()
}

#[test]
fn all_steps_up_to_a_checkpoint_are_told_of_to_be_kept_before_it_can_be_resumed_from() {
    let runner = Runner::new();
    let folder = runner.folder("run");
    let config = TrainConfig { logging_steps: 1, ..config() };
    let (mut last, mut kept, mut savings) = (0, 0, Vec::new());
    runner
        .run(&folder, &config, false, &mut Told::default(), |progress| {
            match progress {
                Progress::Event(Event::Step(step)) => last = step.step,
                Progress::Saving => {
                    kept = last;
                    savings.push(last);
                }
                _ => {}
            }
            // Whenever the process may be killed, the newest checkpoint is of no later step than what was kept.
            let newest = train::newest_checkpoint(1, &folder).map_or(0, |checkpoint| checkpoint.step);
            assert!(newest <= kept, "a checkpoint of step {newest}, and steps are kept up to {kept}");
            Wish::GoOn
        })
        .unwrap();
    assert_eq!(savings, [3, 6, 9, 12, 15, 18, 20]);
}

#[test]
fn a_run_that_is_stopped_again_and_again_ends_as_one_that_never_was_to_the_last_bit() {
    let runner = Runner::new();
    let usual = config();
    let lora =
        TrainConfig { trainable: Trainable::Lora, lora_dropout: 0.1, dtype: Dtype::Bf16, ..usual.clone() };
    let kinds = [
        ("f32", usual.clone()),
        ("lora-bf16", lora),
        ("bf16", TrainConfig { dtype: Dtype::Bf16, ..usual.clone() }),
        ("bf16-mixed", TrainConfig { dtype: Dtype::Bf16Mixed, ..usual.clone() }),
        ("8bit", TrainConfig { optim: Optim::Adamw8bit, max_tokens_per_batch: Some(64), ..usual.clone() }),
        ("packed", TrainConfig { tokens_per_pass: TokensPerPass::Tokens(100), ..usual.clone() }),
        (
            "by-pieces-cut",
            TrainConfig {
                gradient_accumulation_steps: 1,
                max_grad_norm: 0.0,
                tokens_per_pass: TokensPerPass::Tokens(60),
                ..usual.clone()
            },
        ),
        (
            "by-pieces",
            TrainConfig {
                gradient_accumulation_steps: 1,
                max_grad_norm: 0.0,
                dtype: Dtype::Bf16,
                ..usual.clone()
            },
        ),
        (
            "last",
            TrainConfig {
                load_best_model_at_end: false,
                gradient_checkpointing: GradientCheckpointing::All,
                ..usual
            },
        ),
    ];
    for (name, config) in kinds {
        let whole = runner.folder(&format!("{name}-whole"));
        let expected = runner.whole(&whole, &config);
        let folder = runner.folder(&format!("{name}-parts"));
        let mut told = Told::default();
        for (part, (step, wish)) in
            [(4, Wish::StopNow), (6, Wish::StopAndSave), (14, Wish::StopNow), (99, Wish::GoOn)]
                .into_iter()
                .enumerate()
        {
            let ends = |progress: &Progress| if at_step(progress, step) { wish } else { Wish::GoOn };
            runner.run(&folder, &config, part > 0, &mut told, ends).unwrap();
        }
        assert_eq!(told, expected, "{name}");
        assert_eq!(weights(&folder), weights(&whole), "{name}");
        assert_eq!(config_json(&folder), config_json(&whole), "{name}");
        assert!(!folder.join("checkpoints").exists());
    }
}

/// Writes something else into a checkpoint's state, as if it had been so when it was made.
fn change_state(checkpoint: &Path, from: &str, to: &str) {
    let state = std::fs::read_to_string(checkpoint.join("state.json")).unwrap();
    let other = state.replace(from, to);
    assert_ne!(other, state);
    std::fs::write(checkpoint.join("state.json"), &other).unwrap();
    let manifest = checkpoint.join("manifest.json");
    let mut entries: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let hash: String = sha2::Sha256::digest(&other).iter().map(|byte| format!("{byte:02x}")).collect();
    entries["files"]["state.json"] = serde_json::json!({ "bytes": other.len(), "sha256": hash });
    std::fs::write(&manifest, entries.to_string()).unwrap();
}

#[test]
fn steps_by_pieces_whose_micro_batches_were_halved_add_up_all_gradients_as_the_ordinary_ones_do() {
    let runner = Runner::new();
    let ends = |progress: &Progress| if at_step(progress, 14) { Wish::StopNow } else { Wish::GoOn };
    // A limit out of reach multiplies by 1, and so differs from none in nothing but when the gradients are taken.
    let [by_pieces, whole] = [("by-pieces", 0.0), ("whole", 1e6)].map(|(name, max_grad_norm)| {
        let config = TrainConfig { gradient_accumulation_steps: 1, max_grad_norm, ..config() };
        let folder = runner.folder(name);
        let mut told = Told::default();
        runner.run(&folder, &config, false, &mut told, ends).unwrap();
        change_state(&folder.join("checkpoints/step-00000012"), "\"halvings\": 0", "\"halvings\": 1");
        runner.run(&folder, &config, true, &mut told, |_| Wish::GoOn).unwrap();
        (told, weights(&folder))
    });
    assert_eq!(by_pieces.0, whole.0);
    assert!(by_pieces.1 == whole.1);
}

#[test]
fn a_step_has_the_same_loss_for_any_number_of_tokens_at_once() {
    let runner = Runner::new();
    let one_batch =
        TrainConfig { gradient_accumulation_steps: 1, per_device_train_batch_size: 6, ..config() };
    for (name, config) in [
        ("accumulated", config()),
        ("one batch", one_batch.clone()),
        ("by pieces", TrainConfig { max_grad_norm: 0.0, ..one_batch }),
        ("by tokens", TrainConfig { max_tokens_per_batch: Some(90), ..config() }),
        ("lora", TrainConfig { trainable: Trainable::Lora, ..config() }),
    ] {
        let of = |tokens_per_pass: TokensPerPass| {
            let folder = runner.folder(&format!("{name} {tokens_per_pass}"));
            let (mut told, mut estimated) = (Told::default(), None);
            let config = TrainConfig { tokens_per_pass, ..config.clone() };
            let wish = |progress: &Progress| {
                if let Progress::Event(Event::Estimate(estimate)) = progress {
                    estimated = Some(estimate.tokens_per_pass);
                }
                Wish::GoOn
            };
            runner.run(&folder, &config, false, &mut told, wish).unwrap();
            assert_eq!(estimated, Some(tokens_per_pass.tokens()), "{name}");
            assert!(told.notices.is_empty(), "{name}: {:?}", told.notices);
            told
        };
        let as_set = of(TokensPerPass::None);
        assert_eq!(of(TokensPerPass::Auto), as_set, "{name}: what a processor does by itself");
        let mut differs = false;
        // Each text by itself, some together, all of a step.
        for tokens in [4, 100, 100_000] {
            let packed = of(TokensPerPass::Tokens(tokens));
            assert_eq!(packed.losses.len(), as_set.losses.len());
            differs |= packed != as_set;
            let losses = packed.losses.iter().zip(&as_set.losses);
            let pairs = losses.map(|(&(_, one), &(_, other))| (one, other));
            let evaluations = packed.evaluations.iter().zip(&as_set.evaluations);
            let judged = evaluations.map(|(&(_, one), &(_, other))| (one.unwrap(), other.unwrap()));
            for (one, other) in pairs.chain(judged) {
                let [one, other] = [one, other].map(f64::from_bits);
                assert!((one - other).abs() < 2e-5, "{name}, {tokens} tokens: {one} and {other}");
            }
        }
        assert!(differs, "{name}: other passes round differently");
    }
}

#[test]
fn a_run_of_an_older_version_or_from_a_gpu_goes_on_in_the_passes_of_its_settings_on_a_processor() {
    let runner = Runner::new();
    let whole = runner.folder("whole");
    let expected = runner.whole(&whole, &config());
    let auto = "  \"tokens_per_pass\": \"auto\",\n";
    let halved = ("\"halvings\": 0", "\"halvings\": 1");
    let from_a_gpu = auto.replace("\"auto\"", "4096");
    for (name, changes) in
        [("older", vec![(auto, "")]), ("from a GPU, halved there", vec![(auto, from_a_gpu.as_str()), halved])]
    {
        let folder = runner.folder(name);
        let mut told = Told::default();
        let ends = |progress: &Progress| if at_step(progress, 14) { Wish::StopNow } else { Wish::GoOn };
        runner.run(&folder, &config(), false, &mut told, ends).unwrap();
        for (from, to) in changes {
            change_state(&folder.join("checkpoints/step-00000012"), from, to);
        }
        runner.run(&folder, &config(), true, &mut told, |_| Wish::GoOn).unwrap();
        assert_eq!((told, weights(&folder)), (expected.clone(), weights(&whole)), "{name}");
    }
}

#[test]
fn a_run_that_began_by_products_in_bf16_goes_on_in_32_bits_where_there_are_none_and_tells_it() {
    if model::processor_multiplies_bf16() {
        return; // Here it would go on as it began.
    }
    let runner = Runner::new();
    let config = TrainConfig { dtype: Dtype::Bf16Mixed, ..config() };
    let folder = runner.folder("moved");
    let mut told = Told::default();
    let ends = |progress: &Progress| if at_step(progress, 14) { Wish::StopNow } else { Wish::GoOn };
    runner.run(&folder, &config, false, &mut told, ends).unwrap();
    assert_eq!(told.notices, [ProblemCode::NoBf16Products], "this processor has none to begin with");
    // As a processor that has them would have left it.
    let newest = folder.join("checkpoints/step-00000012");
    change_state(&newest, "\"products_in_bf16\": false", "\"products_in_bf16\": true");
    runner.run(&folder, &config, true, &mut told, |_| Wish::GoOn).unwrap();
    assert_eq!(told.notices, [ProblemCode::NoBf16Products; 2]);
    let whole = runner.folder("never-moved");
    runner.whole(&whole, &config);
    assert_eq!(weights(&folder), weights(&whole), "and does what 32 bits do");
}

#[test]
fn a_torn_or_damaged_checkpoint_is_passed_over_for_the_one_before_it_and_told() {
    let runner = Runner::new();
    let config = config();
    let whole = runner.folder("whole");
    let expected = runner.whole(&whole, &config);
    for damage in ["cut", "bit", "missing", "manifest"] {
        let folder = runner.folder(damage);
        let mut told = Told::default();
        let ends = |progress: &Progress| if at_step(progress, 14) { Wish::StopNow } else { Wish::GoOn };
        runner.run(&folder, &config, false, &mut told, ends).unwrap();
        assert_eq!(train::newest_checkpoint(1, &folder).unwrap().step, 12);
        let newest = folder.join("checkpoints/step-00000012");
        let file = newest.join("optimizer.safetensors");
        match damage {
            "cut" => {
                let bytes = std::fs::read(&file).unwrap();
                std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            }
            "bit" => {
                let mut bytes = std::fs::read(&file).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&file, bytes).unwrap();
            }
            "missing" => std::fs::remove_file(newest.join("model/config.json")).unwrap(),
            _ => std::fs::write(newest.join("manifest.json"), "{").unwrap(),
        }
        // A half-written one under its other name is no checkpoint either.
        std::fs::create_dir_all(folder.join("checkpoints/step-00000015.new")).unwrap();
        let before = train::newest_checkpoint(1, &folder).unwrap().step;
        assert!(before < 12);
        runner.run(&folder, &config, true, &mut told, |_| Wish::GoOn).unwrap();
        assert_eq!(told.notices, [ProblemCode::CheckpointPassedOver]);
        assert_eq!(told.losses, expected.losses, "{damage}");
        assert_eq!(weights(&folder), weights(&whole), "{damage}");
    }
}

#[test]
fn without_a_checkpoint_or_with_other_texts_nothing_is_gone_on_with() {
    let mut runner = Runner::new();
    let folder = runner.folder("run");
    let mut told = Told::default();
    let error = runner.run(&folder, &config(), true, &mut told, |_| Wish::GoOn).unwrap_err();
    assert_eq!(error.problem().code, ProblemCode::NothingToResume);
    let ends = |progress: &Progress| if at_step(progress, 6) { Wish::StopAndSave } else { Wish::GoOn };
    runner.run(&folder, &config(), false, &mut told, ends).unwrap();
    let mut others = runner.examples.examples(&runner.examples.rows()).unwrap();
    others[1].text.push('x');
    runner.examples = Table::of(others);
    let error = runner.run(&folder, &config(), true, &mut told, |_| Wish::GoOn).unwrap_err();
    assert_eq!(error.problem().code, ProblemCode::CheckpointMismatch);
}

#[test]
fn a_run_that_waits_is_saved_and_goes_on_as_if_it_had_not() {
    let runner = Runner::new();
    let whole = runner.folder("whole");
    let expected = runner.whole(&whole, &config());
    let folder = runner.folder("paused");
    let (mut told, mut waits, mut saw) = (Told::default(), 0, Vec::new());
    let wish = |progress: &Progress| {
        if let Progress::Paused(waiting) = progress {
            saw.push(*waiting);
        }
        if at_step(progress, 8) && waits == 0 || (1..4).contains(&waits) {
            waits += 1;
            return Wish::Pause;
        }
        Wish::GoOn
    };
    runner.run(&folder, &config(), false, &mut told, wish).unwrap();
    assert_eq!(saw, [true, false]);
    assert_eq!((told, weights(&folder)), (expected, weights(&whole)));
}

#[test]
fn the_limit_on_checkpoints_keeps_the_newest_and_the_best() {
    let runner = Runner::new();
    let folder = runner.folder("run");
    // A learning rate that makes every evaluation after the first one worse.
    let config = TrainConfig {
        learning_rate: Some(0.5),
        eval_steps: Some(2),
        save_steps: Some(2),
        save_total_limit: 2,
        logging_steps: 1,
        metric_for_best_model: Metric::LogLoss,
        ..config()
    };
    let mut told = Told::default();
    let mut best = None;
    let ends = |progress: &Progress| {
        if let Progress::Event(Event::Evaluation(evaluation)) = progress {
            let losses: Vec<f64> = evaluation.axes.values().map(|axis| axis.log_loss.unwrap()).collect();
            let loss = losses.iter().sum::<f64>() / losses.len() as f64;
            if best.is_none_or(|(_, least)| loss < least) {
                best = Some((evaluation.step, loss));
            }
        }
        if at_step(progress, 15) { Wish::StopNow } else { Wish::GoOn }
    };
    runner.run(&folder, &config, false, &mut told, ends).unwrap();
    let names: std::collections::BTreeSet<String> = std::fs::read_dir(folder.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() <= 2, "{names:?}");
    assert!(names.contains("step-00000014"), "{names:?}");
    assert!(names.contains(&format!("step-{:08}", best.unwrap().0)), "{names:?} {best:?}");
}

#[test]
fn a_run_whose_evaluations_become_no_better_ends_early_with_the_weights_of_its_best_one() {
    let runner = Runner::new();
    let folder = runner.folder("run");
    let config = TrainConfig {
        learning_rate: Some(0.5),
        max_steps: Some(60),
        eval_steps: Some(2),
        early_stopping_patience: 3,
        ..config()
    };
    let mut told = Told::default();
    let outcome = runner.run(&folder, &config, false, &mut told, |_| Wish::GoOn).unwrap();
    assert!(outcome.finished.stopped_early && outcome.finished.steps < 60, "{:?}", outcome.finished);
    let loss = |(step, bits): &(u32, Option<u64>)| (f64::from_bits(bits.unwrap()), *step);
    let best = told.evaluations.iter().map(loss).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    assert_eq!(outcome.finished.best_step, Some(best));
    assert!(config_json(&folder).contains(&format!("\"step\": {best}")));
}

#[test]
fn a_loss_that_is_no_number_names_the_step_its_rows_and_the_last_good_checkpoint() {
    let runner = Runner::new();
    let folder = runner.folder("run");
    let config = TrainConfig {
        learning_rate: Some(1.0),
        adam_epsilon: 1e-30,
        max_grad_norm: 0.0,
        weight_decay: 1.0,
        max_steps: Some(400),
        ..config()
    };
    // Weights that are not finite are put in by hand, as no setting brings them about for sure.
    let mut told = Told::default();
    let ends = |progress: &Progress| if at_step(progress, 6) { Wish::StopAndSave } else { Wish::GoOn };
    let usual = TrainConfig { learning_rate: Some(1e-3), ..config.clone() };
    runner.run(&folder, &usual, false, &mut told, ends).unwrap();
    let model = runner.model.join("model.safetensors");
    let mut bytes = std::fs::read(&model).unwrap();
    let end = bytes.len();
    for weight in bytes[end - 4096..].chunks_exact_mut(4) {
        weight.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&model, bytes).unwrap();
    let other = runner.folder("broken");
    let error = runner.run(&other, &usual, false, &mut told, |_| Wish::GoOn).unwrap_err();
    let problem = error.problem();
    assert_eq!(problem.code, ProblemCode::LossNotFinite, "{error}");
    assert_eq!(problem.params["checkpoint"], "0");
    assert!(problem.params["rows"].split(", ").all(|row| (1..=60).contains(&row.parse::<u32>().unwrap())));
}
