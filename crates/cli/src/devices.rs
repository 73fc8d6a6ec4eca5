//! What there is to compute on.

use std::path::Path;

use compute::{Backend, Cpu};
use record::{DeviceInfo, Unusable};

use crate::{error::Result, print};

const MIB: f64 = 1024.0 * 1024.0;
/// NVIDIA's number among the makers of PCI devices.
const NVIDIA: &str = "0x10de";

/// `mbti devices`
pub fn run(json: bool) -> Result<()> {
    let all = all(Path::new("/"));
    if json {
        return print::json(&all);
    }
    let gib = |mib: Option<f64>| mib.map_or_else(|| "–".to_owned(), |mib| format!("{:.1} GiB", mib / 1024.0));
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|device| {
            let usable = device.unusable.map_or("usable", Unusable::reason);
            vec![
                device.device.clone(),
                device.name.clone(),
                gib(device.memory_mib),
                gib(device.free_mib),
                usable.into(),
            ]
        })
        .collect();
    print::table(&["device", "name", "memory", "free", ""], &rows)
}

/// The processor, and what is seen of GPUs below the root of a file system.
fn all(root: &Path) -> Vec<DeviceInfo> {
    let memory = Cpu.memory();
    let cpu = DeviceInfo {
        device: "cpu".into(),
        name: processor(root),
        memory_mib: compute::cpu::field("/proc/meminfo", "MemTotal:").map(|bytes| bytes as f64 / MIB),
        free_mib: memory.free.map(|bytes| bytes as f64 / MIB),
        unusable: None,
    };
    std::iter::once(cpu).chain(gpus(root)).collect()
}

fn processor(root: &Path) -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let table = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let model = table.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("processor", |(_, name)| name.trim());
    format!("{model}, {threads} threads")
}

/// NVIDIA's GPUs: by the system's list of PCI devices, with their names where the driver tells them.
fn gpus(root: &Path) -> Vec<DeviceInfo> {
    let mut slots: Vec<_> = std::fs::read_dir(root.join("sys/bus/pci/devices"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|slot| is_gpu(slot))
        .collect();
    slots.sort();
    let gpu = |(number, slot): (usize, std::path::PathBuf)| {
        let slot = slot.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about = root.join("proc/driver/nvidia/gpus").join(&slot).join("information");
        let about = std::fs::read_to_string(about).ok();
        let model = about.as_ref().and_then(|about| {
            about.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()))
        });
        DeviceInfo {
            device: format!("cuda:{number}"),
            name: model.unwrap_or_else(|| format!("NVIDIA GPU at {slot}")),
            memory_mib: None,
            free_mib: None,
            unusable: Some(if about.is_some() { Unusable::NoBackend } else { Unusable::NoDriver }),
        }
    };
    slots.into_iter().enumerate().map(gpu).collect()
}

/// Display controllers are of the class 0x03.
fn is_gpu(slot: &Path) -> bool {
    let read = |name: &str| std::fs::read_to_string(slot.join(name)).unwrap_or_default();
    read("vendor").trim() == NVIDIA && read("class").trim().starts_with("0x03")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_processor_can_be_used_and_gpus_that_are_seen_say_why_they_cannot() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (slot, vendor, class) in [
            ("0000:01:00.0", "0x10de", "0x030200"),
            ("0000:02:00.0", "0x10de", "0x030000"),
            ("0000:02:00.1", "0x10de", "0x040300"),
            ("0000:03:00.0", "0x1002", "0x030000"),
        ] {
            write(&format!("sys/bus/pci/devices/{slot}/vendor"), &format!("{vendor}\n"));
            write(&format!("sys/bus/pci/devices/{slot}/class"), &format!("{class}\n"));
        }
        write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA H200\nIRQ: 1\n");
        write("proc/cpuinfo", "processor: 0\nmodel name\t: A Processor\n");
        let found = all(root.path());
        assert!(found[0].name.starts_with("A Processor, ") && found[0].unusable.is_none());
        let gpus: Vec<_> =
            found[1..].iter().map(|gpu| (&gpu.device[..], &gpu.name[..], gpu.unusable)).collect();
        assert_eq!(
            gpus,
            [
                ("cuda:0", "NVIDIA H200", Some(Unusable::NoBackend)),
                ("cuda:1", "NVIDIA GPU at 0000:02:00.0", Some(Unusable::NoDriver)),
            ]
        );
    }
}
