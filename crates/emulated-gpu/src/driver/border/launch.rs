//! Launches.

use std::ffi::{c_int, c_uint, c_void};

use super::{Answer, Driver, Error, Handle, Out, Result, in_context};

/// The bytes of a kernel's parameters, each from the address that the caller gives for it.
fn gather(driver: &Driver, function: Handle, pointers: *mut *mut c_void) -> Result<Vec<u8>> {
    let (params, size) = driver.parameters(function)?;
    let mut bytes = vec![0u8; size];
    if params.is_empty() {
        return Ok(bytes);
    }
    Out::new(pointers, "kernelParams")?;
    for (index, (offset, size)) in params.into_iter().enumerate() {
        // SAFETY: the caller promises as many pointers as the kernel has parameters, each to one of its size.
        unsafe {
            let pointer = *pointers.add(index);
            Out::new(pointer, "a parameter")?;
            std::ptr::copy_nonoverlapping(pointer.cast(), bytes[offset..offset + size].as_mut_ptr(), size);
        }
    }
    Ok(bytes)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic_shared: c_uint,
    stream: Handle,
    parameters: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Answer {
    in_context("cuLaunchKernel", |driver, context| {
        if !extra.is_null() {
            return Err(Error::Unsupported("a launch with its parameters in one buffer".into()));
        }
        let stream = driver.stream(context, stream)?;
        let params = gather(driver, function, parameters)?;
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        driver.launch(function, grid, block, dynamic_shared, stream, params).map(drop)
    })
}

/// What a kernel is like, by `CUfunction_attribute`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle) -> Answer {
    in_context("cuFuncGetAttribute", |driver, _| {
        let value = Out::new(value, "pi")?;
        value.set(driver.function_attribute(function, attribute)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int) -> Answer {
    in_context("cuFuncSetAttribute", |driver, _| match attribute {
        8 => driver.set_dynamic_shared(function, value),
        // How much of the first cache is wanted as shared memory: a wish.
        9 => driver.function_state(function).map(drop),
        other => Err(Error::Unsupported(format!("setting attribute {other} of a function"))),
    })
}

/// A wish on hardware that means nothing here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncSetCacheConfig(function: Handle, _config: c_int) -> Answer {
    in_context("cuFuncSetCacheConfig", |driver, _| driver.function_state(function).map(drop))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: Handle,
    threads: c_int,
    dynamic_shared: usize,
) -> Answer {
    in_context("cuOccupancyMaxActiveBlocksPerMultiprocessor", |driver, _| {
        Out::new(blocks, "numBlocks")?.set(driver.occupancy(function, threads, dynamic_shared)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    blocks: *mut c_int,
    function: Handle,
    threads: c_int,
    dynamic_shared: usize,
    _flags: c_uint,
) -> Answer {
    in_context("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", |driver, _| {
        Out::new(blocks, "numBlocks")?.set(driver.occupancy(function, threads, dynamic_shared)?);
        Ok(())
    })
}

/// The largest block that the kernel takes, and blocks enough for every multiprocessor. Shared memory that depends on
/// the block is not emulated: the callback has to be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: *mut c_int,
    block: *mut c_int,
    function: Handle,
    shared_by_block: *const c_void,
    dynamic_shared: usize,
    limit: c_int,
) -> Answer {
    in_context("cuOccupancyMaxPotentialBlockSize", |driver, _| {
        let (grid, block) = (Out::new(grid, "minGridSize")?, Out::new(block, "blockSize")?);
        if !shared_by_block.is_null() {
            return Err(Error::Unsupported("shared memory that depends on the block".into()));
        }
        let (blocks, threads) = driver.best_block(function, dynamic_shared, limit)?;
        grid.set(blocks);
        block.set(threads);
        Ok(())
    })
}
