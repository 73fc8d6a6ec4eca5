//! Modules: PTX that was loaded, its kernels as functions and its variables.
#![allow(unsafe_code)] // A module's variables are made known to the device's memory by their addresses.

use std::sync::Arc;

use super::{
    Driver, Error, Handle, Result,
    device::{self, SHARED},
};
use crate::ptx::{self, Kernel, Module};

/// A module that was loaded into a context.
#[derive(Debug)]
pub(super) struct Loaded {
    context: Handle,
    module: Module,
}

/// A kernel behind a handle.
#[derive(Debug)]
pub(super) struct Function {
    module: Handle,
    pub(super) kernel: Arc<Kernel>,
    /// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`, where the program has set it.
    pub(super) dynamic_shared: Option<u32>,
    /// What the device lets a block have of shared memory.
    pub(super) opt_in: u32,
}

impl Function {
    /// What a block may have of static and dynamic shared memory together.
    pub(super) fn shared_limit(&self) -> u32 {
        self.dynamic_shared.map_or(SHARED, |dynamic| self.kernel.shared as u32 + dynamic)
    }
}

impl Driver {
    /// Loads PTX into a context.
    pub fn load(&mut self, context: Handle, text: &str) -> Result<Handle> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        self.check_header(text)?;
        let module = ptx::parse(text)?;
        for global in &module.globals {
            let size = global.size as u64;
            // SAFETY: the module holds the variable, and is forgotten only after the address was released.
            unsafe { self.memory_mut(device).adopt(global.address(), size, global.constant) };
        }
        let handle = self.handle();
        self.modules.insert(handle, Loaded { context, module });
        Ok(handle)
    }

    /// Checks `.version` against the driver and `.target` against the device, as the driver's compiler does.
    fn check_header(&self, text: &str) -> Result<()> {
        let directive = |name: &str| {
            let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
            line.split([',', '/']).next().map(str::trim)
        };
        if let Some(version) = directive(".version ")
            && let Some(needed) = driver_for_ptx(version)
            && needed > self.settings.driver
        {
            return Err(Error::PtxVersion(version.to_owned(), self.settings.driver));
        }
        if let Some(target) = directive(".target ")
            && let Some(number) = target.strip_prefix("sm_")
        {
            let capability = self.settings.capability;
            let own = capability.0 * 10 + capability.1;
            let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let wanted: Option<i32> = digits.parse().ok();
            // A letter after the number binds the text to that device (`a`) or to its family (`f`).
            let fits = match (wanted, &number[digits.len()..]) {
                (None, _) => true,
                (Some(wanted), "") => wanted <= own,
                (Some(wanted), "f") => wanted <= own && wanted / 10 == own / 10,
                (Some(wanted), _) => wanted == own,
            };
            if !fits {
                return Err(Error::Target { target: target.to_owned(), capability });
            }
        }
        Ok(())
    }

    /// Unloads a module, once all work that was issued is done.
    pub fn unload(&mut self, handle: Handle) -> Result<()> {
        let context = self.module(handle)?.context;
        self.synchronise_all_quietly(context)?;
        self.forget_module(handle);
        Ok(())
    }

    pub(super) fn forget_module(&mut self, handle: Handle) {
        let Some(loaded) = self.modules.remove(&handle) else { return };
        self.functions.retain(|_, function| function.module != handle);
        if let Ok(device) = self.device_of(loaded.context) {
            for global in &loaded.module.globals {
                self.memory_mut(device).release(global.address());
            }
        }
    }

    pub(super) fn modules_of(&self, context: Handle) -> Vec<Handle> {
        self.modules
            .iter()
            .filter(|(_, loaded)| loaded.context == context)
            .map(|(&handle, _)| handle)
            .collect()
    }

    fn module(&self, handle: Handle) -> Result<&Loaded> {
        self.modules.get(&handle).ok_or(Error::UnknownHandle { what: "module", handle })
    }

    /// A kernel of a module, by name. The same kernel has the same handle each time.
    pub fn function(&mut self, module: Handle, name: &str) -> Result<Handle> {
        let loaded = self.module(module)?;
        let kernel = loaded.module.kernel(name).cloned();
        let kernel = kernel.ok_or_else(|| Error::NotFound { what: "kernel", name: name.to_owned() })?;
        let known =
            self.functions.iter().find(|(_, f)| f.module == module && Arc::ptr_eq(&f.kernel, &kernel));
        if let Some((&handle, _)) = known {
            return Ok(handle);
        }
        let handle = self.handle();
        let opt_in = device::shared_opt_in(self.settings.capability);
        self.functions.insert(handle, Function { module, kernel, dynamic_shared: None, opt_in });
        Ok(handle)
    }

    pub(super) fn function_state(&self, handle: Handle) -> Result<&Function> {
        self.functions.get(&handle).ok_or(Error::UnknownHandle { what: "function", handle })
    }

    /// The parameters of a kernel: offset and size of each, and the size of all.
    pub(super) fn parameters(&self, function: Handle) -> Result<(Vec<(usize, usize)>, usize)> {
        let kernel = &self.function_state(function)?.kernel;
        Ok((kernel.params.iter().map(|p| (p.offset, p.size)).collect(), kernel.param_size))
    }

    /// Address and size of a module's variable.
    pub fn global(&self, module: Handle, name: &str) -> Result<(u64, u64)> {
        let global = self.module(module)?.module.global(name);
        let global = global.ok_or_else(|| Error::NotFound { what: "variable", name: name.to_owned() })?;
        Ok((global.address(), global.size as u64))
    }

    /// Lets blocks of a kernel have this much dynamic shared memory.
    pub fn set_dynamic_shared(&mut self, function: Handle, bytes: i32) -> Result<()> {
        let state = self.functions.get_mut(&function);
        let state = state.ok_or(Error::UnknownHandle { what: "function", handle: function })?;
        let most = state.opt_in.saturating_sub(state.kernel.shared as u32);
        let bytes = u32::try_from(bytes).ok().filter(|&bytes| bytes <= most).ok_or_else(|| {
            let name = &state.kernel.name;
            Error::Argument(format!(
                "{bytes} bytes of dynamic shared memory for {name}, which may have {most}"
            ))
        })?;
        state.dynamic_shared = Some(bytes);
        Ok(())
    }
}

