//! What there is to compute on.

use compute::{Backend, Cpu};
use record::DeviceInfo;

use crate::{error::Result, gpu, print};

const MIB: f64 = 1024.0 * 1024.0;

/// `mbti devices`
pub fn run(json: bool) -> Result<()> {
    let all: Vec<DeviceInfo> = std::iter::once(cpu()).chain(gpu::find().gpus).collect();
    if json {
        return print::json(&all);
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|device| {
            let usable = device.unusable.as_ref().map_or_else(|| "usable".to_owned(), ToString::to_string);
            let [memory, free] =
                [device.memory_mib, device.free_mib].map(|mib| print::or_dash(mib.map(size)));
            let name = print::or_dash(Some(device.name.clone()).filter(|name| !name.is_empty()));
            vec![device.device.clone(), name, memory, free, usable]
        })
        .collect();
    print::table(&["device", "name", "memory", "free", ""], &rows)
}

fn size(mib: f64) -> String {
    if mib < 1024.0 { record::memory(mib) } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn cpu() -> DeviceInfo {
    DeviceInfo {
        device: "cpu".into(),
        name: processor(),
        memory_mib: compute::cpu::field("/proc/meminfo", "MemTotal:").map(|bytes| bytes as f64 / MIB),
        free_mib: Cpu.memory().free.map(|bytes| bytes as f64 / MIB),
        unusable: None,
    }
}

/// What the processor is called, with the number of its threads.
pub fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let table = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    with_threads(model_name(&table), threads)
}

/// The window puts these words, and those for a processor without a name, into its language (`ui/src/lib/i18n/device.ts`).
fn with_threads(name: &str, threads: usize) -> String {
    format!("{name}, {threads} {}", if threads == 1 { "thread" } else { "threads" })
}

fn model_name(table: &str) -> &str {
    let model = table.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("processor", |(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_can_be_used_and_is_named_as_the_system_names_it() {
        assert_eq!(model_name("processor: 0\nmodel name\t: A Processor\n"), "A Processor");
        assert_eq!(model_name(""), "processor");
        assert_eq!(with_threads("A Processor", 2), "A Processor, 2 threads");
        assert_eq!(with_threads("processor", 1), "processor, 1 thread");
        assert_eq!((size(64.0), size(8192.0)), ("64 MiB".to_owned(), "8.0 GiB".to_owned()));
        assert_eq!((cpu().device, cpu().unusable), ("cpu".to_owned(), None));
    }
}
