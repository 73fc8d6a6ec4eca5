//! Allocation of device memory and of pinned memory of the host.

use std::ffi::{c_int, c_uint, c_void};

use super::{Answer, Error, Handle, Out, in_context};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Answer {
    in_context("cuMemGetInfo_v2", |driver, context| {
        let (free, total) = (Out::new(free, "free")?, Out::new(total, "total")?);
        let info = driver.memory_info(context)?;
        free.set(info.0 as usize);
        total.set(info.1 as usize);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Answer {
    in_context("cuMemAlloc_v2", |driver, context| {
        let address = Out::new(address, "dptr")?;
        address.set(driver.allocate(context, bytes as u64)?);
        Ok(())
    })
}

/// The memory is there at once, whatever its stream still has to do. No bytes are no memory: the address is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Handle) -> Answer {
    in_context("cuMemAllocAsync", |driver, context| {
        let address = Out::new(address, "dptr")?;
        driver.stream(context, stream)?;
        address.set(if bytes == 0 { 0 } else { driver.allocate(context, bytes as u64)? });
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFree_v2(address: u64) -> Answer {
    in_context("cuMemFree_v2", |driver, context| driver.free(context, address))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeAsync(address: u64, stream: Handle) -> Answer {
    in_context("cuMemFreeAsync", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.free_in(stream, address)
    })
}

/// The flags that `cuMemHostAlloc` and `cuMemHostRegister` take: nothing depends upon them here.
const HOST_FLAGS: c_uint = 0xf;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, flags: c_uint) -> Answer {
    in_context("cuMemHostAlloc", |driver, _| {
        let pointer = Out::new(pointer, "pp")?;
        if flags & !HOST_FLAGS != 0 {
            return Err(Error::Argument(format!("{flags:#x} are no flags of pinned memory")));
        }
        pointer.set(driver.host.allocate(bytes)? as *mut c_void);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocHost_v2(pointer: *mut *mut c_void, bytes: usize) -> Answer {
    in_context("cuMemAllocHost_v2", |driver, _| {
        let pointer = Out::new(pointer, "pp")?;
        pointer.set(driver.host.allocate(bytes)? as *mut c_void);
        Ok(())
    })
}

/// Work that still uses the memory is done first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeHost(pointer: *mut c_void) -> Answer {
    in_context("cuMemFreeHost", |driver, context| {
        driver.synchronise_all_quietly(context)?;
        driver.host.release(pointer as usize, true)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostRegister_v2(pointer: *mut c_void, bytes: usize, _flags: c_uint) -> Answer {
    in_context("cuMemHostRegister_v2", |driver, _| driver.host.register(pointer as usize, bytes))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostUnregister(pointer: *mut c_void) -> Answer {
    in_context("cuMemHostUnregister", |driver, context| {
        driver.synchronise_all_quietly(context)?;
        driver.host.release(pointer as usize, false)
    })
}

/// Kinds of memory, and where an allocation begins and how long it is; other attributes are not emulated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuPointerGetAttribute(data: *mut c_void, attribute: c_int, address: u64) -> Answer {
    in_context("cuPointerGetAttribute", |driver, context| {
        let device = driver.device_of(context)?;
        let extent = driver.extent(device, address)?;
        match attribute {
            1 => Out::new(data.cast(), "data")?.set(context),
            2 => Out::new(data.cast(), "data")?.set(2u32), // CU_MEMORYTYPE_DEVICE
            9 => Out::new(data.cast(), "data")?.set(device as c_int),
            11 => Out::new(data.cast(), "data")?.set(extent.start),
            12 => Out::new(data.cast(), "data")?.set(extent.end - extent.start),
            other => return Err(Error::Unsupported(format!("attribute {other} of a pointer"))),
        }
        Ok(())
    })
}
