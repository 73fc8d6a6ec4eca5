use std::{path::Path, time::Instant};

use candle_core::Tensor;
use model::{Setup, Weights};
use record::{Dtype, Estimate, Optim, TrainConfig, Trainable};

use crate::{Error, Gradients, batching::Plan, error::Result, learner::Learner, memory};

const MIB: f64 = 1024.0 * 1024.0;

/// Seconds that the optimizer needs for one weight, with its moments in 32 and in 8 bits: memory
/// traffic, measured on two cores of a server; a small part of a step.
const OPTIMIZER_SECONDS: [f64; 2] = [2e-9, 6.5e-9];

/// What every run holds in MiB: weights, gradients, optimizer.
fn fixed(count: usize, trainable: usize, config: &TrainConfig) -> [f64; 3] {
    let half = config.dtype == Dtype::Bf16;
    let a_weight = if half { 2.0 } else { 4.0 };
    let whole = config.trainable == Trainable::All;
    // Where LoRA or the head learns, that is in 32 bits whatever the base has.
    let a_gradient = if half && whole && config.gradient_accumulation_steps == 1 { 2.0 } else { 4.0 };
    let moments = if config.optim == Optim::Adamw8bit && whole { 2.1 } else { 8.0 };
    let remainder = if half && whole { 2.0 } else { 0.0 };
    let (count, trainable) = (count as f64 / MIB, trainable as f64 / MIB);
    [count * a_weight, trainable * a_gradient, trainable * (moments + remainder)]
}

/// Refuses a run whose weights, gradients and optimizer alone are more than there is, before
/// anything of the model is read, and names settings that would leave room.
pub(crate) fn check_fits(model_folder: &Path, config: &TrainConfig) -> Result<()> {
    let Some(available) = memory::limit_mib() else { return Ok(()) };
    let needs = |config: &TrainConfig| -> Result<f64> {
        // A weight that learns is copied and one that is frozen is not, so that all are looked at
        // frozen where all would learn: what may not fit must not be held to find that out.
        let all = config.trainable == Trainable::All;
        let trainable = if all { Trainable::Head } else { config.trainable };
        let setup = Setup { shapes_only: true, trainable, ..Setup::of(config) };
        let weights = model::start(model_folder, &setup)?.weights;
        let learning = if all { weights.count() } else { weights.trainable_count() };
        Ok(fixed(weights.count(), learning, config).iter().sum())
    };
    let needed = needs(config)?;
    if needed <= available {
        return Ok(());
    }
    let mut fitting = config.clone();
    let mut changed = Vec::new();
    for (name, value) in [("optim", "adamw_8bit"), ("dtype", "bf16"), ("trainable", "lora")] {
        let before = fitting.clone();
        if fitting.set(name, value).is_ok() && fitting != before {
            changed.push(format!("{name}={value}"));
        }
        // Activations want room too.
        if needs(&fitting)? <= 0.8 * available {
            return Err(Error::CannotFit { needed, available, settings: changed.join(",") });
        }
    }
    Err(Error::CannotFit { needed, available, settings: String::new() })
}

fn mib<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> f64 {
    tensors.map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as f64).sum::<f64>() / MIB
}

fn weights_mib(weights: &Weights) -> f64 {
    let learning = weights.parameters.iter().map(|parameter| parameter.var.as_tensor());
    mib(learning.chain(weights.frozen.iter().map(|(_, tensor)| tensor)))
}

/// What the run will need, from two measured passes over its largest micro-batch, whose gradients
/// are thrown away: nothing of the run is changed by it.
pub(crate) fn measured(
    learner: &mut Learner,
    plan: &Plan,
    valid_tokens: u64,
    evaluations: u32,
) -> Result<Estimate> {
    let weights = weights_mib(&learner.network.weights);
    let optimizer = learner.optimizer.state_bytes() as f64 / MIB;
    let sums = learner.config.gradient_accumulation_steps > 1;
    let parameters = &learner.network.weights.parameters;
    let gradients = parameters
        .iter()
        .map(|p| p.var.elem_count() as f64 * if sums { 4.0 } else { p.var.dtype().size_in_bytes() as f64 })
        .sum::<f64>()
        / MIB;
    let trainable = learner.network.weights.trainable_count() as f64;
    let available = memory::limit_mib();
    memory::forget_peak();
    let before = memory::rss_mib().unwrap_or(0.0);
    let mut seconds = 0.0;
    let mut kept = Gradients::default();
    for pass in 0..2 {
        // Where gradients are summed, the second pass has those of the first beside its own.
        if !sums {
            kept = Gradients::default();
        }
        let begin = Instant::now();
        match learner.gradients(&vec![plan.largest.clone()], &mut kept) {
            // It will be halved when its time comes.
            Err(Error::OutOfMemory { .. }) if pass > 0 => {}
            other => drop(other?),
        }
        seconds = begin.elapsed().as_secs_f64();
    }
    drop(kept);
    let peak = memory::peak_since_mib().unwrap_or(before).max(before);
    let largest: u64 =
        plan.largest.iter().map(|&row| u64::from(learner.set.encoded.tokens(row as usize))).sum();
    let a_token = seconds / largest.max(1) as f64;
    let tokens = plan.tokens_until.last().copied().unwrap_or(0);
    let a_weight = OPTIMIZER_SECONDS[usize::from(learner.config.optim == Optim::Adamw8bit)];
    Ok(Estimate {
        measured: true,
        weights_mib: weights,
        gradients_mib: gradients,
        optimizer_mib: optimizer,
        activations_mib: (peak - before - gradients).max(0.0),
        rest_mib: (before + learner.optimizer_to_come_mib - weights - optimizer).max(0.0),
        peak_mib: peak + learner.optimizer_to_come_mib,
        available_mib: available,
        total_steps: plan.total_steps,
        tokens,
        training_seconds: Some(a_token * tokens as f64 + f64::from(plan.total_steps) * trainable * a_weight),
        // A forward pass is a third of a step.
        evaluation_seconds: Some(f64::from(evaluations) * valid_tokens as f64 * a_token / 3.0),
    })
}
