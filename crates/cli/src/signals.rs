//! What the system and the terminal say to the program. The first Ctrl+C asks whatever goes on to stop, or ends the
//! program where nothing would heed it; the second ends it at once, whatever it is doing.

use std::{
    sync::{
        atomic::{AtomicI32, AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use crate::print;

#[cfg(not(unix))]
const INTERRUPT: i32 = 2;
const HANG_UP: i32 = 1;

/// After so long it is told that the work is still being stopped, and how to end it.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// So long a run has after the second signal to close itself in the history.
const GRACE_OF_RUNS: Duration = Duration::from_secs(3);
/// So long the last message may take, whose reader may have stopped.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How often the process was asked to end, and by which signal at first.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static BY: AtomicI32 = AtomicI32::new(0);
/// Pieces of work that look at `ASKED` as they go, and those of them that are runs.
static HEEDING: AtomicUsize = AtomicUsize::new(0);
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Held by work that looks again and again whether it is to stop. While there is none, the first signal ends the
/// program: what was under way is then as after a crash, which leaves nothing half.
#[derive(Debug)]
pub struct Signals {
    is_run: bool,
}

impl Signals {
    pub fn listen() -> Signals {
        HEEDING.fetch_add(1, Ordering::SeqCst);
        Signals { is_run: false }
    }

    /// The same for a run, which saves at the first signal, and at the second ends with what was saved before.
    pub fn for_run() -> Signals {
        let mut signals = Signals::listen();
        RUNS.fetch_add(1, Ordering::SeqCst);
        signals.is_run = true;
        signals
    }

    /// 0: go on; 1: save and stop; more: stop now.
    pub fn count(&self) -> usize {
        ASKED.load(Ordering::SeqCst)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        HEEDING.fetch_sub(1, Ordering::SeqCst);
        if self.is_run {
            RUNS.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What a program returns that ended because it was asked to: 128 and the signal's number, as shells have it. `None`
/// where nobody asked.
pub fn exit_code() -> Option<u8> {
    let by = BY.load(Ordering::SeqCst);
    (by > 0).then(|| u8::try_from(128 + by).unwrap_or(1))
}

/// Listens for SIGINT and SIGTERM, and for a lost terminal, which work that heeds signals lets pass. A handler that
/// cannot be set leaves the signal as it is, which ends the process.
pub fn listen() {
    #[cfg(unix)]
    {
        use signal_hook::{consts, iterator::Signals as Incoming};
        terminal::remember();
        if let Ok(mut incoming) = Incoming::new([consts::SIGINT, consts::SIGTERM, consts::SIGHUP]) {
            std::thread::spawn(move || incoming.forever().for_each(heard));
        }
    }
    #[cfg(not(unix))]
    ctrlc::set_handler(|| heard(INTERRUPT)).ok();
}

fn heard(signal: i32) {
    let heeded = HEEDING.load(Ordering::SeqCst) > 0;
    if signal == HANG_UP && heeded {
        return;
    }
    BY.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).ok();
    let asked = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    match (asked, heeded, RUNS.load(Ordering::SeqCst) > 0) {
        (1, true, _) => {
            std::thread::spawn(|| {
                std::thread::sleep(TOLD_AFTER);
                if HEEDING.load(Ordering::SeqCst) > 0 {
                    print::note("It is being stopped. Ctrl+C once more ends it at once.");
                }
            });
        }
        (1, false, _) => {
            // By a thread of its own, since standard error may take nothing any more.
            let (told, is_told) = channel();
            std::thread::spawn(move || {
                print::note("Stopped.");
                told.send(()).ok();
            });
            is_told.recv_timeout(LAST_WORDS).ok();
            leave();
        }
        (2, _, true) => {
            std::thread::spawn(|| {
                std::thread::sleep(GRACE_OF_RUNS);
                leave();
            });
        }
        _ => leave(),
    }
}

/// Ends the process without waiting for anything that goes on in it.
fn leave() -> ! {
    let code = i32::from(exit_code().unwrap_or(1));
    #[cfg(not(feature = "cuda"))]
    crate::gpu::end_remembered();
    #[cfg(unix)]
    {
        terminal::restore();
        signal_hook::low_level::exit(code)
    }
    #[cfg(not(unix))]
    std::process::exit(code)
}

/// A token is typed without being shown; a terminal that was left so would show nothing more.
#[cfg(unix)]
mod terminal {
    use std::sync::OnceLock;

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

    static FOUND: OnceLock<Termios> = OnceLock::new();

    pub fn remember() {
        if let Ok(found) = tcgetattr(std::io::stdin()) {
            FOUND.set(found).ok();
        }
    }

    pub fn restore() {
        let Some(found) = FOUND.get() else { return };
        // Only where it was changed: a program in the background that sets it would be halted.
        if tcgetattr(std::io::stdin()).is_ok_and(|now| now.local_modes != found.local_modes) {
            tcsetattr(std::io::stdin(), OptionalActions::Now, found).ok();
        }
    }
}
