//! Kernels behind handles: what they say of themselves, how many fit a multiprocessor, and their launches.

use super::{
    Driver, Error, Handle, Launch, Result, StreamKey, Work, WorkId,
    device::{MULTIPROCESSORS, SHARED},
};
use crate::{
    fault::{Fault, FaultKind},
    vm::{
        self,
        limits::{REGISTERS, THREADS},
    },
};

/// Registers of a thread where the PTX says nothing: what ptxas would choose is not known here.
const REGISTERS_OF_A_THREAD: u32 = 32;

impl Driver {
    /// An attribute of a kernel by its number (`CUfunction_attribute`).
    pub(super) fn function_attribute(&self, function: Handle, attribute: i32) -> Result<i32> {
        let state = self.function_state(function)?;
        let kernel = &state.kernel;
        Ok(match attribute {
            0 => kernel.max_threads.unwrap_or(THREADS as u32) as i32,
            1 => kernel.shared as i32,
            3 => kernel.local as i32,
            4 => kernel.max_registers.unwrap_or(REGISTERS_OF_A_THREAD) as i32,
            5 | 6 => self.settings.capability.0 * 10 + self.settings.capability.1,
            2 | 7 => 0,
            8 => state.dynamic_shared.unwrap_or(SHARED.saturating_sub(kernel.shared as u32)) as i32,
            9 => -1,
            other => return Err(Error::Unsupported(format!("attribute {other} of a function"))),
        })
    }

    /// How many blocks of a kernel run on a multiprocessor at once, by threads, registers and shared memory.
    pub(super) fn occupancy(&self, function: Handle, threads: i32, dynamic_shared: usize) -> Result<i32> {
        let state = self.function_state(function)?;
        let threads = u32::try_from(threads).ok().filter(|&threads| threads > 0);
        let threads = threads.ok_or_else(|| Error::Argument("a block of no threads".into()))?;
        if threads > state.kernel.max_threads.unwrap_or(THREADS as u32) {
            return Ok(0);
        }
        let registers = state.kernel.max_registers.unwrap_or(REGISTERS_OF_A_THREAD);
        let shared = state.kernel.shared as u64 + dynamic_shared as u64;
        let by_threads = 2048 / threads.next_multiple_of(32);
        let by_registers = REGISTERS as u32 / (registers.max(1) * threads.next_multiple_of(32));
        let by_shared = u64::from(state.opt_in).checked_div(shared).unwrap_or(32);
        Ok(by_threads.min(by_registers).min(32).min(by_shared as u32) as i32)
    }

    /// Blocks that fill the device and the largest block, of at most `limit` threads where that is not 0.
    pub(super) fn best_block(
        &self,
        function: Handle,
        dynamic_shared: usize,
        limit: i32,
    ) -> Result<(i32, i32)> {
        let most = self.function_state(function)?.kernel.max_threads.unwrap_or(THREADS as u32);
        let threads = match u32::try_from(limit) {
            Ok(limit) if limit > 0 => most.min(limit),
            _ => most,
        };
        let blocks = self.occupancy(function, threads as i32, dynamic_shared)?;
        Ok((blocks * MULTIPROCESSORS, threads as i32))
    }

    /// Launches a kernel. `params` are its parameters' bytes as [`Kernel::params`](crate::ptx::Kernel::params) lays them out.
    pub fn launch(
        &mut self,
        function: Handle,
        grid: [u32; 3],
        block: [u32; 3],
        dynamic_shared: u32,
        stream: StreamKey,
        params: Vec<u8>,
    ) -> Result<WorkId> {
        let device = self.device_of(stream.context())?;
        self.usable(device)?;
        let function = self.function_state(function)?;
        let kernel = function.kernel.clone();
        let launch =
            Launch { shared_limit: function.shared_limit(), kernel, grid, block, dynamic_shared, params };
        // A launch that no device would begin is refused by the call itself, however late it would be executed.
        let (given, wanted) = (launch.params.len(), launch.kernel.param_size);
        let possible = match given == wanted {
            true => vm::limits::check(&launch.as_executed()),
            false => Err(FaultKind::Parameters { given, wanted }),
        };
        possible.map_err(|kind| Box::new(Fault { kernel: launch.kernel.name.clone(), at: None, kind }))?;
        self.count_launch(device)?;
        self.issue(stream, Work::Launch(launch))
    }
}
