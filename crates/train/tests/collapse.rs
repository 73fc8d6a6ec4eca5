//! Runs that go nowhere are reported by name while they go on, and runs that learn are not.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

use data::{Example, Part, Table};
use mbti::{Axis, Type};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use record::{ClassWeighting, Dtype, Event, LrSchedulerType, Optim, ProblemCode, TrainConfig, Trainable};
use tiny_models::tiny_bert;
use train::{Checkpoint, Inputs, Progress, Wish};

const AXES: [Axis; 2] = [Axis::ExtraversionIntroversion, Axis::JudgingPerceiving];

/// Texts of letters whose first half of the alphabet is commoner with E, and whose vowels are with P; one
/// of `rarity` authors has I.
fn texts(rarity: usize, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut examples = Vec::new();
    for author in 0..80 {
        let (second, perceiving) = (author % rarity == 0, (author / rarity).is_multiple_of(2));
        let mbti = Type::from_classes([second, false, false, perceiving]);
        for _ in 0..5 {
            let letter = |random: &mut ChaCha8Rng| {
                let vowel = random.random_bool(if perceiving { 0.6 } else { 0.1 });
                let letters = match (random.random_bool(0.85) == second, vowel) {
                    (true, true) => "ou",
                    (true, false) => "nprstv",
                    (false, true) => "aei",
                    (false, false) => "bcdfgh",
                };
                let letters: Vec<char> = letters.chars().collect();
                letters[random.random_range(0..letters.len())]
            };
            let text = (0..24).map(|_| letter(&mut random)).collect();
            examples.push(Example { author: Some(format!("a{author}")), text, mbti });
        }
    }
    examples
}

/// Texts, of which each fifth author is judged by.
struct Texts {
    table: Table,
    train: Vec<u32>,
    valid: Vec<u32>,
}

impl Texts {
    fn of(examples: Vec<Example>) -> Texts {
        let table = Table::of(examples);
        let (valid, train) = table.rows().iter().partition(|&&row| row / 5 % 5 == 3);
        Texts { table, train, valid }
    }
}

struct Runner {
    home: tempfile::TempDir,
    model: PathBuf,
}

impl Runner {
    fn new() -> Runner {
        let home = tempfile::tempdir().unwrap();
        let model = tiny_bert(home.path());
        Runner { home, model }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn inputs<'a>(
        &'a self,
        config: &'a TrainConfig,
        texts: &'a Texts,
        run_folder: &'a Path,
        resume: Option<Checkpoint>,
    ) -> Inputs<'a> {
        Inputs {
            run: 1,
            config,
            model_folder: &self.model,
            run_folder,
            words_folder: None,
            train: Part { table: &texts.table, rows: &texts.train },
            valid: Part { table: &texts.table, rows: &texts.valid },
            made_up: false,
            resume,
        }
    }

    /// What a run reports of itself: its notices by step and code, and the loss of each step.
    fn reported(&self, name: &str, config: &TrainConfig, examples: Vec<Example>) -> Reported {
        let (texts, folder) = (Texts::of(examples), self.folder(name));
        let inputs = self.inputs(config, &texts, &folder, None);
        let mut reported = Reported::default();
        train::run(&inputs, &mut |progress| {
            match progress {
                Progress::Event(Event::Notice(notice)) => {
                    reported.notices.push((notice.step, notice.problem.code));
                }
                Progress::Event(Event::Step(step)) => reported.losses.push(step.loss),
                _ => {}
            }
            Ok(Wish::GoOn)
        })
        .unwrap();
        reported
    }
}

#[derive(Debug, Default)]
struct Reported {
    notices: Vec<(u32, ProblemCode)>,
    losses: Vec<f64>,
}

impl Reported {
    fn codes(&self) -> Vec<ProblemCode> {
        self.notices.iter().map(|(_, code)| *code).collect()
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        axes: AXES.to_vec(),
        max_steps: Some(160),
        learning_rate: Some(2e-3),
        head_learning_rate_multiplier: 1.0,
        warmup_ratio: 0.1,
        ..Default::default()
    }
}

/// As many texts as of so many seeds, their types dealt out to the texts anew.
fn with_shuffled_labels(seeds: u64, seed: u64) -> Vec<Example> {
    let mut examples: Vec<Example> = (0..seeds).flat_map(|more| texts(2, 100 * seed + more)).collect();
    let mut types: Vec<Type> = examples.iter().map(|example| example.mbti).collect();
    types.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    examples.iter_mut().zip(types).for_each(|(example, mbti)| example.mbti = mbti);
    examples
}

#[test]
fn a_learning_rate_a_hundred_times_too_high_is_reported_as_a_collapse_of_the_answers() {
    let runner = Runner::new();
    for seed in 0..3 {
        let config = TrainConfig { learning_rate: Some(0.2), seed, ..config() };
        let found = runner.reported(&format!("{seed}"), &config, texts(2, u64::from(seed)));
        assert!(found.codes().contains(&ProblemCode::AnswersConstant), "{found:?}");
        assert!(found.notices.iter().all(|(step, _)| *step < 160), "while it goes on: {found:?}");
    }
}

