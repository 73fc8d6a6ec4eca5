//! What Linux itself shows of NVIDIA's GPUs and their driver, below the root of a file system.
#![cfg_attr(feature = "cuda", allow(dead_code, reason = "a build with CUDA asks the driver for its version"))]

use std::{
    fs::{read_dir, read_to_string},
    path::{Path, PathBuf},
};

/// NVIDIA's number among the makers of PCI devices.
const NVIDIA: &str = "0x10de";

/// The names of the cards, in the order of their places on the bus. Only a driver knows a card's name.
pub fn cards(root: &Path) -> Vec<String> {
    let slots = read_dir(root.join("sys/bus/pci/devices"));
    let mut slots: Vec<PathBuf> =
        slots.into_iter().flatten().flatten().map(|entry| entry.path()).filter(|slot| is_gpu(slot)).collect();
    slots.sort();
    slots.iter().map(|slot| name(root, slot)).collect()
}

/// Display controllers are of the class 0x03.
fn is_gpu(slot: &Path) -> bool {
    let read = |name: &str| read_to_string(slot.join(name)).unwrap_or_default();
    read("vendor").trim() == NVIDIA && read("class").trim().starts_with("0x03")
}

fn name(root: &Path, slot: &Path) -> String {
    let slot = slot.file_name().unwrap_or_default().to_string_lossy();
    let about = root.join("proc/driver/nvidia/gpus").join(&*slot).join("information");
    let about = read_to_string(about).unwrap_or_default();
    let model = about.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim()));
    let model = model.filter(|model| !model.is_empty());
    model.map_or_else(|| format!("NVIDIA GPU at {slot}"), str::to_owned)
}

/// The version of the driver's kernel module that is loaded, such as 535.183.01.
pub fn driver_version(root: &Path) -> Option<String> {
    let module = read_to_string(root.join("sys/module/nvidia/version")).ok();
    let module = module.map(|text| text.trim().to_owned()).filter(|text| major(text).is_some());
    module.or_else(|| {
        let text = read_to_string(root.join("proc/driver/nvidia/version")).ok()?;
        let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
        Some(line.split_whitespace().find(|word| word.contains('.') && major(word).is_some())?.to_owned())
    })
}

/// The first number of a version.
pub fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Whether there is a way to a GPU that is on no bus of PCI: that of WSL, or of a Jetson.
pub fn has_other_gpu(root: &Path) -> bool {
    ["dev/dxg", "dev/nvhost-gpu", "dev/nvidiactl"].iter().any(|path| root.join(path).exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn display_controllers_of_nvidia_are_cards_and_the_driver_names_them() {
        let root = tempfile::tempdir().unwrap();
        for (slot, vendor, class) in [
            ("0000:01:00.0", "0x10de", "0x030200"),
            ("0000:02:00.0", "0x10de", "0x030000"),
            ("0000:02:00.1", "0x10de", "0x040300"),
            ("0000:03:00.0", "0x1002", "0x030000"),
        ] {
            write(root.path(), &format!("sys/bus/pci/devices/{slot}/vendor"), &format!("{vendor}\n"));
            write(root.path(), &format!("sys/bus/pci/devices/{slot}/class"), &format!("{class}\n"));
        }
        let about = "proc/driver/nvidia/gpus/0000:01:00.0/information";
        write(root.path(), about, "Model: \t\t NVIDIA H200\nIRQ: 1\n");
        assert_eq!(cards(root.path()), ["NVIDIA H200", "NVIDIA GPU at 0000:02:00.0"]);
    }

    #[test]
    fn the_drivers_version_is_read_of_either_kernel_module() {
        for line in [
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n",
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.01  Release Build\nGCC version: 12.3.0\n",
        ] {
            let root = tempfile::tempdir().unwrap();
            assert_eq!(driver_version(root.path()), None);
            write(root.path(), "proc/driver/nvidia/version", line);
            assert_eq!(driver_version(root.path()).unwrap(), "535.183.01");
            write(root.path(), "sys/module/nvidia/version", "580.65.06\n");
            assert_eq!(driver_version(root.path()).unwrap(), "580.65.06");
        }
    }
}
