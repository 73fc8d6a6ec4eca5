//! Predictions by a long-lived engine, which has the model in memory.

use std::process::Stdio;

use record::{Prediction, Problem};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    sync::Mutex,
};

use crate::{Error, Home, engine, error::Result, runs};

/// The engine that answers, if one is up: `mbti predict --run ID --lines`.
#[derive(Default)]
pub struct Predictor {
    process: Mutex<Option<Process>>,
}

struct Process {
    run: i64,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// A line of the engine's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Problem { problem: Problem },
    Prediction(Box<Prediction>),
}

impl Predictor {
    /// Predicts with a run's model. The engine is started at the first text for a run, and
    /// started again should it have gone away.
    pub async fn predict(&self, home: &Home, run: i64, text: &str) -> Result<Prediction> {
        let mut process = self.process.lock().await;
        let fits = match process.as_mut() {
            Some(process) => process.run == run && matches!(process.child.try_wait(), Ok(None)),
            None => false,
        };
        if !fits {
            *process = None;
            *process = Some(start(home, run).await?);
        }
        let Some(current) = process.as_mut() else { return Err(Error::NoFinishedRun) };
        let answer = ask(current, text).await;
        if matches!(answer, Err(Error::EngineGone { .. })) {
            *process = None;
        }
        answer
    }

    /// Ends the engine, as when its run is removed.
    pub async fn close(&self) {
        self.closed_during(async {}).await;
    }

    /// Ends the engine and lets none begin until the work is done, as when the folder that it
    /// reads is replaced: a text that comes meanwhile waits, and is read by what is there then.
    pub async fn closed_during<Done>(&self, work: impl Future<Output = Done>) -> Done {
        let mut process = self.process.lock().await;
        if let Some(mut process) = process.take() {
            // Waited for, as the system may keep its files in use until it is gone.
            process.child.kill().await.ok();
        }
        work.await
    }
}

async fn start(home: &Home, run: i64) -> Result<Process> {
    // What can be told without an engine is told without one.
    runs::model_folder(home, Some(run)).await?;
    let path = engine::locate()?;
    let mut command = engine::command(&path, home);
    command.args(["predict", "--lines", "--run"]).arg(run.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let failed = |reason: String| Error::EngineNotStarted { path: path.clone(), reason };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("it has no input or output".to_owned()));
    };
    Ok(Process { run, child, input, output: BufReader::new(output).lines() })
}

async fn ask(process: &mut Process, text: &str) -> Result<Prediction> {
    let gone = |reason: String| Error::EngineGone { reason };
    let mut line = json!({ "text": text }).to_string();
    line.push('\n');
    process.input.write_all(line.as_bytes()).await.map_err(|error| gone(error.to_string()))?;
    process.input.flush().await.map_err(|error| gone(error.to_string()))?;
    let answer = process.output.next_line().await.map_err(|error| gone(error.to_string()))?;
    let answer = answer.ok_or_else(|| gone("it closed its output".to_owned()))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Prediction(prediction)) => Ok(*prediction),
        Ok(Answer::Problem { problem }) => Err(Error::Problem(problem)),
        Err(error) => Err(gone(error.to_string())),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn no_engine_is_up_or_begins_while_its_folder_is_replaced() {
        let mut command = tokio::process::Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let id = child.id().unwrap().to_string();
        let is_up =
            || std::process::Command::new("kill").args(["-0", &id]).output().unwrap().status.success();
        let process = Process { run: 1, child, input, output: BufReader::new(output).lines() };
        let predictor = Predictor { process: Mutex::new(Some(process)) };
        assert!(is_up());
        let work = async {
            assert!(!is_up());
            assert!(predictor.process.try_lock().is_err(), "a text has to wait");
            7
        };
        assert_eq!(predictor.closed_during(work).await, 7);
        assert!(predictor.process.try_lock().unwrap().is_none());
    }
}
