//! A launch of a kernel, as it waits for its turn.

use std::sync::Arc;

use super::{Error, Result};
use crate::{memory::Memory, ptx::Kernel, settings::Settings, vm};

/// A launch with everything that it takes along.
#[derive(Debug)]
pub struct Launch {
    pub(super) kernel: Arc<Kernel>,
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) dynamic_shared: u32,
    pub(super) shared_limit: u32,
    pub(super) params: Vec<u8>,
}

impl Launch {
    pub(super) fn name(&self) -> &str {
        &self.kernel.name
    }

    /// The launch as the machine that executes it takes it.
    pub(super) fn as_executed(&self) -> vm::Launch<'_> {
        vm::Launch {
            kernel: &self.kernel,
            grid: self.grid,
            block: self.block,
            dynamic_shared: self.dynamic_shared,
            shared_limit: self.shared_limit,
            params: &self.params,
        }
    }

    pub(super) fn execute(&self, memory: &Memory, settings: &Settings) -> Result<vm::Counts> {
        vm::launch(&self.as_executed(), memory, &settings.vm())
            .map_err(|fault| Error::Kernel(Box::new(fault)))
    }
}
