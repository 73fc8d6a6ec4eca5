//! How long each kernel takes on the device, by events around its launches. Nothing is recorded unless it is begun.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use candle_core::{
    Result,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaEvent, sys::CUevent_flags::CU_EVENT_DEFAULT},
    },
};

use super::device::Cuda;

/// Launches so far; none where nothing is recorded.
#[derive(Default)]
pub(super) struct Profile(Mutex<Option<Vec<Launch>>>);

struct Launch {
    name: String,
    begin: CudaEvent,
    end: CudaEvent,
}

/// What the launches of one kernel took together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    pub launches: usize,
    pub milliseconds: f64,
}

impl Profile {
    fn launches(&self) -> std::sync::MutexGuard<'_, Option<Vec<Launch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cuda {
    /// Begins to record our kernels and products; candle's own, those of the head, are not among them.
    pub fn begin_profile(&self) {
        *self.profile().launches() = Some(Vec::new());
    }

    /// Ends it and waits for the device: what has been spent, by kernel. Nothing if it was not begun.
    pub fn end_profile(&self) -> Result<BTreeMap<String, Spent>> {
        let launches = self.profile().launches().take().unwrap_or_default();
        let mut spent = BTreeMap::<String, Spent>::new();
        for Launch { name, begin, end } in launches {
            let milliseconds = f64::from(begin.elapsed_ms(&end).w()?);
            let of = spent.entry(name).or_default();
            of.launches += 1;
            of.milliseconds += milliseconds;
        }
        Ok(spent)
    }

    /// Launches something, between two events if that is recorded.
    pub(super) fn profiled(
        &self,
        name: impl FnOnce() -> String,
        launch: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.profile().launches().is_none() {
            return launch();
        }
        let event = || self.stream().record_event(Some(CU_EVENT_DEFAULT)).w();
        let begin = event()?;
        launch()?;
        let launch = Launch { name: name(), begin, end: event()? };
        if let Some(launches) = &mut *self.profile().launches() {
            launches.push(launch);
        }
        Ok(())
    }
}
