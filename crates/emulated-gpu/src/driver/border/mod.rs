//! The C functions of libcuda. Each checks its pointers, calls one method of the process' [`Driver`] and returns a code;
//! signatures are those of CUDA 13's `cuda.h`.
//!
//! `unsafe` stands here, and in the like files of cuBLAS and cuRAND, because a C function gets addresses that only its
//! caller can answer for: where a result goes, where a name begins. What the functions need of their callers is what the
//! CUDA Driver API asks. Handles are numbers and are looked up; nothing is behind them.
#![allow(unsafe_code, non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]

pub mod context;
pub mod copies;
pub mod device;
pub mod launch;
pub mod memory;
pub mod module;
pub mod pool;
pub mod refused;
pub mod stream;

use std::{
    ffi::{CStr, c_char, c_int},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Code, Driver, Error, Handle, Result, context as contexts};
use crate::settings::Settings;

/// Defines C functions that are not emulated: each fails and names itself. They read no argument, and declare none.
/// `$status` turns a `Result<()>` into the status that the library's functions return.
macro_rules! unsupported_functions {
    ($status:path: $($function:ident)*) => {$(
        /// Not emulated.
        #[unsafe(no_mangle)]
        pub extern "C" fn $function() -> std::ffi::c_int {
            let error = $crate::driver::Error::Unsupported(stringify!($function).into());
            $status($crate::driver::border::with(stringify!($function), |_| Err(error)))
        }
    )*};
}
pub(crate) use unsupported_functions;

/// `CUresult`: 0, or a [`Code`].
pub type Answer = c_int;

/// The process' one driver, whatever name the library was loaded by.
static DRIVER: Mutex<Process> = Mutex::new(Process::New);

enum Process {
    /// Nothing was called yet.
    New,
    Ready(Box<Driver>),
    /// The settings cannot be used.
    Wrong,
}

fn lock() -> MutexGuard<'static, Process> {
    // A panic within a call is caught before it gets here, so that the state is whole.
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `body` with the process' driver and counts the call. No panic comes out of it.
pub(crate) fn with<T>(function: &'static str, body: impl FnOnce(&mut Driver) -> Result<T>) -> Result<T> {
    let mut process = lock();
    if matches!(*process, Process::New) {
        *process = match Settings::from_environment() {
            Ok(settings) => {
                // SAFETY: `at_exit` may be called at any time while the process ends.
                unsafe { atexit(at_exit) };
                Process::Ready(Box::new(Driver::new(settings)))
            }
            Err(error) => {
                eprintln!("emulated GPU: {error}");
                Process::Wrong
            }
        };
    }
    let Process::Ready(driver) = &mut *process else {
        return Err(Error::Argument("the settings of the emulated GPU cannot be used".into()));
    };
    driver.counters.call(function);
    let result = catch_unwind(AssertUnwindSafe(|| body(driver)));
    let result = result.unwrap_or_else(|_| Err(Error::Internal { function }));
    if let Err(error) = &result {
        driver.note(function, error);
    }
    result
}

unsafe extern "C" {
    /// The C library's.
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// Writes the report, unless a call is still under way.
extern "C" fn at_exit() {
    if let Ok(process) = DRIVER.try_lock()
        && let Process::Ready(driver) = &*process
    {
        driver.write_report();
    }
}

/// A call that needs nothing to have been called before.
fn anywhere(function: &'static str, body: impl FnOnce(&mut Driver) -> Result<()>) -> Answer {
    answer(with(function, body))
}

/// A call that needs `cuInit`.
fn initialised(function: &'static str, body: impl FnOnce(&mut Driver) -> Result<()>) -> Answer {
    anywhere(function, |driver| {
        driver.initialised()?;
        body(driver)
    })
}

/// A call in the thread's current context, whose device is usable.
fn in_context(function: &'static str, body: impl FnOnce(&mut Driver, Handle) -> Result<()>) -> Answer {
    initialised(function, |driver| {
        let context = contexts::current();
        driver.usable(driver.device_of(context)?)?;
        body(driver, context)
    })
}

/// The thread's current context and the driver, for the libraries above libcuda.
pub(crate) fn with_context<T>(
    function: &'static str,
    body: impl FnOnce(&mut Driver, Handle) -> Result<T>,
) -> Result<T> {
    with(function, |driver| {
        driver.initialised()?;
        let context = contexts::current();
        driver.usable(driver.device_of(context)?)?;
        body(driver, context)
    })
}

fn answer(result: Result<()>) -> Answer {
    result.map_or_else(|error| error.code() as Answer, |()| 0)
}

/// Where a result goes.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Refuses NULL, which is what the caller gets told of before anything is done.
    pub(crate) fn new(pointer: *mut T, argument: &'static str) -> Result<Out<T>> {
        if pointer.is_null() { Err(Error::Null { argument }) } else { Ok(Out(pointer)) }
    }

    /// What the caller has put there, of an argument that is read.
    pub(crate) fn get(&self) -> T
    where
        T: Copy,
    {
        // SAFETY: it is not NULL, and the caller of the C function promises that a `T` is there.
        unsafe { self.0.read_unaligned() }
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: it is not NULL, and the caller of the C function promises that a `T` fits there.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// A text that the caller gives.
fn text<'a>(pointer: *const c_char, argument: &'static str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::Null { argument });
    }
    // SAFETY: the caller of the C function promises a text that ends with a zero byte and stays for the call.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::Argument(format!("{argument} is not UTF-8")))
}

/// Writes a text and the zero byte after it into `length` bytes, cut off where it is longer.
fn write_text(from: &str, pointer: *mut c_char, length: c_int) -> Result<()> {
    let room = usize::try_from(length).ok().filter(|&room| room > 0);
    let room = room.ok_or_else(|| Error::Argument(format!("a text into {length} bytes")))?;
    if pointer.is_null() {
        return Err(Error::Null { argument: "the place of a text" });
    }
    let kept = from.len().min(room - 1);
    // SAFETY: the caller of the C function promises that `length` bytes are there.
    unsafe {
        std::ptr::copy_nonoverlapping(from.as_ptr(), pointer.cast(), kept);
        pointer.add(kept).write(0);
    }
    Ok(())
}

/// `cuGetErrorName`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(error: c_int, name: *mut *const c_char) -> Answer {
    describe(error, name, |code| code.texts().0, c"CUDA_SUCCESS")
}

/// `cuGetErrorString`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(error: c_int, text: *mut *const c_char) -> Answer {
    describe(error, text, |code| code.texts().1, c"no error")
}

fn describe(
    number: c_int,
    to: *mut *const c_char,
    of: impl FnOnce(Code) -> &'static CStr,
    success: &'static CStr,
) -> Answer {
    let text = if number == 0 { Some(success) } else { Code::from_number(number).map(of) };
    let Ok(to) = Out::new(to, "the text's address") else { return Code::InvalidValue as Answer };
    to.set(text.map_or(std::ptr::null(), CStr::as_ptr));
    if text.is_some() { 0 } else { Code::InvalidValue as Answer }
}
