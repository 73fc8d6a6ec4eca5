//! Modules and what they hold.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::{Answer, Error, Handle, Out, Result, in_context, initialised, text};

/// The text of an image, which has to be PTX: binaries for a device cannot be executed.
fn ptx<'a>(image: *const c_void) -> Result<&'a str> {
    Out::new(image.cast_mut(), "image")?;
    // SAFETY: the caller promises an image; the shortest, a PTX text of no characters, has one byte, and a binary has
    // more than four. Each byte is looked at only after the ones before it were not zero.
    let is_binary = unsafe {
        let bytes = image.cast::<u8>();
        let starts = |magic: [u8; 4]| (0..4).all(|index| *bytes.add(index) == magic[index]);
        starts(*b"\x7fELF") || starts([0x50, 0xed, 0x55, 0xba])
    };
    if is_binary {
        return Err(Error::Image);
    }
    // SAFETY: the caller promises a PTX text that ends with a zero byte.
    unsafe { CStr::from_ptr(image.cast()) }.to_str().map_err(|_| Error::Image)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(module: *mut Handle, image: *const c_void) -> Answer {
    in_context("cuModuleLoadData", |driver, context| {
        let module = Out::new(module, "module")?;
        module.set(driver.load(context, ptx(image)?)?);
        Ok(())
    })
}

/// The compiler's options have no meaning here: its log stays as the caller has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut Handle,
    image: *const c_void,
    _count: c_uint,
    _options: *mut c_int,
    _values: *mut *mut c_void,
) -> Answer {
    in_context("cuModuleLoadDataEx", |driver, context| {
        let module = Out::new(module, "module")?;
        module.set(driver.load(context, ptx(image)?)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoad(module: *mut Handle, path: *const c_char) -> Answer {
    in_context("cuModuleLoad", |driver, context| {
        let module = Out::new(module, "module")?;
        let path = text(path, "fname")?;
        let bytes = std::fs::read(path)
            .map_err(|error| Error::File { path: path.to_owned(), why: error.to_string() })?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Image)?;
        module.set(driver.load(context, &text)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleUnload(module: Handle) -> Answer {
    in_context("cuModuleUnload", |driver, _| driver.unload(module))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut Handle,
    module: Handle,
    name: *const c_char,
) -> Answer {
    in_context("cuModuleGetFunction", |driver, _| {
        let function = Out::new(function, "hfunc")?;
        function.set(driver.function(module, text(name, "name")?)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    bytes: *mut usize,
    module: Handle,
    name: *const c_char,
) -> Answer {
    in_context("cuModuleGetGlobal_v2", |driver, _| {
        let global = driver.global(module, text(name, "name")?)?;
        // Each may be NULL.
        if let Ok(address) = Out::new(address, "dptr") {
            address.set(global.0);
        }
        if let Ok(bytes) = Out::new(bytes, "bytes") {
            bytes.set(global.1 as usize);
        }
        Ok(())
    })
}

/// Kernels are there as soon as their module is loaded: `CU_MODULE_EAGER_LOADING`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetLoadingMode(mode: *mut c_int) -> Answer {
    initialised("cuModuleGetLoadingMode", |_| {
        Out::new(mode, "mode")?.set(1);
        Ok(())
    })
}
