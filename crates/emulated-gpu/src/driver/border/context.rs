//! Contexts.

use std::ffi::{c_int, c_uint, c_void};

use super::{Answer, Error, Handle, Out, anywhere, contexts, in_context, initialised};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) -> Answer {
    initialised("cuDevicePrimaryCtxRetain", |driver| {
        let context = Out::new(context, "pctx")?;
        context.set(driver.retain_primary(device)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Answer {
    initialised("cuDevicePrimaryCtxRelease_v2", |driver| driver.release_primary(device))
}

/// The parameters of affinity and of graphics are not emulated: they have to be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxCreate_v4(
    context: *mut Handle,
    parameters: *mut c_void,
    flags: c_uint,
    device: c_int,
) -> Answer {
    initialised("cuCtxCreate_v4", |driver| {
        let context = Out::new(context, "pctx")?;
        if !parameters.is_null() {
            return Err(Error::Unsupported("a context with parameters of its own".into()));
        }
        let handle = driver.create_context(device, flags)?;
        contexts::push(handle);
        context.set(handle);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxDestroy_v2(context: Handle) -> Answer {
    initialised("cuCtxDestroy_v2", |driver| {
        driver.destroy_context(context)?;
        if contexts::current() == context {
            contexts::pop()?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut Handle) -> Answer {
    initialised("cuCtxGetCurrent", |_| {
        Out::new(context, "pctx")?.set(contexts::current());
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetCurrent(context: Handle) -> Answer {
    initialised("cuCtxSetCurrent", |driver| {
        if context != 0 {
            driver.context(context)?;
        }
        contexts::set_current(context);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxPushCurrent_v2(context: Handle) -> Answer {
    initialised("cuCtxPushCurrent_v2", |driver| {
        driver.context(context)?;
        contexts::push(context);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut Handle) -> Answer {
    initialised("cuCtxPopCurrent_v2", |_| {
        let popped = contexts::pop()?;
        if let Ok(context) = Out::new(context, "pctx") {
            context.set(popped);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Answer {
    initialised("cuCtxGetDevice", |driver| {
        Out::new(device, "device")?.set(driver.device_of(contexts::current())? as c_int);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSynchronize() -> Answer {
    in_context("cuCtxSynchronize", |driver, context| driver.synchronise(context))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetFlags(flags: c_uint) -> Answer {
    in_context("cuCtxSetFlags", |driver, context| driver.set_context_flags(context, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetFlags(flags: *mut c_uint) -> Answer {
    in_context("cuCtxGetFlags", |driver, context| {
        Out::new(flags, "flags")?.set(driver.context(context)?.flags);
        Ok(())
    })
}

/// Which share of the first cache is shared memory is a wish on hardware and means nothing here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetCacheConfig(_config: c_int) -> Answer {
    in_context("cuCtxSetCacheConfig", |_, _| Ok(()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCacheConfig(config: *mut c_int) -> Answer {
    in_context("cuCtxGetCacheConfig", |_, _| {
        Out::new(config, "pconfig")?.set(0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Answer {
    in_context("cuCtxGetStreamPriorityRange", |_, _| {
        // Each may be NULL.
        for (to, value) in [(least, 0), (greatest, -5)] {
            if let Ok(to) = Out::new(to, "a priority") {
                to.set(value);
            }
        }
        Ok(())
    })
}

/// The profiler's marks say nothing here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuProfilerStart() -> Answer {
    anywhere("cuProfilerStart", |_| Ok(()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuProfilerStop() -> Answer {
    anywhere("cuProfilerStop", |_| Ok(()))
}
