//! The engine of one run, in a process of its own, so that memory and failures are its own as well.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use store::{Stop, Wishes};

use crate::{Context, error::Result, signals::Signals};

/// How often it is looked what the run is to do, and whether its engine has ended.
const LOOK: Duration = Duration::from_millis(200);

/// The command of an engine that trains: `--run ID` or `--resume ID` are to follow.
pub fn train(context: &Context) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--home").arg(&context.home.folder).arg("train").stdin(Stdio::null());
    if context.json {
        command.arg("--json");
    }
    Ok(command)
}

/// Waits for the engine of a run until it has ended, and hands on to the run whatever `wished` asks for meanwhile.
pub fn wait(
    context: &Context,
    run: i64,
    mut engine: Child,
    mut wished: impl FnMut() -> Wishes,
) -> Result<ExitStatus> {
    let mut before = Wishes::default();
    loop {
        let now = wished();
        // A run that has ended meanwhile needs no asking.
        match now.stop {
            Some(stop) if now.stop > before.stop => {
                context.runtime.block_on(app::runs::stop(&context.home, run, stop)).ok();
            }
            _ if now.pause && !before.pause => {
                context.runtime.block_on(app::runs::pause(&context.home, run)).ok();
            }
            _ if before.pause && !now.pause => {
                context.runtime.block_on(app::runs::unpause(&context.home, run)).ok();
            }
            _ => {}
        }
        before = now;
        match engine.try_wait()? {
            Some(ended) => return Ok(ended),
            None => std::thread::sleep(LOOK),
        }
    }
}

/// What the signals ask for. Ctrl+C reaches an engine by its group, but a signal to this process alone does not, so that
/// its run is asked to stop by the history as well.
pub fn stop_by(signals: &Signals) -> Option<Stop> {
    match signals.count() {
        0 => None,
        1 => Some(Stop::Save),
        _ => Some(Stop::Now),
    }
}
