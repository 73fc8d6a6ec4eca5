use candle_core::Tensor;
use data::{Encoded, pack};
use mbti::Type;
use metrics::Judged;
use model::{Mode, Network};
use record::{Evaluation, TrainConfig};

use crate::{
    ClassWeights, Error,
    batching::within,
    error::Result,
    loss::{loss, targets, total_weight},
    memory,
};

/// Tokens that one forward pass of an evaluation holds where no number of texts is set, which
/// bounds its memory.
const TOKENS_AT_ONCE: usize = 2048;

/// Texts that a network did not learn from, to judge it with.
pub struct ValidationSet {
    pub encoded: Encoded,
    pub types: Vec<Type>,
    /// The author of each text as a number, where one is named.
    pub authors: Vec<Option<u32>>,
}

/// What a network says of the validation texts.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Loss over all texts, with the weights of the training loss; none where it is not finite.
    pub loss: Option<f64>,
    /// Log odds of class 1, `[texts, axes]`.
    pub logits: Vec<f64>,
}

/// Lets a network answer all validation texts. `go_on` is asked between batches, and `None` comes
/// back when it says no.
pub fn evaluate(
    network: &Network,
    valid: &ValidationSet,
    weights: &ClassWeights,
    config: &TrainConfig,
    mut go_on: impl FnMut() -> Result<bool>,
) -> Result<Option<Answers>> {
    let (head, encoded, types) = (&network.head, &valid.encoded, &valid.types);
    let group_weight = total_weight(types.iter().copied(), head, weights);
    let mut sum = 0.0;
    let add = |rows: &[u32], logits: &[Vec<f32>]| -> Result<()> {
        let types: Vec<Type> = rows.iter().map(|&row| types[row as usize]).collect();
        sum += loss(&logits.concat(), &targets(&types, head, weights, &group_weight))?;
        Ok(())
    };
    let logits = answer(network, encoded, valid.batches(config), add, |_| go_on())?;
    Ok(logits.map(|logits| Answers { loss: sum.is_finite().then_some(sum), logits }))
}

/// Lets a network answer all texts, whatever is true of them: the log odds of class 1, `[texts, axes]`. `go_on` hears
/// between batches how many texts are done, and `None` comes back when it says no.
pub fn answer_all(
    network: &Network,
    encoded: &Encoded,
    go_on: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Vec<f64>>> {
    answer(network, encoded, batches(encoded, None), |_, _| Ok(()), go_on)
}

/// The log odds of all texts, which `batches` has in their order; `each` is handed the logits of some of them at a time.
fn answer(
    network: &Network,
    encoded: &Encoded,
    batches: Vec<Vec<u32>>,
    mut each: impl FnMut(&[u32], &[Vec<f32>]) -> Result<()>,
    mut go_on: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Vec<f64>>> {
    let (head, mut done) = (&network.head, 0);
    let mut answers = Vec::with_capacity(encoded.len() * head.axes.len());
    for rows in batches {
        done += rows.len();
        for (rows, logits) in forward(network, encoded, &rows)? {
            let logits = logits.to_vec2::<f32>()?;
            each(rows, &logits)?;
            answers.extend(logits.iter().flat_map(|logits| head.log_odds(logits)));
        }
        if !go_on(done)? {
            return Ok(None);
        }
    }
    Ok(Some(answers))
}

/// Logits `[texts, outputs]` of some texts in their order, with the texts that each are of: of all at once, or of halves
/// where the device has no memory for them, as micro-batches are halved in training.
pub(crate) fn forward<'a>(
    network: &Network,
    encoded: &Encoded,
    rows: &'a [u32],
) -> Result<Vec<(&'a [u32], Tensor)>> {
    match network.forward(&pack(encoded, rows), Mode::Evaluate) {
        Ok(logits) => Ok(vec![(rows, logits)]),
        Err(error) if memory::has_run_out(&error) && rows.len() > 1 => {
            let (first, second) = rows.split_at(rows.len() / 2);
            let mut all = forward(network, encoded, first)?;
            all.extend(forward(network, encoded, second)?);
            Ok(all)
        }
        Err(error) if memory::has_run_out(&error) => Err(Error::OutOfMemoryInEvaluation),
        Err(error) => Err(error.into()),
    }
}

/// The texts of each forward pass: so many, or as many as have [`TOKENS_AT_ONCE`].
fn batches(encoded: &Encoded, texts: Option<u32>) -> Vec<Vec<u32>> {
    let rows = 0..encoded.len() as u32;
    match texts {
        Some(size) => rows.collect::<Vec<_>>().chunks(size as usize).map(<[u32]>::to_vec).collect(),
        None => within(encoded, rows, TOKENS_AT_ONCE),
    }
}

impl ValidationSet {
    /// The texts of each forward pass of an evaluation.
    pub(crate) fn batches(&self, config: &TrainConfig) -> Vec<Vec<u32>> {
        batches(&self.encoded, config.per_device_eval_batch_size)
    }

    /// The answers beside what is true.
    pub fn judged<'a>(&'a self, network: &'a Network, answers: &'a Answers) -> Judged<'a> {
        let (types, authors) = (&self.types[..], &self.authors[..]);
        Judged { axes: &network.head.axes, logits: &answers.logits, types, authors }
    }

    /// The metrics by text, as they are told during a run.
    pub fn evaluation(&self, network: &Network, answers: &Answers, step: u32) -> Evaluation {
        Evaluation { step, loss: answers.loss, axes: metrics::axes_metrics(&self.judged(network, answers)) }
    }
}
