//! Copies and fills.

use std::ffi::{c_uchar, c_uint, c_ushort, c_void};

use super::{Answer, Driver, Error, Handle, Out, Result, in_context};
use crate::driver::{Source, StreamKey, Target};

/// What is copied from the host: pinned memory is read when the copy is done, any other now.
fn source(driver: &Driver, from: *const c_void, bytes: usize) -> Result<Source> {
    if bytes == 0 {
        return Ok(Source::Taken(Vec::new()));
    }
    Out::new(from.cast_mut(), "srcHost")?;
    let address = from as usize;
    if driver.host.is_pinned(address, bytes) {
        return Ok(Source::Pinned { address, bytes });
    }
    // SAFETY: the caller promises `bytes` bytes there.
    Ok(Source::Taken(unsafe { std::slice::from_raw_parts(from.cast(), bytes) }.to_vec()))
}

fn target(to: *mut c_void, bytes: usize) -> Result<Target> {
    if bytes > 0 {
        Out::new(to, "dstHost")?;
    }
    // SAFETY: the caller promises room for `bytes` bytes, of pinned memory until it has synchronised with the stream.
    Ok(unsafe { Target::new(to as usize, bytes) })
}

/// A copy from the host that is done when it returns.
fn upload_now(
    driver: &mut Driver,
    context: Handle,
    to: u64,
    from: *const c_void,
    bytes: usize,
) -> Result<()> {
    let from = source(driver, from, bytes)?;
    let stream = driver.stream(context, 0)?;
    let id = driver.upload(stream, to, from)?;
    driver.counters.synchronisations += 1;
    driver.complete([id])
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> Answer {
    in_context("cuMemcpyHtoD_v2", |driver, context| upload_now(driver, context, to, from, bytes))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    bytes: usize,
    stream: Handle,
) -> Answer {
    in_context("cuMemcpyHtoDAsync_v2", |driver, context| {
        let stream = driver.stream(context, stream)?;
        let from = source(driver, from, bytes)?;
        driver.upload(stream, to, from).map(drop)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> Answer {
    in_context("cuMemcpyDtoH_v2", |driver, context| {
        let stream = driver.stream(context, 0)?;
        driver.download(stream, from, target(to, bytes)?)?;
        if driver.host.is_pinned(to as usize, bytes) {
            driver.synchronise_stream(stream)?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut c_void,
    from: u64,
    bytes: usize,
    stream: Handle,
) -> Answer {
    in_context("cuMemcpyDtoHAsync_v2", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.download(stream, from, target(to, bytes)?)
    })
}

/// The host does not wait for a copy within the device, not even here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Answer {
    in_context("cuMemcpyDtoD_v2", |driver, context| {
        let stream = driver.stream(context, 0)?;
        driver.copy(stream, to, from, bytes as u64, None).map(drop)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) -> Answer {
    in_context("cuMemcpyDtoDAsync_v2", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.copy(stream, to, from, bytes as u64, None).map(drop)
    })
}

/// Between two devices, or within one: done in the given stream, which has to be one of the target's device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    to_context: Handle,
    from: u64,
    from_context: Handle,
    bytes: usize,
    stream: Handle,
) -> Answer {
    in_context("cuMemcpyPeerAsync", |driver, context| {
        let stream = driver.stream(context, stream)?;
        if driver.device_of(stream.context())? != driver.device_of(to_context)? {
            return Err(Error::Unsupported("a copy in a stream of another device than its target's".into()));
        }
        // What the other device was given before has to be there.
        if driver.device_of(from_context)? != driver.device_of(to_context)? {
            driver.synchronise_all_quietly(from_context)?;
        }
        driver.copy(stream, to, from, bytes as u64, Some(from_context)).map(drop)
    })
}

fn fill(driver: &mut Driver, stream: Result<StreamKey>, to: u64, pattern: &[u8], count: usize) -> Result<()> {
    driver.fill(stream?, to, pattern, count as u64).map(drop)
}

/// Fills: the host does not wait for them, and those without a stream are in the default one.
macro_rules! fills {
    ($($now:ident, $later:ident, $word:ty;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $now(to: u64, value: $word, count: usize) -> Answer {
            in_context(stringify!($now), |driver, context| {
                let stream = driver.stream(context, 0);
                fill(driver, stream, to, &value.to_le_bytes(), count)
            })
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $later(to: u64, value: $word, count: usize, stream: Handle) -> Answer {
            in_context(stringify!($later), |driver, context| {
                let stream = driver.stream(context, stream);
                fill(driver, stream, to, &value.to_le_bytes(), count)
            })
        }
    )*};
}

fills! {
    cuMemsetD8_v2, cuMemsetD8Async, c_uchar;
    cuMemsetD16_v2, cuMemsetD16Async, c_ushort;
    cuMemsetD32_v2, cuMemsetD32Async, c_uint;
}
