use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use data::{Encoded, Part, Tokenizer, encode_rows};
use mbti::Type;
use model::{Network, Products, Setup};
use record::{Device, Dtype, Estimate, Event, Finished, Problem, ProblemCode, TrainConfig};

use crate::{
    Error, Progress,
    baseline::baseline,
    batching::plan,
    checkpoint::{self, Checkpoint},
    class_weights,
    error::Result,
    estimate::check_fits,
    evaluate::ValidationSet,
    learner::{Learner, TrainingSet},
    memory::peak_rss_mib,
    progress::{Listener, Tell, notice},
    training_loop::TrainingLoop,
};

/// Beside a run's folder, that its bag of words has been judged already.
const BASELINE: &str = "baseline.json";

/// What a run needs beside its settings.
pub struct Inputs<'a> {
    /// The number of the run in the history.
    pub run: i64,
    pub config: &'a TrainConfig,
    /// Folder of the model to start from.
    pub model_folder: &'a Path,
    /// Folder of the run: `model/` and `checkpoints/` are written here.
    pub run_folder: &'a Path,
    /// Folder of the built-in bag of words, which learns from the same texts for comparison; none
    /// where the run's own model is that.
    pub words_folder: Option<&'a Path>,
    pub train: Part<'a>,
    pub valid: Part<'a>,
    /// Whether the texts are the made-up sample's, which is written into the model.
    pub made_up: bool,
    /// The checkpoint in the run's folder to go on from; none to begin.
    pub resume: Option<Checkpoint>,
}

/// How a run ended that did not fail.
#[derive(Debug)]
pub struct Outcome {
    pub finished: Finished,
    /// Where the trained model lies; none when the run was stopped before anything was saved.
    pub model_folder: Option<PathBuf>,
}

/// Trains: texts → tokens → batches → loss → gradients → weights, with evaluations and
/// checkpoints on the way, and the trained model in the run's folder at the end.
///
/// `listener` hears all there is to tell and answers how to go on. A run that is stopped with a
/// wish to save, or whose process ends in any way after its first checkpoint, can be gone on with,
/// and then does what it would have done, to the last bit (on the same number of threads).
pub fn run(inputs: &Inputs, listener: &mut Listener) -> Result<Outcome> {
    let mut tell = |what: Progress| listener(what).map_err(Error::Progress);
    check(inputs)?;
    if inputs.config.dtype == Dtype::Tf32 {
        let message = "tf32 is a GPU's. On this device everything is computed in 32 bits, which is more.";
        let problem = Problem::new(ProblemCode::NoTf32, message);
        notice(&mut tell, 0, problem)?;
    }
    check_fits(inputs.model_folder, inputs.config)?;
    if !judge_the_words(inputs, &mut tell)? {
        return Ok(stopped_before_the_first_step(inputs.run));
    }
    match prepare(inputs, &mut tell)? {
        Some(ready) => TrainingLoop::new(inputs, ready)?.run(&mut tell),
        None => Ok(stopped_before_the_first_step(inputs.run)),
    }
}

/// What the run would need, from the model, the texts, the settings and two measured passes.
/// Nothing is written, and the run is not begun.
pub fn estimate(inputs: &Inputs, listener: &mut Listener) -> Result<Estimate> {
    let mut tell = |what: Progress| listener(what).map_err(Error::Progress);
    check(inputs)?;
    check_fits(inputs.model_folder, inputs.config)?;
    let Some(ready) = prepare(inputs, &mut tell)? else {
        return Err(Error::Progress(Problem::new(ProblemCode::Internal, "The estimate was stopped.")));
    };
    let found = TrainingLoop::new(inputs, ready)?.estimate()?;
    tell(Progress::Event(&Event::Estimate(found)))?;
    Ok(found)
}

fn check(inputs: &Inputs) -> Result<()> {
    let config = inputs.config;
    config.check().map_err(Error::Progress)?;
    if let Device::Cuda(_) = config.device {
        return Err(Error::NoSuchDevice { device: config.device });
    }
    for (part, texts) in [("training", inputs.train.len()), ("validation", inputs.valid.len())] {
        if texts == 0 {
            return Err(data::Error::TooFew { part, texts }.into());
        }
    }
    Ok(())
}