/// The `cuDriverGetVersion` from which on a version of PTX is known (PTX ISA, "PTX ISA Version History").
fn driver_for_ptx(version: &str) -> Option<i32> {
    let (major, minor) = version.split_once('.')?;
    let (major, minor): (i32, i32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(match (major, minor) {
        (..7, _) => 10020,
        (7, minor) => 11000 + 10 * minor,
        (8, minor @ 0..=5) => 12000 + 10 * minor,
        (8, minor) => 12010 + 10 * minor,
        (major, minor) => (major + 4) * 1000 + 10 * minor,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::settings::Settings;

    fn header(driver: i32, capability: (i32, i32), version: &str, target: &str) -> Result<()> {
        let driver = Driver::new(Settings { driver, capability, ..Settings::default() });
        driver.check_header(&format!("// made\n.version {version}\n.target {target}\n.address_size 64\n"))
    }

    #[test]
    fn ptx_that_is_newer_than_the_driver_is_refused() {
        assert!(header(13000, (8, 0), "9.0", "sm_80").is_ok());
        let old = header(12020, (8, 0), "9.0", "sm_80");
        assert_eq!(old, Err(Error::PtxVersion("9.0".into(), 12020)));
        assert!(header(12020, (8, 0), "8.2", "sm_80").is_ok());
        assert!(header(12080, (8, 0), "8.7", "sm_80").is_ok());
        assert!(header(12070, (8, 0), "8.7", "sm_80").is_err());
    }

    #[test]
    fn ptx_runs_on_its_target_and_what_came_later_unless_a_letter_binds_it() {
        assert!(header(13000, (8, 0), "9.0", "sm_80").is_ok());
        assert!(header(13000, (12, 0), "9.0", "sm_80, debug").is_ok());
        assert!(matches!(header(13000, (7, 5), "9.0", "sm_80"), Err(Error::Target { .. })));
        assert!(header(13000, (9, 0), "9.0", "sm_90a").is_ok());
        assert!(header(13000, (10, 0), "9.0", "sm_90a").is_err());
        assert!(header(13000, (10, 3), "9.0", "sm_100f").is_ok());
    }
}