#[test]
fn shuffled_labels_are_reported_as_a_loss_that_does_not_fall() {
    let runner = Runner::new();
    for seed in 0..3 {
        let config = TrainConfig { per_device_train_batch_size: 32, seed, ..config() };
        let found = runner.reported(&format!("{seed}"), &config, with_shuffled_labels(12, u64::from(seed)));
        assert_eq!(found.codes(), [ProblemCode::LossNotFalling], "{found:?}");
    }
}

#[test]
fn a_head_that_does_not_move_is_reported_as_a_loss_that_does_not_fall() {
    let runner = Runner::new();
    for seed in 0..3 {
        // The head alone learns, and so slowly that it is as good as frozen.
        let config = TrainConfig {
            trainable: Trainable::Head,
            learning_rate: Some(1e-12),
            max_steps: Some(400),
            per_device_train_batch_size: 32,
            seed,
            ..config()
        };
        let found = runner.reported(&format!("{seed}"), &config, texts(2, u64::from(seed)));
        assert!(found.codes().contains(&ProblemCode::LossNotFalling), "{found:?}");
        assert!(!found.codes().contains(&ProblemCode::GradientsClipped), "{found:?}");
    }
}

#[test]
fn gradients_at_their_limit_all_the_time_are_reported_where_the_loss_does_not_fall() {
    let runner = Runner::new();
    let config = TrainConfig { learning_rate: Some(0.2), max_grad_norm: 1e-3, ..config() };
    let found = runner.reported("clipped", &config, texts(2, 0));
    assert!(found.codes().contains(&ProblemCode::GradientsClipped), "{found:?}");
}

#[test]
fn none_of_ten_healthy_runs_is_accused() {
    let runner = Runner::new();
    let usual = config();
    let runs = [
        ("usual", usual.clone(), texts(2, 1)),
        ("rare letter", usual.clone(), texts(8, 2)),
        (
            "rare letter without weights",
            TrainConfig { class_weights: ClassWeighting::None, ..usual.clone() },
            texts(8, 3),
        ),
        (
            "one pass",
            TrainConfig { max_steps: None, num_train_epochs: Some(1.0), ..usual.clone() },
            texts(2, 4),
        ),
        ("few texts", TrainConfig { max_steps: Some(60), ..usual.clone() }, texts(2, 5)[..60].to_vec()),
        (
            "early evaluations in a long warmup",
            TrainConfig { eval_steps: Some(5), warmup_ratio: 0.5, max_steps: Some(240), ..usual.clone() },
            texts(2, 6),
        ),
        (
            "all gradients cut",
            TrainConfig { max_grad_norm: 0.01, max_steps: Some(240), ..usual.clone() },
            texts(2, 7),
        ),
        (
            "LoRA in bf16",
            TrainConfig {
                trainable: Trainable::Lora,
                learning_rate: Some(1e-2),
                dtype: Dtype::Bf16,
                max_steps: Some(240),
                ..usual.clone()
            },
            texts(2, 8),
        ),
        (
            "one axis, large steps, constant rate",
            TrainConfig {
                axes: vec![Axis::JudgingPerceiving],
                gradient_accumulation_steps: 4,
                lr_scheduler_type: LrSchedulerType::Constant,
                ..usual.clone()
            },
            texts(2, 9),
        ),
        (
            "8-bit moments by pieces",
            TrainConfig { optim: Optim::Adamw8bit, max_grad_norm: 0.0, seed: 3, ..usual },
            texts(2, 10),
        ),
    ];
    let mut accused = Vec::new();
    for (name, config, examples) in runs {
        let found = runner.reported(name, &config, examples);
        let end = &found.losses[found.losses.len() - 5..];
        assert!(end.iter().sum::<f64>() / 5.0 < 0.6, "{name} does learn: {end:?}");
        if !found.notices.is_empty() {
            accused.push((name, found.notices));
        }
    }
    assert_eq!(accused, []);
}

#[test]
fn a_resumed_run_reports_what_it_would_have_reported() {
    let runner = Runner::new();
    let config = TrainConfig { learning_rate: Some(0.2), save_steps: Some(10), ..config() };
    let whole = runner.reported("whole", &config, texts(2, 0)).notices;
    assert!(!whole.is_empty());
    let (texts, folder) = (Texts::of(texts(2, 0)), runner.folder("parts"));
    let mut told = Vec::new();
    for (part, end) in [30, 75, 100, 999].into_iter().enumerate() {
        let resume = (part > 0).then(|| train::newest_checkpoint(1, &folder)).transpose().unwrap();
        let inputs = runner.inputs(&config, &texts, &folder, resume);
        train::run(&inputs, &mut |progress| {
            if let Progress::Event(Event::Notice(notice)) = progress {
                told.push((notice.step, notice.problem.code));
            }
            let ends = matches!(progress, Progress::Event(Event::Step(step)) if step.step >= end);
            Ok(if ends { Wish::StopAndSave } else { Wish::GoOn })
        })
        .unwrap();
    }
    assert_eq!(told, whole);
}
