//! How long each kernel takes on the device, by events around its launches. Nothing is recorded unless it is begun.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use candle_core::{
    Result,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaEvent, CudaStream, sys::CUevent_flags::CU_EVENT_DEFAULT},
    },
};

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
    fn launches(&self) -> MutexGuard<'_, Option<Vec<Launch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) {
        *self.launches() = Some(Vec::new());
    }

    /// Ends it and waits for the device: what has been spent, by kernel.
    pub(super) fn end(&self) -> Result<BTreeMap<String, Spent>> {
        let launches = self.launches().take().unwrap_or_default();
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
    pub(super) fn around(
        &self,
        stream: &CudaStream,
        name: impl FnOnce() -> String,
        launch: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.launches().is_none() {
            return launch();
        }
        let event = || stream.record_event(Some(CU_EVENT_DEFAULT)).w();
        let begin = event()?;
        launch()?;
        let launch = Launch { name: name(), begin, end: event()? };
        if let Some(launches) = &mut *self.launches() {
            launches.push(launch);
        }
        Ok(())
    }
}
