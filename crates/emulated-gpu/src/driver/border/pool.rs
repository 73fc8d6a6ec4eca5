//! The device's pool of memory, of which there is one: what `cuMemAllocAsync` allocates from. Freed memory goes back to
//! the device at once, so that its attributes say what is in use.

use std::ffi::{c_int, c_void};

use super::{Answer, Error, Handle, Out, Result, in_context, initialised};

/// The handle of a device's pool.
fn pool(device: usize) -> Handle {
    0xd000_0000_0000_0000 | (device as u64 + 1) << 4
}

fn check(driver: &super::Driver, handle: Handle) -> Result<usize> {
    let device = (0..driver.device_count()).find(|&device| pool(device) == handle);
    device.ok_or(Error::UnknownHandle { what: "memory pool", handle })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetDefaultMemPool(to: *mut Handle, device: c_int) -> Answer {
    initialised("cuDeviceGetDefaultMemPool", |driver| {
        Out::new(to, "pool_out")?.set(pool(driver.device(device)?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetMemPool(to: *mut Handle, device: c_int) -> Answer {
    initialised("cuDeviceGetMemPool", |driver| {
        Out::new(to, "pool")?.set(pool(driver.device(device)?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceSetMemPool(device: c_int, handle: Handle) -> Answer {
    initialised("cuDeviceSetMemPool", |driver| {
        if check(driver, handle)? != driver.device(device)? {
            return Err(Error::Argument("a pool of another device".into()));
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolTrimTo(handle: Handle, _keep: usize) -> Answer {
    initialised("cuMemPoolTrimTo", |driver| check(driver, handle).map(drop))
}

/// The threshold up to which a pool keeps memory changes nothing here. A watermark takes nothing but 0, by which it begins
/// anew from what is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolSetAttribute(
    handle: Handle,
    attribute: c_int,
    value: *mut c_void,
) -> Answer {
    initialised("cuMemPoolSetAttribute", |driver| {
        let device = check(driver, handle)?;
        let value = Out::<u64>::new(value.cast(), "value")?;
        match attribute {
            6 | 8 if value.get() != 0 => {
                return Err(Error::Argument("a watermark is set to something else than 0".into()));
            }
            6 | 8 => driver.memory_mut(device).forget_peak(),
            _ => {}
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolGetAttribute(
    handle: Handle,
    attribute: c_int,
    value: *mut c_void,
) -> Answer {
    initialised("cuMemPoolGetAttribute", |driver| {
        let memory = driver.memory(check(driver, handle)?);
        match attribute {
            1..=3 => Out::new(value.cast(), "value")?.set(1 as c_int),
            4 => Out::new(value.cast(), "value")?.set(0u64),
            5 | 7 => Out::new(value.cast(), "value")?.set(memory.total() - memory.free()),
            6 | 8 => Out::new(value.cast(), "value")?.set(memory.peak()),
            other => return Err(Error::Unsupported(format!("attribute {other} of a memory pool"))),
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocFromPoolAsync(
    address: *mut u64,
    bytes: usize,
    handle: Handle,
    stream: Handle,
) -> Answer {
    in_context("cuMemAllocFromPoolAsync", |driver, context| {
        let address = Out::new(address, "dptr")?;
        driver.stream(context, stream)?;
        if check(driver, handle)? != driver.device_of(context)? {
            return Err(Error::Argument("a pool of another device".into()));
        }
        address.set(if bytes == 0 { 0 } else { driver.allocate(context, bytes as u64)? });
        Ok(())
    })
}
