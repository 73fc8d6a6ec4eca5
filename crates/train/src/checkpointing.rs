//! Which layers compute their activations again: as the settings say, or as few as the memory of a GPU asks for.

use compute::Backend;
use data::pack;
use model::Checkpointing;
use record::GradientCheckpointing;

use crate::{Inputs, error::Result, learner::Learner, memory, memory_plan};

/// What the plan does not know of: what cuBLAS takes for itself, kernels that are loaded late, and gaps between allocations.
const SPARE_MIB: f64 = 256.0;
/// The same of a small device's memory, as a part of it.
const SPARE_PART: f64 = 1.0 / 16.0;

/// The way that a run computes whose largest micro-batch has these texts. With `auto` that is on a GPU the one with the least
/// work by which a step fits into what is free, by the plan; the one with the least memory where none does.
///
/// Errors: the model folder can no longer be read.
pub(crate) fn chosen<B: Backend>(
    inputs: &Inputs,
    learner: &Learner<B>,
    largest: &[u32],
) -> Result<Checkpointing> {
    let config = inputs.config;
    let backend = learner.gradients.backend();
    let limit = || memory::limit_mib(backend).zip(memory::held_mib(backend));
    match config.gradient_checkpointing {
        GradientCheckpointing::None => return Ok(Checkpointing::None),
        GradientCheckpointing::Alternate => return Ok(Checkpointing::Alternate),
        GradientCheckpointing::All => return Ok(Checkpointing::All),
        GradientCheckpointing::Auto if backend.device().is_cpu() => return Ok(Checkpointing::None),
        GradientCheckpointing::Auto => {}
    }
    let Some((limit, held)) = limit() else { return Ok(Checkpointing::None) };
    let room = limit - held - spare_mib(limit);
    let network = memory_plan::shapes(inputs.model_folder, config)?;
    let batch = pack(&learner.set.encoded, largest);
    for way in Checkpointing::WAYS {
        let plan = memory_plan::planned(&network, config, &batch, None, way)?;
        if memory::mib(plan.activations) <= room {
            return Ok(way);
        }
    }
    Ok(Checkpointing::All)
}

/// What is to stay free of so much memory.
pub(crate) fn spare_mib(limit: f64) -> f64 {
    (limit * SPARE_PART).min(SPARE_MIB)
}

/// The setting that asks for it.
pub(crate) fn setting(checkpointing: Checkpointing) -> GradientCheckpointing {
    match checkpointing {
        Checkpointing::None => GradientCheckpointing::None,
        Checkpointing::Alternate => GradientCheckpointing::Alternate,
        Checkpointing::All => GradientCheckpointing::All,
    }
}
