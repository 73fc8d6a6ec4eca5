//! By what a process says that a run is in its hands: a lock on a file in the run's folder, which
//! the system releases however the process ends, so that nobody is taken for alive who is not.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
};

use crate::{Error, Home, error::Result};

/// Held by an engine as long as it works on a run.
#[derive(Debug)]
pub struct EngineLock {
    _file: File,
}

/// Held by the process that will start a queued run when its turn comes. It lets go of it once
/// the engine's lock is held, and not before.
#[derive(Debug)]
pub struct QueueLock {
    _file: File,
}

const ENGINE: &str = "engine.lock";
const QUEUE: &str = "queue.lock";

/// Takes a run for this process; `None` when another engine has it.
pub fn lock(home: &Home, run: i64) -> Result<Option<EngineLock>> {
    Ok(take(home, run, ENGINE)?.map(|file| EngineLock { _file: file }))
}

/// Keeps a queued run's place in the line; `None` when another process does.
pub fn queue_lock(home: &Home, run: i64) -> Result<Option<QueueLock>> {
    Ok(take(home, run, QUEUE)?.map(|file| QueueLock { _file: file }))
}

/// Whether some engine works on the run.
pub(crate) fn has_engine(home: &Home, run: i64) -> bool {
    is_held(home, run, ENGINE)
}

/// Whether a queued run will be started by somebody, or is being started. The queue's lock is
/// looked at first: to look at a lock is to hold it for a moment, in which an engine that wants
/// its own would be refused.
pub(crate) fn is_awaited(home: &Home, run: i64) -> bool {
    is_held(home, run, QUEUE) || is_held(home, run, ENGINE)
}

fn path(home: &Home, run: i64, name: &str) -> PathBuf {
    home.run_folder(run).join(name)
}

fn take(home: &Home, run: i64, name: &str) -> Result<Option<File>> {
    let path = path(home, run, name);
    // A run's folder comes and goes with its record. One that is gone was removed meanwhile, and is not made again.
    let file = File::create(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => store::Error::UnknownRun { run }.into(),
        _ => Error::write(&path, error),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::write(&path, error)),
    }
}

/// Whether some process holds the lock. What cannot be told counts as yes, so that no run is
/// declared dead by mistake.
fn is_held(home: &Home, run: i64, name: &str) -> bool {
    match File::open(path(home, run, name)) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(file) => file.try_lock_shared().is_err(),
    }
}
