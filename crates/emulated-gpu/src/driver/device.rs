//! What a device says of itself.

use super::{Driver, Error, Result};
use crate::vm::limits::{BLOCK, GRID, REGISTERS, THREADS};

/// What a block may have of shared memory unless the kernel's attribute says more, and always of static one.
pub(super) const SHARED: u32 = 48 << 10;

/// What a block may have of shared memory when its kernel asks for it, by compute capability (CUDA Programming Guide,
/// table "Technical Specifications per Compute Capability").
pub(super) fn shared_opt_in(capability: (i32, i32)) -> u32 {
    let kib = match capability {
        (..7, _) => 48,
        (7, 0..=4) => 96,
        (7, _) => 64,
        (8, 0 | 7) => 163,
        (8, _) | (12, _) => 99,
        _ => 227,
    };
    kib << 10
}

/// Multiprocessors that a device claims. Nothing depends upon it but how programs choose their grids.
pub(super) const MULTIPROCESSORS: i32 = 16;

impl Driver {
    /// The number of devices.
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// A device's name.
    pub fn device_name(&self, device: i32) -> Result<&str> {
        Ok(&self.settings.devices[self.answering(device)?])
    }

    /// Bytes of a device's memory.
    pub fn device_memory(&self, device: i32) -> Result<u64> {
        Ok(self.memory(self.answering(device)?).total())
    }

    /// A device that answers what it is asked about itself.
    fn answering(&self, device: i32) -> Result<usize> {
        let index = self.device(device)?;
        if self.settings.silent == Some(device) { Err(Error::Silent(device)) } else { Ok(index) }
    }

    /// Sixteen bytes that name the device, the same in each process.
    pub(super) fn device_uuid(&self, device: i32) -> Result<[u8; 16]> {
        let number = self.answering(device)? as u8;
        let mut uuid = *b"emulated-gpu-\0\0\0";
        uuid[15] = number + 1;
        Ok(uuid)
    }

    /// `domain:bus:device.function`.
    pub(super) fn pci_bus(&self, device: i32) -> Result<String> {
        Ok(format!("0000:{:02x}:00.0", self.answering(device)? + 1))
    }

    /// An attribute by its number (`CUdevice_attribute`); what is not listed here a device does not have: 0.
    pub fn device_attribute(&self, device: i32, attribute: i32) -> Result<i32> {
        let index = self.answering(device)?;
        let capability = self.settings.capability;
        Ok(match attribute {
            1 => THREADS as i32,
            2..=4 => BLOCK[attribute as usize - 2] as i32,
            5..=7 => GRID[attribute as usize - 5] as i32,
            8 => SHARED as i32,
            9 => 65536, // bytes of constant memory
            10 => 32,   // threads of a warp
            11 => i32::MAX,
            12 | 82 => REGISTERS as i32,
            13 => 1_410_000, // kHz
            14 => 512,
            15 | 31 => 1, // copies beside kernels, kernels beside kernels
            16 => MULTIPROCESSORS,
            19 | 41 => 1, // pinned memory is mapped; one address space
            33 => index as i32 + 1,
            36 => 1_215_000, // kHz
            37 => 5120,      // bits
            38 => 40 << 20,
            39 => 2048,
            40 => 2,
            75 => capability.0,
            76 => capability.1,
            78..=80 => 1,
            81 => shared_opt_in(capability) as i32 + 1024,
            87 => 2,
            97 => shared_opt_in(capability) as i32,
            99 => 1,
            106 => 32,
            111 => 1024,
            115 => 1, // memory pools, which is what cuMemAllocAsync needs
            _ => 0,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_device_is_what_the_settings_make_it() {
        let devices = vec!["NVIDIA A100".to_owned(), "NVIDIA T4".to_owned()];
        let settings = Settings { devices, capability: (7, 5), memory: 64 << 20, ..Settings::default() };
        let driver = Driver::new(settings);
        assert_eq!(driver.device_count(), 2);
        assert_eq!(driver.device_name(1).unwrap(), "NVIDIA T4");
        assert_eq!(driver.device_memory(0).unwrap(), 64 << 20);
        assert_eq!((driver.device_attribute(0, 75), driver.device_attribute(0, 76)), (Ok(7), Ok(5)));
        assert_eq!(driver.device_attribute(0, 97), Ok(64 << 10));
        assert_eq!(driver.device_name(2), Err(Error::InvalidDevice(2)));
        assert_eq!(driver.device_name(-1), Err(Error::InvalidDevice(-1)));
        assert_ne!(driver.device_uuid(0), driver.device_uuid(1));
        assert_ne!(driver.pci_bus(0), driver.pci_bus(1));
    }

    #[test]
    fn a_silent_device_is_counted_and_answers_nothing_while_the_others_do() {
        let devices = vec!["A".to_owned(), "B".to_owned()];
        let driver = Driver::new(Settings { devices, silent: Some(0), ..Settings::default() });
        assert_eq!(driver.device_count(), 2);
        assert_eq!(driver.device_name(0), Err(Error::Silent(0)));
        assert_eq!(driver.device_memory(0), Err(Error::Silent(0)));
        assert_eq!(driver.device_attribute(0, 75), Err(Error::Silent(0)));
        assert_eq!(driver.device_name(1).unwrap(), "B");
    }

    #[test]
    fn a_machine_with_no_device_says_so_at_the_start() {
        for settings in [
            Settings { no_device: true, ..Settings::default() },
            Settings { devices: Vec::new(), ..Settings::default() },
        ] {
            assert_eq!(Driver::new(settings).initialise(), Err(Error::NoDevice));
        }
    }
}
