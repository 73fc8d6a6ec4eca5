//! A child process and all that it starts, which end together: at a limit, or when this program ends, in whatever way.

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
    watcher: Watcher,
}

impl Group {
    pub fn start(command: &mut Command) -> Result<Group> {
        let watcher = watch(command)?;
        Ok(Group { child: command.spawn()?, watcher })
    }

    /// Waits for the child until then, and ends what is left of the group. `None` where the child itself had to be ended:
    /// one that hangs in a driver ends when the driver lets it, which nobody waits for.
    pub fn end_by(mut self, until: Instant) -> Option<ExitStatus> {
        let mut ended = has_ended(&mut self.child);
        while !ended && Instant::now() < until {
            thread::sleep(LOOK);
            ended = has_ended(&mut self.child);
        }
        if !ended {
            self.child.kill().ok();
        }
        drop(self.watcher);
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
        io::Result,
        os::unix::process::CommandExt,
        process::{Child, Command, Stdio},
        sync::atomic::{AtomicI32, Ordering},
    };

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    /// A shell that begins the group and ends it as soon as its input ends: nobody writes to that, and the system closes it
    /// when this program is gone, in whatever way. So the end of a child depends on nothing that the child does.
    pub struct Watcher(Child);

    /// The group that is to be ended with this program; 0 for none.
    static GROUP: AtomicI32 = AtomicI32::new(0);

    /// Begins a group, which the command will belong to.
    pub fn watch(command: &mut Command) -> Result<Watcher> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "read -r line; kill -KILL 0"]).env_clear().process_group(0);
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let group = Pid::from_child(&shell).as_raw_nonzero().get();
        GROUP.store(group, Ordering::SeqCst);
        command.process_group(group);
        Ok(Watcher(shell))
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

    /// Ends all that is left of the group.
    impl Drop for Watcher {
        fn drop(&mut self) {
            // The shell has not been waited for yet, so its number is nobody else's.
            kill_process_group(Pid::from_child(&self.0), Signal::KILL).ok();
            GROUP.store(0, Ordering::SeqCst);
            self.0.wait().ok();
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::{
        io::Result,
        process::{Child, Command},
    };

    /// Nobody: there are no groups.
    pub struct Watcher;

    pub fn watch(_: &mut Command) -> Result<Watcher> {
        Ok(Watcher)
    }

    pub fn end_remembered() {}

    pub fn has_ended(child: &mut Child) -> bool {
        !matches!(child.try_wait(), Ok(None))
    }
}

pub use system::end_remembered;
use system::{Watcher, has_ended, watch};
