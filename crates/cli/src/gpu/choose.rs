//! Which device a run is to compute on.

use record::{Device, DeviceInfo, Unusable};

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    Gpu(DeviceInfo),
    /// The processor, and a GPU that cannot be used, where one was found.
    Cpu {
        passed_over: Option<DeviceInfo>,
    },
}

/// The device that is asked for; for `auto` the usable GPU with the most memory free, else the processor.
///
/// Errors: the GPU that is asked for is not there, or cannot be used.
pub fn choose(wanted: Device, gpus: &[DeviceInfo]) -> Result<Chosen, Unusable> {
    match wanted {
        Device::Cpu => Ok(Chosen::Cpu { passed_over: None }),
        Device::Cuda(_) => {
            let name = wanted.to_string();
            let missing = if gpus.is_empty() { Unusable::NoCard } else { Unusable::NotListed };
            let gpu = gpus.iter().find(|gpu| gpu.device == name).ok_or(missing)?;
            gpu.unusable.clone().map_or_else(|| Ok(Chosen::Gpu(gpu.clone())), Err)
        }
        Device::Auto => {
            let free = |gpu: &DeviceInfo| gpu.free_mib.unwrap_or(0.0);
            // Of equals, the first.
            let best = gpus
                .iter()
                .filter(|gpu| gpu.unusable.is_none())
                .reduce(|best, gpu| if free(gpu) > free(best) { gpu } else { best });
            Ok(match best {
                Some(best) => Chosen::Gpu(best.clone()),
                None => Chosen::Cpu { passed_over: gpus.first().cloned() },
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gpu(number: u32, free_mib: Option<f64>, unusable: Option<Unusable>) -> DeviceInfo {
        let name = format!("Card {number}");
        DeviceInfo { device: format!("cuda:{number}"), name, memory_mib: None, free_mib, unusable }
    }

    #[test]
    fn auto_takes_the_usable_gpu_with_the_most_memory_free_and_of_equals_the_first() {
        let old = Some(Unusable::OldCard { capability: "7.5".into() });
        let gpus = [
            gpu(0, Some(90.0), old.clone()),
            gpu(1, Some(10.0), None),
            gpu(2, Some(20.0), None),
            gpu(3, Some(20.0), None),
            gpu(4, None, None),
        ];
        assert_eq!(choose(Device::Auto, &gpus), Ok(Chosen::Gpu(gpus[2].clone())));
        assert_eq!(choose(Device::Auto, &gpus[4..]), Ok(Chosen::Gpu(gpus[4].clone())));
        let passed_over = Some(gpus[0].clone());
        assert_eq!(choose(Device::Auto, &gpus[..1]), Ok(Chosen::Cpu { passed_over }));
        assert_eq!(choose(Device::Auto, &[]), Ok(Chosen::Cpu { passed_over: None }));
    }

    #[test]
    fn a_gpu_that_is_asked_for_is_taken_or_the_reason_is_given() {
        let old = Unusable::OldCard { capability: "7.5".into() };
        let gpus = [gpu(0, None, None), gpu(1, None, Some(old.clone()))];
        assert_eq!(choose(Device::Cuda(0), &gpus), Ok(Chosen::Gpu(gpus[0].clone())));
        assert_eq!(choose(Device::Cuda(1), &gpus), Err(old));
        assert_eq!(choose(Device::Cuda(2), &gpus), Err(Unusable::NotListed));
        assert_eq!(choose(Device::Cuda(0), &[]), Err(Unusable::NoCard));
        assert_eq!(choose(Device::Cpu, &gpus), Ok(Chosen::Cpu { passed_over: None }));
    }
}
