//! Which device a run is to compute on.

use record::{Device, DeviceInfo, Unusable, free_mib, needed_mib};

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    Gpu(DeviceInfo),
    /// The processor, and a GPU that cannot be used, where one was found.
    Cpu {
        passed_over: Option<DeviceInfo>,
    },
}

/// What is wanted of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// What the settings say.
    pub device: Device,
    /// What was chosen for `auto` by the program that this one has taken the place of.
    pub before: Option<Device>,
    /// The memory that the run surely needs, in MiB, where that is known.
    pub needed: Option<f64>,
}

/// The device that is asked for; for `auto` the usable GPU with the most memory free, if the run can fit there, else the
/// processor. What was chosen before stands for `auto` as long as it is good for it.
///
/// Errors: the GPU that is asked for is not there, or cannot be used.
pub fn choose(wanted: Wanted, gpus: &[DeviceInfo]) -> Result<Chosen, Unusable> {
    match wanted.device {
        Device::Cpu => Ok(Chosen::Cpu { passed_over: None }),
        Device::Cuda(_) => {
            let name = wanted.device.to_string();
            let missing = if gpus.is_empty() { Unusable::NoCard } else { Unusable::NotListed };
            let gpu = gpus.iter().find(|gpu| gpu.device == name).ok_or(missing)?;
            gpu.unusable.clone().map_or_else(|| Ok(Chosen::Gpu(gpu.clone())), Err)
        }
        Device::Auto => Ok(automatic(wanted, gpus)),
    }
}

fn automatic(wanted: Wanted, gpus: &[DeviceInfo]) -> Chosen {
    let usable = || gpus.iter().filter(|gpu| gpu.unusable.is_none());
    // A card that does not tell what is free is believed to have it.
    let fits = |gpu: &&DeviceInfo| too_little(wanted.needed, gpu.free_mib).is_none();
    let before = wanted.before.map(|before| before.to_string());
    let before = usable().filter(fits).find(|gpu| before.as_ref() == Some(&gpu.device));
    if let Some(gpu) = before.or_else(|| most_free(usable().filter(fits))) {
        return Chosen::Gpu(gpu.clone());
    }
    let small = most_free(usable()).map(|gpu| {
        let unusable = too_little(wanted.needed, gpu.free_mib);
        DeviceInfo { unusable, ..gpu.clone() }
    });
    Chosen::Cpu { passed_over: small.or_else(|| gpus.first().cloned()) }
}

/// The one with the most memory free; of equals, the first.
fn most_free<'a>(gpus: impl Iterator<Item = &'a DeviceInfo>) -> Option<&'a DeviceInfo> {
    let free = |gpu: &DeviceInfo| gpu.free_mib.unwrap_or(0.0);
    gpus.reduce(|best, gpu| if free(gpu) > free(best) { gpu } else { best })
}

fn too_little(needed: Option<f64>, free: Option<f64>) -> Option<Unusable> {
    let (needed, free) = needed.zip(free).filter(|(needed, free)| needed > free)?;
    let [needed, free] = [needed_mib(needed), free_mib(free)].map(|mib| mib.to_string());
    Some(Unusable::TooLittleMemory { needed, free })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gpu(number: u32, free_mib: Option<f64>, unusable: Option<Unusable>) -> DeviceInfo {
        let name = format!("Card {number}");
        DeviceInfo { device: format!("cuda:{number}"), name, memory_mib: None, free_mib, unusable }
    }

    fn wanted(device: Device) -> Wanted {
        Wanted { device, before: None, needed: None }
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
        assert_eq!(choose(wanted(Device::Auto), &gpus), Ok(Chosen::Gpu(gpus[2].clone())));
        assert_eq!(choose(wanted(Device::Auto), &gpus[4..]), Ok(Chosen::Gpu(gpus[4].clone())));
        let passed_over = Some(gpus[0].clone());
        assert_eq!(choose(wanted(Device::Auto), &gpus[..1]), Ok(Chosen::Cpu { passed_over }));
        assert_eq!(choose(wanted(Device::Auto), &[]), Ok(Chosen::Cpu { passed_over: None }));
    }

    #[test]
    fn a_gpu_that_is_asked_for_is_taken_or_the_reason_is_given() {
        let old = Unusable::OldCard { capability: "7.5".into() };
        let gpus = [gpu(0, None, None), gpu(1, None, Some(old.clone()))];
        assert_eq!(choose(wanted(Device::Cuda(0)), &gpus), Ok(Chosen::Gpu(gpus[0].clone())));
        assert_eq!(choose(wanted(Device::Cuda(1)), &gpus), Err(old));
        assert_eq!(choose(wanted(Device::Cuda(2)), &gpus), Err(Unusable::NotListed));
        assert_eq!(choose(wanted(Device::Cuda(0)), &[]), Err(Unusable::NoCard));
        assert_eq!(choose(wanted(Device::Cpu), &gpus), Ok(Chosen::Cpu { passed_over: None }));
    }

    #[test]
    fn auto_takes_no_gpu_that_the_run_cannot_fit_in_and_says_so_of_the_one_with_the_most_memory_free() {
        let gpus = [gpu(0, Some(100.5), None), gpu(1, Some(200.0), None)];
        let auto = |needed| choose(Wanted { needed: Some(needed), ..wanted(Device::Auto) }, &gpus).unwrap();
        assert_eq!(auto(200.0), Chosen::Gpu(gpus[1].clone()));
        let why = |needed: &str, free: &str| {
            Some(Unusable::TooLittleMemory { needed: needed.to_owned(), free: free.to_owned() })
        };
        let small = DeviceInfo { unusable: why("201", "200"), ..gpus[1].clone() };
        assert_eq!(auto(200.4), Chosen::Cpu { passed_over: Some(small) });
        // Of one that is asked for, what does not fit is said together with what would.
        let asked = Wanted { needed: Some(1e6), ..wanted(Device::Cuda(0)) };
        assert_eq!(choose(asked, &gpus), Ok(Chosen::Gpu(gpus[0].clone())));
        // One that does not tell is tried, too.
        let silent = [gpu(0, Some(1.0), None), gpu(1, None, None)];
        let needed = Wanted { needed: Some(2.0), ..wanted(Device::Auto) };
        assert_eq!(choose(needed, &silent), Ok(Chosen::Gpu(silent[1].clone())));
    }

    #[test]
    fn what_was_chosen_before_stands_for_auto_alone_and_only_as_long_as_it_is_good() {
        let gpus = [gpu(0, Some(100.0), None), gpu(1, Some(200.0), None)];
        let after = |device, before, needed| {
            let before = Some(Device::Cuda(before));
            choose(Wanted { device, before, needed: Some(needed) }, &gpus)
        };
        assert_eq!(after(Device::Auto, 0, 50.0), Ok(Chosen::Gpu(gpus[0].clone())));
        assert_eq!(after(Device::Cuda(1), 0, 50.0), Ok(Chosen::Gpu(gpus[1].clone())));
        assert_eq!(after(Device::Cpu, 0, 50.0), Ok(Chosen::Cpu { passed_over: None }));
        // Somebody has taken its memory meanwhile, or it is gone.
        assert_eq!(after(Device::Auto, 0, 150.0), Ok(Chosen::Gpu(gpus[1].clone())));
        assert_eq!(after(Device::Auto, 7, 50.0), Ok(Chosen::Gpu(gpus[1].clone())));
        assert!(matches!(after(Device::Auto, 1, 250.0), Ok(Chosen::Cpu { passed_over: Some(_) })));
    }
}
