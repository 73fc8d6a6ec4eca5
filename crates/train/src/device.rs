//! From the device that the settings name to the one that a run computes on.

use compute::{Backend, Device, on_device};

use crate::{Error, Inputs, checkpoint::newest_checkpoint, error::Result, progress::Tell};

/// Opens the device of a run.
#[cfg(not(feature = "cuda"))]
pub(crate) fn open(wanted: record::Device, _: &mut Tell) -> Result<Device> {
    match wanted {
        record::Device::Auto | record::Device::Cpu => Ok(Device::Cpu),
        record::Device::Cuda(_) => Err(Error::NoSuchDevice { device: wanted }),
    }
}

/// Opens the device of a run. With `auto` that is the first GPU, or, with a notice why, the CPU.
#[cfg(feature = "cuda")]
pub(crate) fn open(wanted: record::Device, tell: &mut Tell) -> Result<Device> {
    use record::{Problem, ProblemCode};

    match wanted {
        record::Device::Cpu => Ok(Device::Cpu),
        record::Device::Cuda(number) => {
            let opened = compute::Cuda::new(number as usize);
            let opened = opened.map_err(|source| Error::DeviceNotOpened { device: wanted, source })?;
            Ok(Device::Cuda(opened))
        }
        record::Device::Auto => match compute::Cuda::new(0) {
            Ok(first) => Ok(Device::Cuda(first)),
            Err(error) => {
                let message = format!("No GPU can be used ({error}), so this run computes on the CPU.");
                let problem = Problem::new(ProblemCode::NoSuchDevice, message).with("device", "cuda:0");
                crate::progress::notice(tell, 0, problem)?;
                Ok(Device::Cpu)
            }
        },
    }
}

/// An error of arithmetic after which the device answers no more is a device that is lost, and no fault of the run's.
pub(crate) fn or_lost(error: Error, inputs: &Inputs, device: &Device) -> Error {
    if device.is_cpu() || !matches!(error, Error::Candle(_) | Error::Model(model::Error::Candle(_))) {
        return error;
    }
    // The device says itself what is wrong with it; what failed first may be any call that came after.
    let Err(lost) = on_device!(device, backend => backend.synchronise()) else { return error };
    let reason = compute::message(&lost);
    let checkpoint = newest_checkpoint(inputs.run, inputs.run_folder).ok().map(|found| found.step);
    Error::DeviceLost { device: device.to_string(), reason, checkpoint }
}
