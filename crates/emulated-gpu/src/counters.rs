//! What a program asked of the device, in figures that are the same on every machine and in every order of execution, and
//! the faults that were found. `EMULATED_GPU_REPORT` names the file that they are written to: after each fault, and when
//! the process ends.

use std::{collections::BTreeMap, io, path::Path};

use serde::Serialize;

use crate::vm;

/// How many faults the report lists; later ones are only counted.
const LISTED: usize = 100;

/// The counters of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counters {
    /// Calls of each function of the three libraries.
    pub calls: BTreeMap<String, u64>,
    /// What each kernel did; products and random numbers stand here under their function's name.
    pub kernels: BTreeMap<String, Kernel>,
    /// Launches of kernels, products and series of random numbers together.
    pub launches: u64,
    /// Copies from the host to the device.
    pub uploads: Copies,
    /// Copies from the device to the host.
    pub downloads: Copies,
    /// Copies within the device, and between devices.
    pub copies: Copies,
    /// Fills of device memory.
    pub fills: Copies,
    /// Calls that had the host wait for the device.
    pub synchronisations: u64,
    /// Blocks of device memory that were allocated.
    pub allocations: u64,
    /// The most bytes of one device's memory that were allocated at a time. Memory that is freed in a stream counts as
    /// free from that call on, as for the allocations that follow it.
    pub peak_memory: u64,
    /// How many faults were found.
    pub fault_count: u64,
    /// The first of them.
    pub faults: Vec<FaultRecord>,
}

/// What the launches of one kernel did together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kernel {
    pub launches: u64,
    /// Instructions, counted once for each warp that executes them.
    pub warp_instructions: u64,
    /// Instructions, counted once for each thread that executes them.
    pub thread_instructions: u64,
    /// Additions, multiplications and other operations on floating-point numbers, those of tensor cores among them.
    pub flop: u64,
    /// Bytes of device memory that its threads read.
    pub bytes_read: u64,
    /// Bytes of device memory that its threads wrote.
    pub bytes_written: u64,
    /// Additions and multiplications of a product of cuBLAS: 2 m n k.
    pub product_flop: u64,
    /// Additions and multiplications of a kernel's instructions that multiply matrices, those of padding among them.
    pub matrix_flop: u64,
}

/// Transfers of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Copies {
    pub count: u64,
    pub bytes: u64,
}

/// A fault of the program under test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultRecord {
    /// The kernel, or the function of the driver, that it was found in.
    pub kernel: String,
    /// The kind of fault, by the name that the tests know it by.
    pub kind: String,
    /// All that is known: instruction, block, thread, address.
    pub message: String,
    /// The code that the program gets for it.
    pub code: i32,
}

impl Counters {
    pub(crate) fn call(&mut self, function: &'static str) {
        match self.calls.get_mut(function) {
            Some(count) => *count += 1,
            None => {
                self.calls.insert(function.to_owned(), 1);
            }
        }
    }

    pub(crate) fn launch(&mut self, kernel: &str, counts: &vm::Counts) {
        let entry = match self.kernels.get_mut(kernel) {
            Some(entry) => entry,
            None => self.kernels.entry(kernel.to_owned()).or_default(),
        };
        entry.launches += 1;
        entry.warp_instructions += counts.warp_instructions;
        entry.thread_instructions += counts.thread_instructions;
        entry.flop += counts.flop;
        entry.bytes_read += counts.bytes_read;
        entry.bytes_written += counts.bytes_written;
        entry.matrix_flop += counts.matrix_flop;
    }

    pub(crate) fn fault(&mut self, fault: FaultRecord) {
        self.fault_count += 1;
        if self.faults.len() < LISTED {
            self.faults.push(fault);
        }
    }

    /// Writes the counters to a file: beside it first, so that a reader never finds half a report.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&beside, path)
    }
}

impl Copies {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn launches_of_a_kernel_add_up_under_its_name() {
        let mut counters = Counters::default();
        let counts = vm::Counts {
            warp_instructions: 2,
            thread_instructions: 50,
            flop: 3,
            bytes_read: 8,
            bytes_written: 4,
            matrix_flop: 4096,
        };
        counters.launch("norm", &counts);
        counters.launch("norm", &counts);
        let wanted = Kernel {
            launches: 2,
            warp_instructions: 4,
            thread_instructions: 100,
            flop: 6,
            bytes_read: 16,
            bytes_written: 8,
            product_flop: 0,
            matrix_flop: 8192,
        };
        assert_eq!(counters.kernels["norm"], wanted);
    }

    #[test]
    fn faults_past_the_hundredth_are_counted_and_not_kept() {
        let mut counters = Counters::default();
        let fault = FaultRecord { kernel: "k".into(), kind: "Race".into(), message: "m".into(), code: 719 };
        (0..150).for_each(|_| counters.fault(fault.clone()));
        assert_eq!((counters.fault_count, counters.faults.len()), (150, 100));
    }

    #[test]
    fn the_written_report_has_what_was_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut counters = Counters::default();
        counters.call("cuInit");
        counters.uploads.add(12);
        counters.write(&path).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read["calls"]["cuInit"], 1);
        assert_eq!(read["uploads"]["bytes"], 12);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the report");
    }
}
