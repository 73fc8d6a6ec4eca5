use std::{path::Path, time::Instant};

use compute::Cpu;
use data::Part;
use model::{Network, Setup};
use record::{
    Baseline, Dtype, GradientCheckpointing, LrSchedulerType, Optim, Quantization, TokensPerPass, TrainConfig,
    Trainable,
};

use crate::{
    AnswersOf, Error, Inputs, Listener, Progress,
    batching::{groups, plan},
    class_weights,
    error::Result,
    evaluate::{Answers, ValidationSet, evaluate},
    fold_answers,
    learner::{Learner, TrainingSet},
    prepare::tokenize,
    progress::Tell,
    schedule,
};

/// Steps after which the bag of words has learned what it will, whatever the number of texts.
const MOST_STEPS: u32 = 1000;

/// How the bag of words learns, whatever is asked of the model that it is compared with.
fn config_of(config: &TrainConfig) -> TrainConfig {
    TrainConfig {
        num_train_epochs: Some(3.0),
        max_steps: None,
        per_device_train_batch_size: 32,
        max_tokens_per_batch: None,
        per_device_eval_batch_size: None,
        gradient_accumulation_steps: 1,
        tokens_per_pass: TokensPerPass::None,
        learning_rate: None,
        head_learning_rate_multiplier: 1.0,
        lr_scheduler_type: LrSchedulerType::Linear,
        optim: Optim::Adamw,
        dtype: Dtype::F32,
        trainable: Trainable::All,
        quantization: Quantization::None,
        gradient_checkpointing: GradientCheckpointing::None,
        warmup_steps: 0,
        warmup_ratio: 0.0,
        max_grad_norm: 1.0,
        ..config.clone()
    }
}

/// As many rows as are learned from in [`MOST_STEPS`], by chance that the seed decides, where there are more.
fn chosen(rows: &[u32], config: &TrainConfig) -> Vec<u32> {
    let most = MOST_STEPS as usize * config.per_device_train_batch_size as usize;
    if rows.len() <= most {
        return rows.to_vec();
    }
    let order = data::epoch_order(rows.len(), config.seed, 0);
    let mut chosen: Vec<u32> = order.into_iter().take(most).map(|place| rows[place as usize]).collect();
    chosen.sort_unstable();
    chosen
}

/// What the built-in bag of words makes of some texts, by themselves and for no run. `None` when it was
/// stopped.
pub fn words_alone(
    inputs: &Inputs,
    words_folder: &Path,
    listener: &mut Listener,
) -> Result<Option<Baseline>> {
    baseline(inputs, words_folder, &mut |what| listener(what).map_err(Error::Progress))
}

/// What the built-in bag of words says of the validation texts, having learned from the training texts: the log odds of
/// class 1, `[texts, axes]`. `None` when it was stopped.
pub fn words_answers(
    inputs: &Inputs,
    words_folder: &Path,
    listener: &mut Listener,
) -> Result<Option<Vec<f64>>> {
    let mut tell = |what: Progress| listener(what).map_err(Error::Progress);
    Ok(answers(inputs, words_folder, &mut tell)?.map(|found| found.answers.logits))
}

/// Lets the built-in bag of words learn from the same texts and judges it on the same ones, so
/// that every run shows whether a language model is worth it. `None` when it was stopped.
pub(crate) fn baseline(inputs: &Inputs, words_folder: &Path, tell: &mut Tell) -> Result<Option<Baseline>> {
    let begin = Instant::now();
    let Some(found) = answers(inputs, words_folder, tell)? else { return Ok(None) };
    let judged = found.valid.judged(&found.network, &found.answers);
    let assessment = metrics::assess(&judged, found.steps, u64::from(inputs.config.seed));
    fold_answers::keep(inputs, AnswersOf::Words, judged.axes, judged.logits)?;
    Ok(Some(Baseline { seconds: begin.elapsed().as_secs_f64(), assessment }))
}

/// A bag of words that has learned, and what it says.
struct Learned {
    network: Network,
    steps: u32,
    valid: ValidationSet,
    answers: Answers,
}

fn answers(inputs: &Inputs, words_folder: &Path, tell: &mut Tell) -> Result<Option<Learned>> {
    let mut config = config_of(inputs.config);
    // Those that it has time for: more would only have to be read.
    let chosen = chosen(inputs.train.rows, &config);
    let train = Part { rows: &chosen, ..inputs.train };
    let types = train.types();
    let weights = class_weights(config.class_weights, &types, &config.axes)?;
    let network = model::start(words_folder, &Setup::of(&config))?;
    let (tokenizer, max_length) = network.tokenizer(config.max_length as usize)?;
    let mut read =
        |part: Part| tokenize(&tokenizer, part, max_length, |_| Ok(tell(Progress::Working)?.goes_on()));
    let (Some(train), Some(valid)) = (read(train)?, read(inputs.valid)?) else {
        return Ok(None);
    };
    let whole = plan(&train, &config, None).map_err(Error::Progress)?.total_steps;
    if whole > MOST_STEPS {
        config.max_steps = Some(MOST_STEPS);
    }
    let total = whole.min(MOST_STEPS);
    let learning_rate = network.default_learning_rate();
    let set = TrainingSet { encoded: train, types, weights };
    let mut learner = Learner::new(&Cpu, &config, network, set)?;
    // It is small beside any language model, and no smaller batch would help it.
    learner.watches_memory = false;
    'epochs: for epoch in 0.. {
        for group in groups(&learner.set.encoded, &config, None, epoch) {
            let step = learner.optimizer.step;
            if step >= total {
                break 'epochs;
            }
            if !tell(Progress::Baseline { done: step, total })?.goes_on() {
                return Ok(None);
            }
            let factor = schedule(config.lr_scheduler_type, step, 0, total);
            learner.learn(&group, learning_rate * factor)?;
        }
    }
    let valid =
        ValidationSet { encoded: valid, types: inputs.valid.types(), authors: inputs.valid.authors() };
    let working = || Ok(tell(Progress::Working)?.goes_on());
    let Some(answers) = evaluate(&learner.network, &valid, &learner.set.weights, &config, working)? else {
        return Ok(None);
    };
    let steps = learner.optimizer.step;
    Ok(Some(Learned { network: learner.network, steps, valid, answers }))
}
