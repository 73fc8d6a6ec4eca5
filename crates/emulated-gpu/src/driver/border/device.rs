//! `cuInit` and what devices say of themselves.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::{Answer, Error, Out, anywhere, initialised, text, write_text};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuInit(flags: c_uint) -> Answer {
    anywhere("cuInit", |driver| {
        if flags != 0 {
            return Err(Error::Argument(format!("cuInit takes no flags, and got {flags}")));
        }
        driver.initialise()
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Answer {
    anywhere("cuDriverGetVersion", |driver| {
        Out::new(version, "driverVersion")?.set(driver.settings.driver);
        Ok(())
    })
}

/// Whoever links this library has its functions already: no other is given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetProcAddress_v2(
    symbol: *const c_char,
    function: *mut *mut c_void,
    _version: c_int,
    _flags: u64,
    status: *mut c_int,
) -> Answer {
    anywhere("cuGetProcAddress_v2", |_| {
        let symbol = text(symbol, "symbol")?;
        Out::new(function, "pfn")?.set(std::ptr::null_mut());
        if let Ok(status) = Out::new(status, "symbolStatus") {
            status.set(1); // CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
        }
        Err(Error::NotFound { what: "function to be looked up", name: symbol.to_owned() })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Answer {
    initialised("cuDeviceGet", |driver| {
        let device = Out::new(device, "device")?;
        driver.device(ordinal)?;
        device.set(ordinal);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Answer {
    initialised("cuDeviceGetCount", |driver| {
        Out::new(count, "count")?.set(driver.device_count() as c_int);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> Answer {
    initialised("cuDeviceGetName", |driver| write_text(driver.device_name(device)?, name, length))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], device: c_int) -> Answer {
    initialised("cuDeviceGetUuid", |driver| {
        Out::new(uuid, "uuid")?.set(driver.device_uuid(device)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Answer {
    initialised("cuDeviceGetUuid_v2", |driver| {
        Out::new(uuid, "uuid")?.set(driver.device_uuid(device)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetPCIBusId(id: *mut c_char, length: c_int, device: c_int) -> Answer {
    initialised("cuDeviceGetPCIBusId", |driver| write_text(&driver.pci_bus(device)?, id, length))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> Answer {
    initialised("cuDeviceTotalMem_v2", |driver| {
        Out::new(bytes, "bytes")?.set(driver.device_memory(device)? as usize);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> Answer {
    initialised("cuDeviceGetAttribute", |driver| {
        Out::new(value, "pi")?.set(driver.device_attribute(device, attribute)?);
        Ok(())
    })
}

/// No device reaches another's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceCanAccessPeer(can: *mut c_int, device: c_int, peer: c_int) -> Answer {
    initialised("cuDeviceCanAccessPeer", |driver| {
        driver.device(device)?;
        driver.device(peer)?;
        Out::new(can, "canAccessPeer")?.set(0);
        Ok(())
    })
}
