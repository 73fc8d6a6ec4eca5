//! The engine: the binary `mbti`, which trains and predicts in processes of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use record::{Problem, ProblemCode, TrainConfig};
use tokio::process::{Child, Command};

use crate::{Error, Home, error::Result, runs};

/// Where the engine is: beside this program, which is where a bundle puts it, too; or wherever
/// `MBTI_ENGINE` says.
pub fn locate() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MBTI_ENGINE").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let name = format!("mbti{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe()
        .map_err(|error| Error::EngineNotStarted { path: PathBuf::from(&name), reason: error.to_string() })?;
    Ok(own.with_file_name(name))
}

/// The engine's command with the home it is to work in.
pub(crate) fn command(engine: &Path, home: &Home) -> Command {
    let mut command = Command::new(engine);
    command.arg("--home").arg(&home.folder);
    command
}

/// Writes a run down and starts an engine for it. The engine lives on when this program ends.
pub async fn start(home: &Home, config: &TrainConfig) -> Result<i64> {
    let run = runs::create(home, config).await?;
    match spawn(home, run) {
        Ok(child) => {
            tokio::spawn(watch(home.clone(), run, child));
            Ok(run)
        }
        Err(error) => {
            home.store.fail_run(run, &error.problem()).await?;
            Err(error)
        }
    }
}

fn log_path(home: &Home, run: i64) -> PathBuf {
    home.run_folder(run).join("engine.log")
}

fn spawn(home: &Home, run: i64) -> Result<Child> {
    let engine = locate()?;
    let path = log_path(home, run);
    let log = File::create(&path).map_err(|error| Error::write(&path, error))?;
    let mut command = command(&engine, home);
    command.arg("train").arg("--run").arg(run.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // A group of its own, so that what ends this program's group (a closed terminal, Ctrl+C)
    // does not end the run.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(|error| Error::EngineNotStarted { path: engine, reason: error.to_string() })
}

/// Waits for an engine's end. One that went without closing its run has the run marked: as
/// interrupted when it was at work, as failed when it never began.
async fn watch(home: Home, run: i64, mut child: Child) {
    let status = child.wait().await;
    if let Ok(found) = home.store.run(run).await
        && found.status == record::RunStatus::Queued
    {
        let log = std::fs::read_to_string(log_path(&home, run)).unwrap_or_default();
        let reason = log.lines().last().map(str::to_owned);
        let reason =
            reason.unwrap_or_else(|| status.map_or_else(|error| error.to_string(), |s| s.to_string()));
        let path = locate().unwrap_or_default();
        let problem =
            Problem::new(ProblemCode::EngineNotStarted, format!("The engine did not begin: {reason}"))
                .with("path", path.display())
                .with("reason", reason);
        home.store.fail_run(run, &problem).await.ok();
    }
    runs::reconcile(&home).await.ok();
}
