//! Waits that the Hub asks for. They may take minutes, in which nothing else would tell that anything goes on.

use std::{
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use crate::error::Error;

/// Shorter ones nobody notices.
const SHORTEST: Duration = Duration::from_secs(1);

/// Who is told, which is the process's one terminal.
static TELLS: OnceLock<fn(Duration)> = OnceLock::new();

/// Has waits that the Hub asks for told from now on. The first one who says so is told.
pub fn tell_of_waits(tell: fn(Duration)) {
    TELLS.set(tell).ok();
}

/// Tells that something waits after an error, if that is because the Hub asks for it; once where several things wait at
/// the same time.
pub(crate) fn waits(error: &Error, time: Duration) {
    static UNTIL: Mutex<Option<Instant>> = Mutex::new(None);
    let (Error::RateLimited { .. }, Some(tell)) = (error, TELLS.get()) else { return };
    if let Ok(mut until) = UNTIL.lock()
        && time >= SHORTEST
        && until.is_none_or(|until| until <= Instant::now())
    {
        *until = Some(Instant::now() + time);
        tell(time);
    }
}
