//! Whether a run fits into the memory of a device, judged by the shapes of its model before anything of it is read.

use std::path::Path;

use candle_core::{DType, Tensor};
use compute::{Device, on_device};
use model::{Setup, Weights};
use record::{Optim, TrainConfig, free_mib, needed_mib};

use crate::{
    Error,
    adamw::bears_8_bits,
    error::Result,
    learner::takes_pieces,
    memory, memory_plan,
    memory_problem::{CannotFit, LEFT_FREE, MemoryOf, Remedies},
    passes::{ways, with_spare_mib},
};

const MIB: f64 = 1024.0 * 1024.0;

/// Settings that may lower what a run needs, each with the others that it goes with. The earlier ones change less of
/// what a run learns.
const OPTIMS: [&[(&str, &str)]; 2] = [&[], &[("optim", "adamw_8bit")]];
const DTYPES: [&[(&str, &str)]; 2] = [&[], &[("dtype", "bf16")]];
const LEARNING: [&[(&str, &str)]; 5] = [
    &[],
    &[("trainable", "lora")],
    &[("trainable", "lora"), ("quantization", "int8")],
    &[("trainable", "lora"), ("quantization", "nf4")],
    HEAD,
];
/// What changes the most of what a run learns, so that it is proposed only where nothing else is enough.
const HEAD: &[(&str, &str)] = &[("trainable", "head"), ("quantization", "none")];

/// What a run with these settings surely needs of its device, in MiB: its weights, their gradients and the optimizer.
///
/// Errors: the folder is no model that can be trained with these settings.
pub fn least_mib(model_folder: &Path, config: &TrainConfig) -> Result<f64> {
    let setup = Setup { shapes_only: true, ..Setup::of(config) };
    Ok(fixed(&model::start(model_folder, &setup)?.weights, config))
}

/// Tokens of a short post. Which texts a run has is not known when its device is chosen, and all but a few are longer.
const SHORT: u32 = 32;

/// What must be free of a GPU, in MiB, for a run with these settings to take even one step: what it holds, the activations of
/// one short post in the way that keeps the least, and what no plan knows of.
///
/// Errors: as [`least_mib`].
pub fn least_of_a_gpu_mib(model_folder: &Path, config: &TrainConfig) -> Result<f64> {
    let network = memory_plan::shapes(model_folder, config)?;
    let checkpointing = ways(config.gradient_checkpointing).last().copied().unwrap_or_default();
    let text = memory_plan::texts_of(&network, &[SHORT.min(config.max_length)]);
    let plan = memory_plan::planned(&network, config, &text, None, checkpointing)?;
    Ok(with_spare_mib(memory::mib(plan.peak())))
}

/// The sum in MiB, of weights that were looked at by their shapes.
fn fixed(weights: &Weights, config: &TrainConfig) -> f64 {
    let learning = weights.parameters.iter().map(|parameter| {
        let tensor = parameter.var.as_tensor();
        let bytes = tensor.elem_count() * tensor.dtype().size_in_bytes();
        bytes as f64 + tensor.elem_count() as f64 * of_the_optimizer(&parameter.name, tensor, config.optim)
    });
    let frozen = weights.frozen.iter().map(|(_, held)| held.bytes() as f64);
    let count = if takes_pieces(config) { weights.largest_piece() } else { weights.trainable_count() };
    (learning.chain(frozen).sum::<f64>() + (4 * count) as f64) / MIB
}

/// Bytes that the optimizer keeps for one weight: its moments, and what it lacks of 32 bits. The moments of tables, of
/// small matrices and of vectors are in 32 bits always.
fn of_the_optimizer(name: &str, tensor: &Tensor, optim: Optim) -> f64 {
    let moments =
        if optim == Optim::Adamw8bit && bears_8_bits(name, tensor) { 2.0 + 2.0 * 4.0 / 256.0 } else { 8.0 };
    moments + if tensor.dtype() == DType::BF16 { 2.0 } else { 0.0 }
}

/// Refuses a run whose weights, gradients and optimizer alone are more than there is, before
/// anything of the model is read, and names settings that would leave room.
pub(crate) fn check_fits(model_folder: &Path, config: &TrainConfig, device: &Device) -> Result<()> {
    let Some(available) = on_device!(device, backend => memory::limit_mib(backend)) else { return Ok(()) };
    check_room(model_folder, config, available, MemoryOf::of(device))
}

/// The same where so much memory, in MiB, is known to be available.
///
/// Errors: [`Error::CannotFit`], or the folder is no model that can be trained with these settings.
pub fn check_room(model_folder: &Path, config: &TrainConfig, available: f64, of: MemoryOf) -> Result<()> {
    let needed = least_mib(model_folder, config)?;
    if needed <= available {
        return Ok(());
    }
    let settings = fewest_changes(model_folder, config, available)?;
    let remedies = Remedies::new(of, settings, Some(needed));
    Err(CannotFit { needed: needed_mib(needed), available: free_mib(available), remedies }.into())
}

/// The fewest settings by whose change the run would fit, as `name=value`; none where none are enough. What is among them
/// is needed: without it, fewer would do.
fn fewest_changes(model_folder: &Path, config: &TrainConfig, available: f64) -> Result<Vec<String>> {
    let mut ways = Vec::new();
    for learning in LEARNING {
        for dtype in DTYPES {
            for optim in OPTIMS {
                let mut changed = config.clone();
                let mut names = Vec::new();
                for &(name, value) in [optim, dtype, learning].into_iter().flatten() {
                    let before = changed.clone();
                    changed.set(name, value).map_err(Error::Progress)?;
                    if changed != before {
                        names.push(format!("{name}={value}"));
                    }
                }
                ways.push((learning == HEAD, names, changed));
            }
        }
    }
    ways.retain(|(_, names, changed)| !names.is_empty() && changed.check_together().is_ok());
    // Of equally many, those that come first stay first.
    ways.sort_by_key(|(is_head, names, _)| (*is_head, names.len()));
    for (_, names, changed) in ways {
        if least_mib(model_folder, &changed)? <= (1.0 - LEFT_FREE) * available {
            return Ok(names);
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;
