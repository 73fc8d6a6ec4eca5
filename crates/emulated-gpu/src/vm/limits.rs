//! What a device refuses to launch.

use super::Launch;
use crate::fault::FaultKind;

/// Threads of a block, and its extents.
pub const THREADS: u64 = 1024;
pub const BLOCK: [u32; 3] = [1024, 1024, 64];
/// Extents of a grid.
pub const GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];
/// Registers of a multiprocessor.
pub const REGISTERS: u64 = 65536;

/// Whether a launch is within the limits of a device and of its kernel. The driver asks at the call, however late the
/// launch is executed.
pub fn check(launch: &Launch<'_>) -> Result<(), FaultKind> {
    let Launch { kernel, grid, block, .. } = *launch;
    if grid.contains(&0) || block.contains(&0) {
        return Err(FaultKind::EmptyLaunch { grid, block });
    }
    let past =
        |extent: [u32; 3], limits: [u32; 3]| extent.iter().zip(limits).any(|(&extent, limit)| extent > limit);
    let threads = block.iter().map(|&extent| u64::from(extent)).product::<u64>();
    if past(grid, GRID) || past(block, BLOCK) || threads > THREADS {
        return Err(FaultKind::LaunchTooLarge { grid, block });
    }
    let threads = threads as u32;
    if let Some(bound) = kernel.max_threads.filter(|&bound| threads > bound) {
        return Err(FaultKind::LaunchBounds { threads, bound });
    }
    if let Some(registers) =
        kernel.max_registers.filter(|&found| u64::from(found) * u64::from(threads) > REGISTERS)
    {
        return Err(FaultKind::TooManyRegisters { threads, registers });
    }
    let wanted = total_shared(launch);
    if wanted > u64::from(launch.shared_limit) {
        return Err(FaultKind::SharedMemoryTooLarge { wanted, limit: u64::from(launch.shared_limit) });
    }
    if launch.params.len() < kernel.param_size {
        return Err(FaultKind::Parameters { given: launch.params.len(), wanted: kernel.param_size });
    }
    Ok(())
}

/// Where dynamic shared memory begins.
pub fn dynamic_start(launch: &Launch<'_>) -> u64 {
    launch.kernel.shared.next_multiple_of(launch.kernel.dynamic_align) as u64
}

/// Shared memory of a block, static and dynamic.
pub fn total_shared(launch: &Launch<'_>) -> u64 {
    match launch.dynamic_shared {
        0 => launch.kernel.shared as u64,
        dynamic => dynamic_start(launch) + u64::from(dynamic),
    }
}
