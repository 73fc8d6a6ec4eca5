//! How far a download or an upload is, seen from outside, and the wish that it stop.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use record::TransferProgress;
use tokio::sync::watch;

use crate::error::{Error, Result};

/// Shared by the pieces of work that go on at once and by whoever watches them.
#[derive(Debug)]
pub struct Transfer {
    total: AtomicI64,
    done: AtomicI64,
    again: AtomicI64,
    /// What had not to travel at all, which must not count for the speed.
    spared: AtomicI64,
    waiting_until: Mutex<Option<Instant>>,
    started: Instant,
    stop: watch::Sender<bool>,
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer {
            total: AtomicI64::new(0),
            done: AtomicI64::new(0),
            again: AtomicI64::new(0),
            spared: AtomicI64::new(0),
            waiting_until: Mutex::new(None),
            started: Instant::now(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Transfer {
    /// Asks for an end. What has come so far is kept.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub fn progress(&self) -> TransferProgress {
        let load = |count: &AtomicI64| count.load(Ordering::Relaxed);
        let (total, done, spared) = (load(&self.total), load(&self.done), load(&self.spared));
        let waiting = self.waiting_until.lock().ok().and_then(|until| *until);
        let waiting = waiting.map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64());
        let (moved, seconds) = ((done - spared) as f64, self.started.elapsed().as_secs_f64());
        let left = (total - done).max(0) as f64;
        TransferProgress {
            bytes_done: done,
            bytes_total: total,
            bytes_again: load(&self.again),
            seconds_left: (moved > 0.0 && seconds > 1.0).then(|| left * seconds / moved),
            waiting_seconds: waiting.filter(|seconds| *seconds > 0.0),
        }
    }

    pub fn expect(&self, bytes: i64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that are there already.
    pub(crate) fn spare(&self, bytes: i64) {
        self.spared.fetch_add(bytes, Ordering::Relaxed);
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn advance(&self, bytes: i64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were counted are lost: they have to travel once more, if it comes to that.
    pub(crate) fn take_back(&self, bytes: i64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that have travelled for the second time.
    pub(crate) fn came_again(&self, bytes: i64) {
        self.again.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits for work, or for the wish to stop.
    pub async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            done = work => Ok(done),
            // The sender lives as long as this.
            _ = stop.wait_for(|stop| *stop) => Err(Error::Stopped),
        }
    }

    pub(crate) async fn sleep(&self, time: Duration) -> Result<()> {
        self.or_stop(tokio::time::sleep(time)).await
    }

    /// Waits as [`Transfer::sleep`] does, and lets it be seen.
    pub(crate) async fn wait(&self, time: Duration) -> Result<()> {
        let set = |until| {
            if let Ok(mut place) = self.waiting_until.lock() {
                *place = until;
            }
        };
        set(Some(Instant::now() + time));
        let done = self.sleep(time).await;
        set(None);
        done
    }
}
