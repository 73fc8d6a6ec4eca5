use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use data::{Encoded, Example, Tokenizer, encode, epoch_order, pack};
use mbti::Type;
use model::{LoadReport, Network, Setup};
use record::{Device, Evaluation, Event, Finished, Problem, Step, TrainConfig};
use serde_json::{Map, Value, json};

use crate::{
    AdamW, ClassWeights, Error, Gradients, Hyperparameters, checkpoint, class_weights,
    error::Result,
    evaluate::evaluate,
    linear_schedule,
    loss::{loss, total_weight},
    peak_rss_mib,
};

/// What a run needs beside its settings.
pub struct Inputs<'a> {
    /// The number of the run in the history.
    pub run: i64,
    pub config: &'a TrainConfig,
    /// Folder of the model to start from.
    pub model_folder: &'a Path,
    /// Folder of the run: `model/` and `checkpoints/` are written here.
    pub run_folder: &'a Path,
    pub train: Vec<&'a Example>,
    pub valid: Vec<&'a Example>,
    /// Whether the texts are the made-up sample's, which is written into the model.
    pub made_up: bool,
}

/// What a run tells the one function that it is given.
pub enum Progress<'a> {
    /// The model is in memory: what became of its weights, and how many single ones learn.
    Loaded {
        report: &'a LoadReport,
        trainable: usize,
    },
    /// Texts are made into tokens: so many of so many.
    Tokenizing {
        done: usize,
        total: usize,
    },
    /// Training is about to begin, with so many optimizer steps and this learning rate.
    Begin {
        total_steps: u32,
        learning_rate: f64,
    },
    Event(&'a Event),
    /// A model folder that can be predicted with has been written.
    Saved(&'a Path),
    /// Nothing new; only the question whether to go on.
    Working,
}

/// How a run ended that did not fail.
#[derive(Debug)]
pub struct Outcome {
    pub finished: Finished,
    /// Where the trained model lies; none when the run was stopped before its first step.
    pub model_folder: Option<PathBuf>,
}

/// Trains: texts → tokens → batches → loss → gradients → weights, with evaluations and
/// checkpoints on the way, and the trained model in the run's folder at the end.
///
/// `progress` hears all there is to tell and answers whether to go on. When it says no, the run
/// ends after the step it is in, with what it has learned saved.
pub fn run(
    inputs: &Inputs,
    progress: &mut dyn FnMut(Progress) -> std::result::Result<bool, Problem>,
) -> Result<Outcome> {
    let config = inputs.config;
    config.check().map_err(Error::Progress)?;
    if let Device::Cuda(_) = config.device {
        return Err(Error::NoSuchDevice { device: config.device });
    }
    let mut tell = |what: Progress| progress(what).map_err(Error::Progress);
    for (part, texts) in [("training", inputs.train.len()), ("validation", inputs.valid.len())] {
        if texts == 0 {
            return Err(data::Error::TooFew { part, texts }.into());
        }
    }
    let types: Vec<Type> = inputs.train.iter().map(|example| example.mbti).collect();
    let valid_types: Vec<Type> = inputs.valid.iter().map(|example| example.mbti).collect();
    let weights = class_weights(config.class_weights, &types, &config.axes)?;

    let network = model::start(inputs.model_folder, &Setup::of(config))?;
    tell(Progress::Loaded { report: &network.report, trainable: network.weights.trainable_count() })?;
    let (tokenizer, max_length) = network.tokenizer(config.max_length as usize)?;
    let both = [&inputs.train, &inputs.valid];
    let total = both.iter().map(|texts| texts.len()).sum();
    let mut encoded = Vec::with_capacity(2);
    let mut before = 0;
    for texts in both {
        let Some(part) = tokenize(&tokenizer, texts, max_length, |done| {
            tell(Progress::Tokenizing { done: before + done, total })
        })?
        else {
            return Ok(stopped_before_the_first_step(inputs.run));
        };
        before += texts.len();
        encoded.push(part);
    }
    drop(tokenizer);
    let (Some(valid), Some(train)) = (encoded.pop(), encoded.pop()) else {
        return Ok(stopped_before_the_first_step(inputs.run));
    };
    let set = TrainingSet { encoded: train, types, weights };
    let valid = ValidationSet { encoded: valid, types: valid_types };
    Loop::new(inputs, network, set, valid, max_length).run(&mut tell)
}

fn tokenize(
    tokenizer: &Tokenizer,
    examples: &[&Example],
    max_length: usize,
    mut tell: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Encoded>> {
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    let mut failed = None;
    let encoded = encode(tokenizer, &texts, max_length, |done| {
        tell(done).unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    })?;
    failed.map_or(Ok(encoded), Err)
}

fn stopped_before_the_first_step(run: i64) -> Outcome {
    let finished = Finished {
        run,
        steps: 0,
        stopped: true,
        train_seconds: 0.0,
        tokens_per_second: 0.0,
        samples_per_second: 0.0,
        peak_rss_mib: peak_rss_mib(),
        axes: BTreeMap::new(),
    };
    Outcome { finished, model_folder: None }
}

struct TrainingSet {
    encoded: Encoded,
    types: Vec<Type>,
    weights: ClassWeights,
}

struct ValidationSet {
    encoded: Encoded,
    types: Vec<Type>,
}

/// What goes round: the network, its optimizer, and how far and how fast they have come.
struct Loop<'a> {
    inputs: &'a Inputs<'a>,
    network: Network,
    optimizer: AdamW,
    learning_rate: f64,
    set: TrainingSet,
    valid: ValidationSet,
    max_length: usize,
    total_steps: u32,
    eval_steps: u32,
    /// Time in the training loop alone, without evaluations and saving.
    train_time: Duration,
    /// Time that the last evaluation took, saving included.
    evaluation_time: Option<Duration>,
    samples: u64,
    tokens: u64,
    last_evaluation: Option<Evaluation>,
}

/// Why a pass over the texts ended.
enum End {
    LastStep,
    Stopped,
}

impl<'a> Loop<'a> {
    fn new(
        inputs: &'a Inputs<'a>,
        mut network: Network,
        set: TrainingSet,
        valid: ValidationSet,
        max_length: usize,
    ) -> Loop<'a> {
        let config = inputs.config;
        let group = group_size(config);
        let steps_an_epoch = set.encoded.len().div_ceil(group);
        let by_epochs = (config.epochs * steps_an_epoch as f64).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
        let total_steps = config.max_steps.unwrap_or(by_epochs);
        let hyperparameters = Hyperparameters { weight_decay: config.weight_decay, ..Default::default() };
        Loop {
            inputs,
            optimizer: AdamW::new(&mut network.weights, hyperparameters),
            learning_rate: config.learning_rate.unwrap_or_else(|| network.default_learning_rate()),
            network,
            set,
            valid,
            max_length,
            total_steps,
            eval_steps: config.eval_steps.unwrap_or_else(|| total_steps.div_ceil(4)),
            train_time: Duration::ZERO,
            evaluation_time: None,
            samples: 0,
            tokens: 0,
            last_evaluation: None,
        }
    }

    fn run(mut self, tell: &mut dyn FnMut(Progress) -> Result<bool>) -> Result<Outcome> {
        let (total_steps, learning_rate) = (self.total_steps, self.learning_rate);
        if !tell(Progress::Begin { total_steps, learning_rate })? {
            return Ok(stopped_before_the_first_step(self.inputs.run));
        }
        let group = group_size(self.inputs.config);
        let mut end = End::LastStep;
        'epochs: for epoch in 0.. {
            let order = epoch_order(self.set.encoded.len(), self.inputs.config.seed, epoch);
            for (place, rows) in order.chunks(group).enumerate() {
                let done = (place * group + rows.len()) as f64 / order.len() as f64;
                if let Some(why) = self.one_step(rows, f64::from(epoch) + done, tell)? {
                    end = why;
                    break 'epochs;
                }
            }
        }
        self.finish(&end, tell)
    }

    /// One optimizer step, and whatever is due after it.
    fn one_step(
        &mut self,
        rows: &[u32],
        epoch: f64,
        tell: &mut dyn FnMut(Progress) -> Result<bool>,
    ) -> Result<Option<End>> {
        let begin = Instant::now();
        let learning_rate = self.learning_rate * linear_schedule(self.optimizer.step, self.total_steps);
        let loss = self.learn(rows, learning_rate)?;
        self.train_time += begin.elapsed();
        let step = self.optimizer.step;
        let seconds = self.train_time.as_secs_f64().max(1e-9);
        let event = Event::Step(Step {
            step,
            epoch,
            loss,
            learning_rate,
            samples_per_second: self.samples as f64 / seconds,
            tokens_per_second: self.tokens as f64 / seconds,
            seconds_left: self.seconds_left(),
        });
        if !tell(Progress::Event(&event))? {
            return Ok(Some(if step >= self.total_steps { End::LastStep } else { End::Stopped }));
        }
        if step >= self.total_steps {
            return Ok(Some(End::LastStep));
        }
        if step.is_multiple_of(self.eval_steps) {
            let begin = Instant::now();
            if !self.judge(tell)? {
                return Ok(Some(End::Stopped));
            }
            let folder = checkpoint::save(&self.network, self.inputs.run_folder, step, self.notes())?;
            self.evaluation_time = Some(begin.elapsed());
            let go_on = tell(Progress::Saved(&folder))?;
            checkpoint::remove_others(self.inputs.run_folder, Some(&folder));
            if !go_on {
                return Ok(Some(End::Stopped));
            }
        }
        Ok(None)
    }

    /// Forward and backward over the micro-batches of one group, then one move of the weights.
    /// Gives the loss of the group.
    fn learn(&mut self, rows: &[u32], learning_rate: f64) -> Result<f64> {
        let config = self.inputs.config;
        let step = self.optimizer.step + 1;
        let types_of =
            |rows: &[u32]| rows.iter().map(|&row| self.set.types[row as usize]).collect::<Vec<_>>();
        let group_types = types_of(rows);
        let group_weight = total_weight(group_types.iter().copied(), &self.network.head, &self.set.weights);
        let mut gradients = Gradients::default();
        let mut sum = 0.0;
        for (micro, rows) in rows.chunks(config.batch_size as usize).enumerate() {
            let batch = pack(&self.set.encoded, rows);
            let seed = u64::from(config.seed) << 32 ^ u64::from(step) << 16 ^ micro as u64;
            let (network, types) = (&self.network, types_of(rows));
            let loss = network.learn(
                &batch,
                seed,
                config.gradient_checkpointing,
                &|logits| loss(logits, &types, &network.head, &self.set.weights, &group_weight),
                &mut |grads| gradients.add(&network.weights, grads),
            )?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            if !sum.is_finite() {
                return Err(Error::LossNotFinite { step });
            }
            self.samples += batch.len() as u64;
            self.tokens += batch.tokens;
        }
        self.optimizer.step(&self.network.weights, &gradients, learning_rate)?;
        Ok(sum)
    }

    /// Evaluates and tells; `false` when it was stopped on the way.
    fn judge(&mut self, tell: &mut dyn FnMut(Progress) -> Result<bool>) -> Result<bool> {
        let evaluation = evaluate(
            &self.network,
            &self.valid.encoded,
            &self.valid.types,
            &self.set.weights,
            self.optimizer.step,
            || tell(Progress::Working),
        )?;
        let Some(evaluation) = evaluation else { return Ok(false) };
        self.last_evaluation = Some(evaluation.clone());
        tell(Progress::Event(&Event::Evaluation(evaluation)))
    }

    fn finish(mut self, end: &End, tell: &mut dyn FnMut(Progress) -> Result<bool>) -> Result<Outcome> {
        let folder = self.inputs.run_folder.join("model");
        // What was learned is saved before it is judged, so that nothing can come between.
        model::save(&self.network, &folder, self.notes())?;
        tell(Progress::Saved(&folder))?;
        checkpoint::remove_others(self.inputs.run_folder, None);
        if let End::LastStep = end {
            self.judge(tell)?;
        }
        // Metrics of an earlier step are not those of what was saved.
        let step = self.optimizer.step;
        let last = self.last_evaluation.take().filter(|evaluation| evaluation.step == step);
        let stopped = matches!(end, End::Stopped) || last.is_none();
        let seconds = self.train_time.as_secs_f64().max(1e-9);
        let finished = Finished {
            run: self.inputs.run,
            steps: self.optimizer.step,
            stopped,
            train_seconds: self.train_time.as_secs_f64(),
            tokens_per_second: self.tokens as f64 / seconds,
            samples_per_second: self.samples as f64 / seconds,
            peak_rss_mib: peak_rss_mib(),
            axes: last.map(|evaluation| evaluation.axes).unwrap_or_default(),
        };
        tell(Progress::Event(&Event::Finished(finished.clone())))?;
        Ok(Outcome { finished, model_folder: Some(folder) })
    }

    /// What is left of training, and of the evaluations as long as the last one, or as a guess
    /// from the number of texts, a forward pass being a third of a step.
    fn seconds_left(&self) -> f64 {
        let step = self.optimizer.step;
        let a_step = self.train_time.as_secs_f64() / f64::from(step.max(1));
        let steps_left = f64::from(self.total_steps.saturating_sub(step));
        let an_evaluation = self.evaluation_time.map_or_else(
            || {
                let seconds_a_text = self.train_time.as_secs_f64() / (self.samples.max(1) as f64);
                seconds_a_text * self.valid.types.len() as f64 / 3.0
            },
            |time| time.as_secs_f64(),
        );
        let evaluations_left = f64::from((self.total_steps.saturating_sub(step)).div_ceil(self.eval_steps));
        a_step * steps_left + an_evaluation * evaluations_left
    }

    /// What the model's config.json keeps for predicting.
    fn notes(&self) -> Map<String, Value> {
        let notes = json!({
            "run": self.inputs.run,
            "step": self.optimizer.step,
            "model": self.inputs.config.model,
            "max_length": self.max_length,
            "made_up": self.inputs.made_up,
        });
        notes.as_object().cloned().unwrap_or_default()
    }
}

/// Texts that one optimizer step learns from.
fn group_size(config: &TrainConfig) -> usize {
    (config.batch_size as usize).saturating_mul(config.gradient_accumulation_steps as usize).max(1)
}
