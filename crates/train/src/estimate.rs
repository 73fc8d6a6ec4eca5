use std::time::Instant;

use candle_core::Tensor;
use compute::Backend;
use model::Weights;
use record::{Estimate, Trainable};

use crate::{
    AdamW, Error, ValidationSet,
    batching::{Plan, typical},
    error::Result,
    learner::Learner,
    memory, passes,
};

const MIB: f64 = 1024.0 * 1024.0;

/// Seconds that the optimizer needs for one weight, with its moments in 32 and in 8 bits, measured
/// on two cores of a server (`speed optimizer`); a small part of a step.
const SECONDS_IN_32_BITS: f64 = 0.85e-9;
const SECONDS_IN_8_BITS: f64 = 4.6e-9;

fn seconds_of_a_move<B: Backend>(optimizer: &AdamW<B>) -> f64 {
    let [in_32_bits, in_8_bits] = optimizer.counts();
    in_32_bits as f64 * SECONDS_IN_32_BITS + in_8_bits as f64 * SECONDS_IN_8_BITS
}

fn mib<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> f64 {
    tensors.map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as f64).sum::<f64>() / MIB
}

fn weights_mib(weights: &Weights) -> f64 {
    let learning = weights.parameters.iter().map(|parameter| parameter.var.as_tensor());
    mib(learning) + weights.frozen.iter().map(|(_, held)| held.bytes() as f64).sum::<f64>() / MIB
}

/// What a checkpoint takes while it is written: the largest tensor in it once more, and as much of
/// the file.
fn saving_mib<B: Backend>(learner: &Learner<B>) -> f64 {
    let weights = &learner.network.weights;
    let whole = learner.config.trainable != Trainable::Lora;
    let frozen = weights.frozen.iter().map(|(_, held)| held.bytes() as f64 / MIB).filter(|_| whole);
    let saved = weights.parameters.iter().map(|parameter| mib(std::iter::once(parameter.var.as_tensor())));
    2.0 * saved.chain(frozen).fold(0.0, f64::max)
}

/// Seconds after which no more passes are measured.
const LONG_ENOUGH: f64 = 5.0;

/// What the run will need, from two measured passes over its largest micro-batch, for the memory,
/// and some over usual ones, for the time. Their gradients are thrown away: nothing of the run is
/// changed by it.
pub(crate) fn measured<B: Backend>(
    learner: &mut Learner<B>,
    plan: &Plan,
    valid: &ValidationSet,
    evaluations: u32,
) -> Result<Estimate> {
    let weights = weights_mib(&learner.network.weights);
    let optimizer = learner.optimizer.state_bytes() as f64 / MIB;
    let gradients = learner.gradients.bytes() as f64 / MIB;
    let backend = &learner.gradients.backend().clone();
    // A checkpoint is made in the host's memory, which is this device's on the CPU alone.
    let saving = if backend.device().is_cpu() { saving_mib(learner) } else { 0.0 };
    let available = memory::limit_mib(backend);
    backend.forget_peak();
    let before = memory::held_mib(backend).unwrap_or(0.0);
    let begin = Instant::now();
    let (mut of_largest, mut largest) = (0.0, plan.largest.clone());
    for pass in 0..2 {
        loop {
            let begin_of_pass = Instant::now();
            match learner.rehearse(&largest) {
                // The run halves it, too.
                Err(Error::OutOfMemory { .. }) if largest.len() > 1 => {
                    largest.truncate(largest.len().div_ceil(2))
                }
                Err(Error::OutOfMemory { .. }) if pass > 0 => break,
                other => {
                    of_largest = begin_of_pass.elapsed().as_secs_f64() / other?.max(1) as f64;
                    break;
                }
            }
        }
    }
    // Where there is no room for any of them, the largest has to do for the time too.
    let a_token = seconds_a_token(learner, begin)?.unwrap_or(of_largest);
    let evaluation = evaluation_seconds(learner, valid)?;
    let peak = memory::peak_since_mib(backend).unwrap_or(before).max(before);
    let tokens = plan.tokens();
    let moves = f64::from(plan.total_steps) * seconds_of_a_move(&learner.optimizer);
    Ok(Estimate {
        measured: true,
        weights_mib: weights,
        gradients_mib: gradients,
        optimizer_mib: optimizer,
        activations_mib: peak - before,
        rest_mib: (before + learner.optimizer_to_come_mib + saving - weights - gradients - optimizer)
            .max(0.0),
        peak_mib: peak + learner.optimizer_to_come_mib + saving,
        available_mib: available,
        total_steps: plan.total_steps,
        tokens,
        training_seconds: Some(a_token * tokens as f64 + moves),
        evaluation_seconds: Some(f64::from(evaluations) * evaluation),
        checkpointing: Some(passes::setting(learner.checkpointing)),
        tokens_per_pass: learner.tokens_per_pass,
    })
}

/// Forward and backward by the usual micro-batches, as many as there is time for.
fn seconds_a_token<B: Backend>(learner: &mut Learner<B>, begin: Instant) -> Result<Option<f64>> {
    let (mut seconds, mut tokens) = (0.0, 0);
    for rows in typical(&learner.set.encoded, learner.config, learner.tokens_per_pass) {
        let begin_of_pass = Instant::now();
        match learner.rehearse(&rows) {
            Err(Error::OutOfMemory { .. }) => break,
            other => tokens += other?,
        }
        seconds += begin_of_pass.elapsed().as_secs_f64();
        if begin.elapsed().as_secs_f64() > LONG_ENOUGH {
            break;
        }
    }
    Ok((tokens > 0).then(|| seconds / tokens as f64))
}

/// One evaluation, by two of its batches.
fn evaluation_seconds<B: Backend>(learner: &Learner<B>, valid: &ValidationSet) -> Result<f64> {
    let batches = valid.batches(learner.config);
    let all: u64 = batches.iter().flatten().map(|&row| u64::from(valid.encoded.tokens(row as usize))).sum();
    let (mut seconds, mut tokens) = (0.0, 0);
    for rows in batches.iter().step_by(batches.len().div_ceil(2).max(1)) {
        let begin = Instant::now();
        crate::evaluate::forward(&learner.network, &valid.encoded, rows)?;
        seconds += begin.elapsed().as_secs_f64();
        tokens += rows.iter().map(|&row| u64::from(valid.encoded.tokens(row as usize))).sum::<u64>();
    }
    Ok(seconds * all as f64 / tokens.max(1) as f64)
}
