//! A child process and all that it starts, which end together: at a limit, or when this program is ended by a signal.

use std::{
    io::Result,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether the child has ended.
const LOOK: Duration = Duration::from_millis(10);

/// A child in a process group of its own, where the system has such.
pub struct Group {
    pub child: Child,
}

impl Group {
    pub fn start(command: &mut Command) -> Result<Group> {
        own_group(command);
        let child = command.spawn()?;
        remember(&child);
        Ok(Group { child })
    }

    /// Waits for the child until then, and ends what is left of the group. `None` where the child itself had to be ended:
    /// one that hangs in a driver ends when the driver lets it, which nobody waits for.
    pub fn end_by(mut self, until: Instant) -> Option<ExitStatus> {
        let mut ended = has_ended(&mut self.child);
        while !ended && Instant::now() < until {
            thread::sleep(LOOK);
            ended = has_ended(&mut self.child);
        }
        // The child has not been waited for yet, so its number is nobody else's.
        end(&mut self.child);
        forget();
        if ended {
            return self.child.wait().ok();
        }
        thread::spawn(move || self.child.wait());
        None
    }
}

#[cfg(unix)]
mod system {
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
        sync::atomic::{AtomicI32, Ordering},
    };

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    /// The group that is to be ended with this program; 0 for none.
    static GROUP: AtomicI32 = AtomicI32::new(0);

    pub fn own_group(command: &mut Command) {
        command.process_group(0);
    }

    pub fn remember(child: &Child) {
        GROUP.store(Pid::from_child(child).as_raw_nonzero().get(), Ordering::SeqCst);
    }

    pub fn forget() {
        GROUP.store(0, Ordering::SeqCst);
    }

    /// Ends the group that is under way, if there is one.
    pub fn end_remembered() {
        if let Some(group) = Pid::from_raw(GROUP.swap(0, Ordering::SeqCst)) {
            kill_process_group(group, Signal::KILL).ok();
        }
    }

    /// Whether the child has ended, which leaves its number to it.
    pub fn has_ended(child: &mut Child) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that there is no such child any more.
        !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
    }

    pub fn end(child: &mut Child) {
        kill_process_group(Pid::from_child(child), Signal::KILL).ok();
    }
}

#[cfg(not(unix))]
mod system {
    use std::process::{Child, Command};

    pub fn own_group(_: &mut Command) {}
    pub fn remember(_: &Child) {}
    pub fn forget() {}
    pub fn end_remembered() {}

    pub fn has_ended(child: &mut Child) -> bool {
        !matches!(child.try_wait(), Ok(None))
    }

    pub fn end(child: &mut Child) {
        child.kill().ok();
    }
}

pub use system::end_remembered;
use system::{end, forget, has_ended, own_group, remember};
