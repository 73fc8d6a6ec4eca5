//! Whether a run fits into the memory of a device, judged by the shapes of its model before anything of it is read.

use std::path::Path;

use candle_core::{DType, Tensor};
use compute::{Device, Held, on_device};
use model::{Setup, Weights};
use record::{Dtype, Optim, Quantization, TrainConfig, Trainable, free_mib, needed_mib};

use crate::{Error, adamw::bears_8_bits, error::Result, learner::takes_pieces, memory};

const MIB: f64 = 1024.0 * 1024.0;

/// Activations want room, too, so settings are proposed only where they leave this part of the memory free.
const LEFT_FREE: f64 = 0.2;

/// Settings that may lower what a run needs, each with the others that it goes with. The earlier ones change less of
/// what a run learns.
const OPTIMS: [&[(&str, &str)]; 2] = [&[], &[("optim", "adamw_8bit")]];
const DTYPES: [&[(&str, &str)]; 2] = [&[], &[("dtype", "bf16")]];
const LEARNING: [&[(&str, &str)]; 4] = [
    &[],
    &[("trainable", "lora")],
    &[("trainable", "lora"), ("quantization", "int8")],
    &[("trainable", "lora"), ("quantization", "nf4")],
];

/// What a run with these settings surely needs of its device, in MiB: its weights, their gradients and the optimizer.
///
/// Errors: the folder is no model that can be trained with these settings.
pub fn least_mib(model_folder: &Path, config: &TrainConfig) -> Result<f64> {
    // A weight that learns is copied and one that is frozen is not, so that all are looked at
    // frozen where all would learn: what may not fit must not be held to find that out.
    let all = config.trainable == Trainable::All;
    let trainable = if all { Trainable::Head } else { config.trainable };
    let setup = Setup { shapes_only: true, trainable, ..Setup::of(config) };
    let weights = model::start(model_folder, &setup)?.weights;
    Ok(fixed(&weights, all, config))
}

/// The sum in MiB, of weights that were looked at by their shapes. `all` is whether every weight learns, however these
/// were read.
fn fixed(weights: &Weights, all: bool, config: &TrainConfig) -> f64 {
    // 4 bits a weight, 8 bits for 64 of them, and 32 for 256 of these.
    let a_quantised = match config.quantization {
        Quantization::None => 0.0,
        Quantization::Nf4 => 0.5 + 1.0 / 64.0 + 4.0 / (64.0 * 256.0),
        Quantization::Int8 => 1.0,
    };
    let as_shown = if config.dtype == Dtype::Bf16 { 2.0 } else { 4.0 };
    let mut bytes = weights.quantised as f64 * (a_quantised - as_shown);
    let mut add = |name: &str, tensor: &Tensor, learns: bool| {
        bytes += (tensor.elem_count() * tensor.dtype().size_in_bytes()) as f64;
        if learns {
            bytes += tensor.elem_count() as f64 * of_the_optimizer(name, tensor, config.optim);
        }
    };
    for parameter in &weights.parameters {
        add(&parameter.name, parameter.var.as_tensor(), true);
    }
    for (name, held) in &weights.frozen {
        if let Held::Plain(tensor) = held {
            add(name, tensor, all);
        }
    }
    let (learning, of_a_piece) = match all {
        true => (weights.count(), weights.largest_piece_of_all()),
        false => (weights.trainable_count(), weights.largest_piece()),
    };
    let gradients = if takes_pieces(config) { of_a_piece } else { learning } * 4;
    (bytes + gradients as f64) / MIB
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
    let needed = least_mib(model_folder, config)?;
    if needed <= available {
        return Ok(());
    }
    let settings = fewest_changes(model_folder, config, available)?;
    Err(Error::CannotFit { needed: needed_mib(needed), available: free_mib(available), settings })
}

/// The fewest settings by whose change the run would fit, as `name=value` with commas between; nothing where none are
/// enough. What is among them is needed: without it, fewer would do.
fn fewest_changes(model_folder: &Path, config: &TrainConfig, available: f64) -> Result<String> {
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
                ways.push((names, changed));
            }
        }
    }
    ways.retain(|(names, changed)| !names.is_empty() && changed.check_together().is_ok());
    // Of equally many, those that come first stay first.
    ways.sort_by_key(|(names, _)| names.len());
    for (names, changed) in ways {
        if least_mib(model_folder, &changed)? <= (1.0 - LEFT_FREE) * available {
            return Ok(names.join(","));
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests;
