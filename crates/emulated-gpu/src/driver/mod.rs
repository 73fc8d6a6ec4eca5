//! The driver: devices, contexts, modules, streams and events behind handles, and the work that they are given.
//!
//! [`Driver`] is all of it as plain data with safe methods, which the tests call with settings of their own. The C
//! functions of libcuda are thin layers over one `Driver` of the process ([`border`]).

pub mod border;
mod context;
mod device;
pub mod errors;
mod execute;
mod function;
mod handle;
mod host;
mod launch;
mod memory;
mod module;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

pub use context::Context;
pub use errors::{Code, Error, Result};
pub use handle::{Handle, WorkId};
pub use launch::Launch;
pub use stream::StreamKey;
pub use work::{Source, Target, Work};

use crate::{
    counters::{Counters, FaultRecord},
    memory::Memory,
    settings::Settings,
};

/// The state of the emulated machine.
#[derive(Debug)]
pub struct Driver {
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    initialised: bool,
    devices: Vec<Device>,
    contexts: BTreeMap<Handle, context::Context>,
    streams: BTreeMap<StreamKey, stream::Stream>,
    events: BTreeMap<Handle, stream::Event>,
    modules: BTreeMap<Handle, module::Loaded>,
    functions: BTreeMap<Handle, module::Function>,
    host: host::HostMemory,
    /// The context that each allocation was made in, and goes with.
    owners: BTreeMap<u64, Handle>,
    pending: BTreeMap<WorkId, work::Queued>,
    handles: u64,
    issued: WorkId,
    pub(crate) blas: BTreeMap<Handle, crate::blas::Settings>,
    pub(crate) generators: BTreeMap<Handle, crate::rand::Generator>,
}

/// One device.
#[derive(Debug)]
struct Device {
    memory: Memory,
    /// The code that every call gets since a fault.
    broken: Option<Code>,
    /// Its primary context and how often it was retained.
    primary: Option<(Handle, u64)>,
}

impl Driver {
    /// A machine with these settings.
    pub fn new(settings: Settings) -> Driver {
        let device = || Device {
            memory: Memory::new(settings.memory, settings.quarantine),
            broken: None,
            primary: None,
        };
        Driver {
            devices: settings.devices.iter().map(|_| device()).collect(),
            settings,
            counters: Counters::default(),
            initialised: false,
            contexts: BTreeMap::new(),
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            functions: BTreeMap::new(),
            host: host::HostMemory::default(),
            owners: BTreeMap::new(),
            pending: BTreeMap::new(),
            handles: 0,
            issued: 0,
            blas: BTreeMap::new(),
            generators: BTreeMap::new(),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A handle that was never given before. Handles look like no address: the upper bits are set.
    pub(crate) fn handle(&mut self) -> Handle {
        self.handles += 1;
        0xe000_0000_0000_0000 | self.handles << 4
    }

    /// Ends a call that failed: what is a fault goes into the report and to stderr.
    pub(crate) fn note(&mut self, function: &str, error: &Error) -> Code {
        let code = error.code();
        if error.is_fault() {
            let kernel = match error {
                Error::Kernel(fault) => fault.kernel.clone(),
                _ => function.to_owned(),
            };
            eprintln!("emulated GPU: {function}: {error} ({})", code.texts().0.to_string_lossy());
            let fault =
                FaultRecord { kernel, kind: error.kind(), message: error.to_string(), code: code as i32 };
            self.counters.fault(fault);
            self.write_report();
        }
        code
    }

    /// Writes the report, where one is wanted.
    pub(crate) fn write_report(&self) {
        if let Some(path) = &self.settings.report
            && let Err(error) = self.counters.write(path)
        {
            eprintln!("emulated GPU: the report {} cannot be written: {error}", path.display());
        }
    }

    /// Executes pieces of work and everything that they wait for, in the order in which they were issued: work depends
    /// only on what was issued before it.
    pub(crate) fn complete(&mut self, wanted: impl IntoIterator<Item = WorkId>) -> Result<()> {
        let mut open: Vec<WorkId> = wanted.into_iter().collect();
        let mut needed = BTreeSet::new();
        while let Some(id) = open.pop() {
            if let Some(queued) = self.pending.get(&id)
                && needed.insert(id)
            {
                open.extend(&queued.after);
            }
        }
        for id in needed {
            let Some(queued) = self.pending.remove(&id) else { continue };
            let device = queued.device;
            if self.devices[device].broken.is_some() {
                continue;
            }
            if let Err(error) = self.execute(queued) {
                if error.breaks_the_device() {
                    self.break_device(device, error.code());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Every later call for this device gets `code`; what was still to be done is not.
    fn break_device(&mut self, device: usize, code: Code) {
        self.devices[device].broken = Some(code);
        self.pending.retain(|_, queued| queued.device != device);
    }

    /// One more launch is issued on a device. It fails where the settings lose the device.
    pub(crate) fn count_launch(&mut self, device: usize) -> Result<()> {
        self.counters.launches += 1;
        match self.settings.lose {
            Some(loss) if self.counters.launches >= loss.launch => {
                self.break_device(device, loss.code);
                Err(Error::Lost(loss.code))
            }
            _ => Ok(()),
        }
    }

    /// Fails where the device is of no use any more.
    pub(crate) fn usable(&self, device: usize) -> Result<()> {
        self.devices[device].broken.map_or(Ok(()), |code| Err(Error::Broken(code)))
    }

    /// A device's memory.
    pub(crate) fn memory(&self, device: usize) -> &Memory {
        &self.devices[device].memory
    }

    pub(crate) fn memory_mut(&mut self, device: usize) -> &mut Memory {
        &mut self.devices[device].memory
    }
}

/// The calling thread's number in this process.
pub(crate) fn thread_number() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local! { static NUMBER: u64 = THREADS.fetch_add(1, Ordering::Relaxed); }
    NUMBER.with(|number| *number)
}
