//! Contexts. Each thread has a stack of them, whose top is its current one.

use std::cell::RefCell;

use super::{Driver, Error, Handle, Result};

/// A context of a device.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub(super) device: usize,
    pub(super) flags: u32,
    /// Whether it is the device's primary context.
    pub(super) primary: bool,
}

thread_local! { static STACK: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) }; }

/// The calling thread's current context; 0 where it has none.
pub(super) fn current() -> Handle {
    STACK.with_borrow(|stack| stack.last().copied().unwrap_or(0))
}

/// Makes a context the current one in place of what is; 0 takes that away.
pub(super) fn set_current(context: Handle) {
    STACK.with_borrow_mut(|stack| {
        stack.pop();
        if context != 0 {
            stack.push(context);
        }
    });
}

pub(super) fn push(context: Handle) {
    STACK.with_borrow_mut(|stack| stack.push(context));
}

pub(super) fn pop() -> Result<Handle> {
    STACK.with_borrow_mut(Vec::pop).ok_or(Error::NoContext)
}

impl Driver {
    /// `cuInit`.
    pub fn initialise(&mut self) -> Result<()> {
        if self.settings.no_device || self.devices.is_empty() {
            return Err(Error::NoDevice);
        }
        self.initialised = true;
        Ok(())
    }

    pub(super) fn initialised(&self) -> Result<()> {
        if self.initialised { Ok(()) } else { Err(Error::NotInitialized) }
    }

    /// The index of a device that is there.
    pub(super) fn device(&self, ordinal: i32) -> Result<usize> {
        usize::try_from(ordinal).ok().filter(|&n| n < self.devices.len()).ok_or(Error::InvalidDevice(ordinal))
    }

    /// The device of a context.
    pub(crate) fn device_of(&self, context: Handle) -> Result<usize> {
        self.context(context).map(|context| context.device)
    }

    pub(super) fn context(&self, handle: Handle) -> Result<&Context> {
        match handle {
            0 => Err(Error::NoContext),
            _ => self.contexts.get(&handle).ok_or(Error::UnknownHandle { what: "context", handle }),
        }
    }

    /// Makes a context of its own on a device.
    pub fn create_context(&mut self, device: i32, flags: u32) -> Result<Handle> {
        let device = self.device(device)?;
        self.usable(device)?;
        let handle = self.handle();
        self.contexts.insert(handle, Context { device, flags, primary: false });
        Ok(handle)
    }

    /// How the host waits, by `CUctx_flags`: it makes no difference here.
    pub(super) fn set_context_flags(&mut self, handle: Handle, flags: u32) -> Result<()> {
        let context =
            self.contexts.get_mut(&handle).ok_or(Error::UnknownHandle { what: "context", handle })?;
        context.flags = flags;
        Ok(())
    }

    /// The device's primary context, retained once more.
    pub fn retain_primary(&mut self, device: i32) -> Result<Handle> {
        self.initialised()?;
        let device = self.device(device)?;
        if let Some((handle, count)) = &mut self.devices[device].primary {
            *count += 1;
            return Ok(*handle);
        }
        let handle = self.handle();
        self.contexts.insert(handle, Context { device, flags: 0, primary: true });
        self.devices[device].primary = Some((handle, 1));
        Ok(handle)
    }

    /// Gives the primary context up; with the last one it ends.
    pub fn release_primary(&mut self, device: i32) -> Result<()> {
        let device = self.device(device)?;
        match self.devices[device].primary {
            None => Err(Error::NoContext),
            Some((handle, 1)) => {
                self.devices[device].primary = None;
                self.end_context(handle);
                Ok(())
            }
            Some((handle, count)) => {
                self.devices[device].primary = Some((handle, count - 1));
                Ok(())
            }
        }
    }

    /// Ends a context that [`Driver::create_context`] made.
    pub fn destroy_context(&mut self, handle: Handle) -> Result<()> {
        if self.context(handle)?.primary {
            return Err(Error::UnknownHandle { what: "context", handle });
        }
        self.end_context(handle);
        Ok(())
    }

    /// Everything of the context goes with it, its memory too.
    fn end_context(&mut self, handle: Handle) {
        // What was issued is done, as a real context waits for it; that it fails is told by the calls before.
        if let Err(error) = self.synchronise_all_quietly(handle) {
            self.note("the end of a context", &error);
        }
        self.streams.retain(|key, _| key.context() != handle);
        self.events.retain(|_, event| event.context != handle);
        let modules: Vec<Handle> = self.modules_of(handle);
        for module in modules {
            self.forget_module(module);
        }
        self.free_all(handle);
        self.contexts.remove(&handle);
    }
}
