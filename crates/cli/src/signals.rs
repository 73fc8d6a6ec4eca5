//! What the system and the terminal say to a run.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How often the process was asked to end.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Listens for SIGINT and SIGTERM, and lets a lost terminal pass. A handler that cannot be set
    /// leaves the signal as it is, which ends the process; what was saved can be gone on with.
    pub fn listen() -> Signals {
        let signals = Signals::default();
        #[cfg(unix)]
        {
            use signal_hook::{
                consts::{SIGHUP, SIGINT, SIGTERM},
                iterator::Signals as Incoming,
            };
            if let Ok(mut incoming) = Incoming::new([SIGINT, SIGTERM, SIGHUP]) {
                let asked = signals.0.clone();
                std::thread::spawn(move || {
                    for signal in incoming.forever().filter(|&signal| signal != SIGHUP) {
                        let _ = signal;
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        #[cfg(not(unix))]
        {
            let asked = signals.0.clone();
            ctrlc::set_handler(move || {
                asked.fetch_add(1, Ordering::Relaxed);
            })
            .ok();
        }
        signals
    }

    /// 0: go on; 1: save and stop; more: stop now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