/// The bag of words on the same split, once in the life of a run; `false` when it was stopped.
fn judge_the_words(inputs: &Inputs, tell: &mut Tell) -> Result<bool> {
    let done = inputs.run_folder.join(BASELINE);
    let Some(words_folder) = inputs.words_folder.filter(|_| !done.exists()) else { return Ok(true) };
    let Some(found) = baseline(inputs, words_folder, tell)? else { return Ok(false) };
    tell(Progress::Event(&Event::Baseline(found.clone())))?;
    checkpoint::write_json(&done, &found)?;
    Ok(true)
}

/// What a run has before its first step.
pub(crate) struct Ready<'a> {
    pub(crate) learner: Learner<'a>,
    pub(crate) valid: ValidationSet,
    pub(crate) max_length: usize,
    /// A hash of all tokens and types.
    pub(crate) texts: String,
}

/// Loads the model and makes the texts into tokens; `None` when it was stopped on the way.
fn prepare<'a>(inputs: &Inputs<'a>, tell: &mut Tell) -> Result<Option<Ready<'a>>> {
    let config = inputs.config;
    let types = inputs.train.types();
    let weights = class_weights(config.class_weights, &types, &config.axes)?;
    let mut network = model::start(inputs.model_folder, &Setup::of(config))?;
    network.products = products(config.dtype);
    let trainable = network.weights.trainable_count();
    tell(Progress::Loaded { report: &network.report, trainable })?;
    let Some((train, valid, max_length)) = encode_both(inputs, &network, tell)? else { return Ok(None) };
    let valid =
        ValidationSet { encoded: valid, types: inputs.valid.types(), authors: inputs.valid.authors() };
    let texts = fingerprint([(&train, &types), (&valid.encoded, &valid.types)])?;
    let learner = Learner::new(config, network, TrainingSet { encoded: train, types, weights });
    Ok(Some(Ready { learner, valid, max_length, texts }))
}

/// In bf16 where the settings ask for it and the processor is faster by it.
fn products(dtype: Dtype) -> Products {
    match dtype {
        Dtype::Bf16 | Dtype::Bf16Mixed if model::bf16_products_are_faster() => Products::Bf16,
        _ => Products::F32,
    }
}

fn encode_both(
    inputs: &Inputs,
    network: &Network,
    tell: &mut Tell,
) -> Result<Option<(Encoded, Encoded, usize)>> {
    let (tokenizer, max_length) = network.tokenizer(inputs.config.max_length as usize)?;
    let total = inputs.train.len() + inputs.valid.len();
    let mut one = |part: Part, before: usize| {
        tokenize(&tokenizer, part, max_length, |done| {
            Ok(tell(Progress::Tokenizing { done: before + done, total })?.goes_on())
        })
    };
    let Some(train) = one(inputs.train, 0)? else { return Ok(None) };
    let Some(valid) = one(inputs.valid, inputs.train.len())? else { return Ok(None) };
    Ok(Some((train, valid, max_length)))
}

pub(crate) fn tokenize(
    tokenizer: &Tokenizer,
    part: Part,
    max_length: usize,
    mut tell: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Encoded>> {
    let mut failed = None;
    let encoded = encode_rows(part.table, part.rows, tokenizer, max_length, |done| {
        tell(done).unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    })?;
    failed.map_or(Ok(encoded), Err)
}

/// A hash of all tokens and types, so that a run is not gone on with on other texts.
fn fingerprint(parts: [(&Encoded, &Vec<Type>); 2]) -> Result<String> {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (encoded, types) in parts {
        hash.update((encoded.len() as u64).to_le_bytes());
        encoded.visit(|bytes| hash.update(bytes))?;
        types.iter().for_each(|mbti| hash.update([mbti.index() as u8]));
    }
    Ok(checkpoint::hex(&hash.finalize()))
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
        optimizer_mib: 0.0,
        best_step: None,
        stopped_early: false,
        axes: BTreeMap::new(),
    };
    Outcome { finished, model_folder: None }
}

impl<'a> Ready<'a> {
    pub(crate) fn plan(&self) -> Result<crate::batching::Plan> {
        plan(&self.learner.set.encoded, self.learner.config).map_err(Error::Progress)
    }
}
