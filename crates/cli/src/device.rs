//! The device of a run: chosen before anything heavy is done, since the engine for GPUs is another program.

use record::{Device, DeviceInfo, TrainConfig, Unusable, UsedDevice};

use crate::{
    Context, devices,
    error::{Error, Result},
    gpu::{self, Chosen, Engine},
    print,
};

/// Decides on which device a run with these settings computes. Where that is a GPU that only the engine for GPUs can
/// use, this process becomes that engine, and this does not return.
///
/// Errors: the GPU that the settings ask for cannot be used, or its engine cannot be started.
pub fn decide(context: &Context, config: &TrainConfig) -> Result<UsedDevice> {
    let used = match wanted(config.device, gpu::chosen_before()) {
        Device::Cpu => cpu(None),
        Device::Cuda(_) if is_words(context, config)? => {
            return Err(Error::Unusable { device: config.device, why: Unusable::WordsModel });
        }
        Device::Auto if is_words(context, config)? => cpu(None),
        wanted => {
            let found = gpu::find();
            let chosen =
                gpu::choose(wanted, &found.gpus).map_err(|why| Error::Unusable { device: wanted, why })?;
            match (chosen, found.engine) {
                (Chosen::Gpu(gpu), Some(engine)) => return Err(become_engine(context, &engine, &gpu)),
                (Chosen::Gpu(gpu), None) => used(gpu),
                (Chosen::Cpu { passed_over }, _) => {
                    cpu(passed_over.and_then(|gpu| Some((gpu.name, gpu.unusable?))))
                }
            }
        }
    };
    if let (Some(gpu), Some(why)) = (&used.gpu, &used.why_not_gpu) {
        print::note(&format!("{gpu} was found, but {why}. The run computes on the processor."));
    } else if used.device != "cpu" && !context.json {
        print::note(&format!("The run computes on {} ({}).", used.name, used.device));
    }
    Ok(used)
}

/// What whoever started this program has chosen goes before `auto`, and before nothing else.
fn wanted(setting: Device, chosen_before: Option<Device>) -> Device {
    match setting {
        Device::Auto => chosen_before.unwrap_or(Device::Auto),
        other => other,
    }
}

/// The bag of words has nothing that a GPU would be faster at: it is always computed on the processor.
fn is_words(context: &Context, config: &TrainConfig) -> Result<bool> {
    Ok(context.runtime.block_on(context.home.store.model(&config.model))?.family == "words")
}

fn cpu(passed_over: Option<(String, Unusable)>) -> UsedDevice {
    let (gpu, why_not_gpu) = passed_over.unzip();
    UsedDevice { device: "cpu".into(), name: devices::processor(), gpu, why_not_gpu }
}

fn used(gpu: DeviceInfo) -> UsedDevice {
    UsedDevice { device: gpu.device, name: gpu.name, gpu: None, why_not_gpu: None }
}

/// Returns only where it fails.
fn become_engine(context: &Context, engine: &Engine, gpu: &DeviceInfo) -> Error {
    // What is open goes with this process; the history is closed in order.
    context.runtime.block_on(context.home.store.clone().close());
    Error::NoEngine { path: engine.program.clone(), source: gpu::replace(engine, &gpu.device) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_before_stands_for_auto_alone() {
        assert_eq!(wanted(Device::Auto, Some(Device::Cuda(1))), Device::Cuda(1));
        assert_eq!(wanted(Device::Auto, None), Device::Auto);
        assert_eq!(wanted(Device::Cpu, Some(Device::Cuda(1))), Device::Cpu);
        assert_eq!(wanted(Device::Cuda(0), Some(Device::Cuda(1))), Device::Cuda(0));
    }
}
