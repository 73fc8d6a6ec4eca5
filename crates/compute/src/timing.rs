//! Where the time of a step goes, for benchmarks; nothing is measured until it is asked for.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

static ON: AtomicBool = AtomicBool::new(false);
static SPENT: Mutex<BTreeMap<&'static str, Duration>> = Mutex::new(BTreeMap::new());

/// Begins to measure, or begins anew.
pub fn start() {
    SPENT.lock().unwrap_or_else(PoisonError::into_inner).clear();
    ON.store(true, Ordering::Relaxed);
}

/// Ends measuring and gives what each kind of work has taken.
pub fn stop() -> BTreeMap<&'static str, Duration> {
    ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut SPENT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Does a piece of work and, where it is measured, notes the time under a name. Pieces must not
/// stand in one another, or their time counts twice.
#[inline]
pub fn timed<R>(name: &'static str, work: impl FnOnce() -> R) -> R {
    if !ON.load(Ordering::Relaxed) {
        return work();
    }
    let begin = Instant::now();
    let result = work();
    let spent = begin.elapsed();
    *SPENT.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += spent;
    result
}
