//! The device of a run: chosen before anything heavy is done, since the engine for GPUs is another program.

use std::path::Path;

use record::{Device, DeviceInfo, TrainConfig, Unusable, UsedDevice};
use train::MemoryOf;

use crate::{
    Context, devices,
    error::{Error, Result},
    gpu::{self, Chosen, Engine, Found, Wanted},
    print,
};

/// Decides on which device a run with these settings computes. Where that is a GPU that only the engine for GPUs can
/// use, this process becomes that engine, and this does not return.
///
/// Errors: the GPU that the settings ask for cannot be used or has too little memory, or its engine cannot be started.
pub fn decide(context: &Context, config: &TrainConfig) -> Result<UsedDevice> {
    let used = match choose(context, config, &mut None)? {
        (Chosen::Gpu(gpu), Some(engine)) => match gpu::can_start(&engine) {
            // It was a program when it listed the card.
            Err(why) if config.device == Device::Auto => cpu(Some(DeviceInfo { unusable: Some(why), ..gpu })),
            // A GPU that was asked for is used, or the reason ends the run.
            _ => return Err(become_engine(context, config, &engine, &gpu)),
        },
        (Chosen::Gpu(gpu), None) => used(gpu),
        (Chosen::Cpu { passed_over }, _) => cpu(passed_over),
    };
    if let Some(why) = used.why_not() {
        print::note(&format!("{}. The run computes on the processor.", print::sentence(&why)));
    } else if used.device != "cpu" && !context.json {
        print::note(&format!("The run computes on {} ({}).", used.name, used.device));
    }
    Ok(used)
}

/// Refuses settings of several runs before any of them is written down.
///
/// Errors: one of them asks for a GPU that cannot be used or has too little memory.
pub fn check(context: &Context, configs: &[TrainConfig]) -> Result<()> {
    let mut found = None;
    let mut asked = configs.iter().filter(|config| matches!(config.device, Device::Cuda(_)));
    asked.try_for_each(|config| choose(context, config, &mut found).map(drop))
}

/// The device, and what is to be started to use it. The GPUs are looked for where they matter, and once.
fn choose(
    context: &Context,
    config: &TrainConfig,
    found: &mut Option<Found>,
) -> Result<(Chosen, Option<Engine>)> {
    let processor = (Chosen::Cpu { passed_over: None }, None);
    if config.device == Device::Cpu {
        return Ok(processor);
    }
    let model = context.runtime.block_on(context.home.store.model(&config.model))?;
    let unusable = |why| Error::Unusable { device: config.device, why };
    // The bag of words has nothing that a GPU would be faster at: it is always computed on the processor.
    if model.family == "words" {
        return if config.device == Device::Auto {
            Ok(processor)
        } else {
            Err(unusable(Unusable::WordsModel))
        };
    }
    let Found { gpus, engine } = found.get_or_insert_with(gpu::find);
    let is_choice = config.device == Device::Auto && gpus.iter().any(|gpu| gpu.unusable.is_none());
    let needed = || train::least_of_a_gpu_mib(Path::new(&model.folder), config);
    // A model that cannot be looked at fails the run, which says why.
    let needed = is_choice.then(needed).and_then(std::result::Result::ok);
    let wanted = Wanted { device: config.device, before: gpu::chosen_before(), needed };
    let chosen = gpu::choose(wanted, gpus).map_err(unusable)?;
    if let (Device::Cuda(_), Chosen::Gpu(gpu)) = (config.device, &chosen) {
        check_room(Path::new(&model.folder), config, gpu)?;
    }
    Ok((chosen, engine.clone()))
}

/// Refuses a GPU that was asked for and has too little memory free. One that does not tell is tried, and a model that
/// cannot be looked at fails the run, which says why.
fn check_room(model: &Path, config: &TrainConfig, gpu: &DeviceInfo) -> Result<()> {
    let Some(free) = gpu.free_mib else { return Ok(()) };
    match train::check_room(model, config, free, MemoryOf::card(Some(&gpu.name), &gpu.device)) {
        Err(error @ train::Error::CannotFit(_)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn cpu(passed_over: Option<DeviceInfo>) -> UsedDevice {
    let passed_over = passed_over.and_then(|gpu| Some((gpu.name, gpu.unusable?)));
    let (gpu, why_not_gpu) = passed_over.unzip();
    // One that nothing has shown has no name.
    let gpu = gpu.filter(|name| !name.is_empty());
    UsedDevice { device: "cpu".into(), name: devices::processor(), gpu, why_not_gpu }
}

fn used(gpu: DeviceInfo) -> UsedDevice {
    UsedDevice { device: gpu.device, name: gpu.name, gpu: None, why_not_gpu: None }
}

/// Returns only where it fails.
fn become_engine(context: &Context, config: &TrainConfig, engine: &Engine, gpu: &DeviceInfo) -> Error {
    // What is open goes with this process; the history is closed in order.
    context.runtime.block_on(context.home.store.clone().close());
    let source = gpu::replace(engine, &gpu.device, config.push_to_hub.is_some());
    Error::NoEngine { path: engine.program.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_nothing_has_shown_is_not_named_and_its_reason_is_kept() {
        let gpu = |name: &str| DeviceInfo {
            device: "cuda:0".into(),
            name: name.into(),
            memory_mib: None,
            free_mib: None,
            unusable: Some(Unusable::NoDriver),
        };
        for (name, kept) in [("Card", Some("Card".to_owned())), ("", None)] {
            let used = cpu(Some(gpu(name)));
            assert_eq!((used.gpu, used.why_not_gpu), (kept, Some(Unusable::NoDriver)));
        }
    }
}
