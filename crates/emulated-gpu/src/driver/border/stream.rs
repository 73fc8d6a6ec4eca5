//! Streams and events.

use std::ffi::{c_int, c_uint, c_void};

use super::{Answer, Error, Handle, Out, in_context};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut Handle, flags: c_uint) -> Answer {
    in_context("cuStreamCreate", |driver, context| {
        let stream = Out::new(stream, "phStream")?;
        stream.set(driver.create_stream(context, flags, 0)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut Handle,
    flags: c_uint,
    priority: c_int,
) -> Answer {
    in_context("cuStreamCreateWithPriority", |driver, context| {
        let stream = Out::new(stream, "phStream")?;
        stream.set(driver.create_stream(context, flags, priority)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamDestroy_v2(stream: Handle) -> Answer {
    in_context("cuStreamDestroy_v2", |driver, context| driver.destroy_stream(context, stream))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamSynchronize(stream: Handle) -> Answer {
    in_context("cuStreamSynchronize", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.synchronise_stream(stream)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamQuery(stream: Handle) -> Answer {
    in_context("cuStreamQuery", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.query_stream(stream)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamWaitEvent(stream: Handle, event: Handle, _flags: c_uint) -> Answer {
    in_context("cuStreamWaitEvent", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.wait(stream, event)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamGetPriority(stream: Handle, priority: *mut c_int) -> Answer {
    in_context("cuStreamGetPriority", |driver, context| {
        let stream = driver.stream(context, stream)?;
        Out::new(priority, "priority")?.set(driver.stream_state(stream)?.priority);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamGetFlags(stream: Handle, flags: *mut c_uint) -> Answer {
    in_context("cuStreamGetFlags", |driver, context| {
        let stream = driver.stream(context, stream)?;
        Out::new(flags, "flags")?.set(driver.stream_state(stream)?.flags);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamGetCtx(stream: Handle, context: *mut Handle) -> Answer {
    in_context("cuStreamGetCtx", |driver, current| {
        let stream = driver.stream(current, stream)?;
        Out::new(context, "pctx")?.set(stream.context());
        Ok(())
    })
}

/// No stream is ever captured: `cuStreamBeginCapture` is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamIsCapturing(stream: Handle, status: *mut c_int) -> Answer {
    in_context("cuStreamIsCapturing", |driver, context| {
        driver.stream(context, stream)?;
        Out::new(status, "captureStatus")?.set(0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamGetCaptureInfo_v3(
    stream: Handle,
    status: *mut c_int,
    _id: *mut u64,
    _graph: *mut *mut c_void,
    _dependencies: *mut *const c_void,
    _edges: *mut *const c_void,
    _count: *mut usize,
) -> Answer {
    in_context("cuStreamGetCaptureInfo_v3", |driver, context| {
        driver.stream(context, stream)?;
        Out::new(status, "captureStatus_out")?.set(0);
        Ok(())
    })
}

/// Only of managed memory, which is not emulated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamAttachMemAsync(
    _stream: Handle,
    _address: u64,
    _bytes: usize,
    _flags: c_uint,
) -> Answer {
    in_context("cuStreamAttachMemAsync", |_, _| Err(Error::Unsupported("managed memory".into())))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(event: *mut Handle, flags: c_uint) -> Answer {
    in_context("cuEventCreate", |driver, context| {
        let event = Out::new(event, "phEvent")?;
        event.set(driver.create_event(context, flags)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventDestroy_v2(event: Handle) -> Answer {
    in_context("cuEventDestroy_v2", |driver, _| driver.destroy_event(event))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Answer {
    in_context("cuEventRecord", |driver, context| {
        let stream = driver.stream(context, stream)?;
        driver.record(event, stream)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventSynchronize(event: Handle) -> Answer {
    in_context("cuEventSynchronize", |driver, _| driver.synchronise_event(event))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventQuery(event: Handle) -> Answer {
    in_context("cuEventQuery", |driver, _| driver.query_event(event))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle) -> Answer {
    in_context("cuEventElapsedTime", |driver, _| {
        Out::new(milliseconds, "pMilliseconds")?.set(driver.elapsed(start, end)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: Handle, end: Handle) -> Answer {
    in_context("cuEventElapsedTime_v2", |driver, _| {
        Out::new(milliseconds, "pMilliseconds")?.set(driver.elapsed(start, end)?);
        Ok(())
    })
}
