//! What a run will need, as an engine finds out.

use std::{io::Write, path::Path};

use record::{Event, RunEstimate, TrainConfig, UsedDevice};
use serde::Deserialize;
use tempfile::TempPath;
use tokio::sync::Notify;

use super::{command, locate, to_its_end};
use crate::{Error, Home, error::Result};

/// Lets an engine find out what a run with these settings will need, and on which device. It is ended when the answer is
/// no longer waited for.
pub async fn estimate(home: &Home, config: &TrainConfig) -> Result<RunEstimate> {
    config.check_together().map_err(Error::Problem)?;
    estimate_by(&locate()?, home, config).await
}

async fn estimate_by(engine: &Path, home: &Home, config: &TrainConfig) -> Result<RunEstimate> {
    #[derive(Deserialize)]
    struct Told {
        used_device: UsedDevice,
    }
    // Removed when it goes out of scope, which it also does when nobody waits any longer.
    let settings = settings_file(&home.folder, config)?;
    let mut command = command(engine, home);
    command.args(["train", "--estimate", "--config"]).arg(&*settings).arg("--json");
    let ended = to_its_end(engine, &mut command).await?;
    let said = String::from_utf8_lossy(&ended.stdout);
    // From the last line on: an estimate that two steps were measured for follows one without.
    let estimate = said.lines().rev().find_map(|line| match serde_json::from_str(line) {
        Ok(Event::Estimate(estimate)) => Some(estimate),
        _ => None,
    });
    let device =
        said.lines().find_map(|line| serde_json::from_str(line).ok()).map(|told: Told| told.used_device);
    let missing = |what| Error::EngineGone { reason: format!("it told no {what}") };
    let estimate = estimate.ok_or_else(|| missing("estimate"))?;
    Ok(RunEstimate { estimate, used_device: device.ok_or_else(|| missing("device"))? })
}

/// A file with the settings as JSON, which the engine tells from TOML by the end of its name.
fn settings_file(folder: &Path, config: &TrainConfig) -> Result<TempPath> {
    let written = || -> std::io::Result<TempPath> {
        let mut file = tempfile::Builder::new().prefix(".estimate-").suffix(".json").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(config)?)?;
        Ok(file.into_temp_path())
    };
    written().map_err(|error| Error::write(folder, error))
}

/// Makes one estimate at a time: the engine that makes one holds as much memory as a run.
#[derive(Debug, Default)]
pub struct Estimator {
    end: Notify,
}

impl Estimator {
    /// Estimates as [`estimate`] does, and ends the engine of an estimate that is still being made
    /// of other settings: whoever asked for that has asked anew.
    pub async fn estimate(&self, home: &Home, config: &TrainConfig) -> Result<RunEstimate> {
        self.alone(estimate(home, config)).await
    }

    /// Ends the engine that makes an estimate, if there is one.
    pub fn end(&self) {
        self.end.notify_waiters();
    }

    async fn alone(&self, work: impl Future<Output = Result<RunEstimate>>) -> Result<RunEstimate> {
        self.end();
        tokio::select! {
            estimate = work => estimate,
            () = self.end.notified() => {
                Err(Error::EngineGone { reason: "the settings have changed meanwhile".to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home as home;
    use record::{Estimate, Problem, ProblemCode, Unusable};

    #[cfg(unix)]
    fn left_over(home: &Home) -> usize {
        let files = std::fs::read_dir(&home.folder).unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with(".estimate-")).count()
    }

    fn settings() -> TrainConfig {
        TrainConfig { data: "d".into(), model: "m".into(), seed: 7, ..Default::default() }
    }

    fn an_estimate(measured: bool) -> Estimate {
        Estimate {
            measured,
            weights_mib: 1.0,
            gradients_mib: 1.0,
            optimizer_mib: 2.0,
            activations_mib: 3.5,
            rest_mib: 0.5,
            peak_mib: 8.0,
            available_mib: None,
            total_steps: 10,
            tokens: 1000,
            training_seconds: measured.then_some(2.5),
            evaluation_seconds: None,
            checkpointing: None,
            tokens_per_pass: None,
        }
    }

    fn a_device() -> UsedDevice {
        UsedDevice {
            device: "cpu".into(),
            name: "A processor".into(),
            gpu: Some("A card".into()),
            why_not_gpu: Some(Unusable::TooLittleMemory { needed: "90".into(), free: "64".into() }),
        }
    }

    fn told(measured: bool) -> RunEstimate {
        RunEstimate { estimate: an_estimate(measured), used_device: a_device() }
    }

    #[tokio::test]
    async fn settings_that_are_not_allowed_are_refused_without_an_engine() {
        let (_folder, home) = home().await;
        let config = TrainConfig { max_length: 0, ..settings() };
        assert_eq!(estimate(&home, &config).await.unwrap_err().problem().code, ProblemCode::BadSetting);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_last_estimate_that_the_engine_tells_is_the_answer_with_its_device() {
        let (folder, home) = home().await;
        let copy = folder.path().join("copy.json");
        let lines = [false, true].map(|measured| {
            let event = Event::Estimate(an_estimate(measured));
            format!("echo '{}'", serde_json::to_string(&event).unwrap())
        });
        let device = serde_json::json!({ "used_device": a_device() });
        let script = format!(
            "[ \"$3 $4 $5 $7\" = 'train --estimate --config --json' ] || exit 1\n\
             cp \"$6\" '{}'; echo 'Reading.' >&2; echo '{device}'; {}; echo 'not JSON'",
            copy.display(),
            lines.join("; "),
        );
        let engine = super::super::tests::scripted(folder.path(), &script);
        let found = estimate_by(&engine, &home, &settings()).await.unwrap();
        assert_eq!(found, told(true));
        let read: TrainConfig = serde_json::from_slice(&std::fs::read(copy).unwrap()).unwrap();
        assert_eq!(read, settings());
        assert_eq!(left_over(&home), 0);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_engine_that_cannot_estimate_tells_why() {
        let (folder, home) = home().await;
        let estimate_with = async |script: &str| {
            let engine = super::super::tests::scripted(folder.path(), script);
            estimate_by(&engine, &home, &settings()).await.unwrap_err()
        };
        let problem = Problem::new(ProblemCode::UnknownModel, "There is no such model.").with("name", "m");
        let line = serde_json::json!({ "problem": problem });
        let error = estimate_with(&format!("echo '{line}'; echo 'error: x' >&2; exit 1")).await;
        assert_eq!(error.problem(), problem);
        let error = estimate_with("echo 'error: No such model.' >&2; exit 1").await;
        assert!(matches!(&error, Error::EngineGone { reason } if reason == "No such model."), "{error}");
        let estimate = serde_json::to_string(&Event::Estimate(an_estimate(true))).unwrap();
        for said in ["true".to_owned(), format!("echo '{estimate}'")] {
            let error = estimate_with(&said).await;
            assert_eq!(error.problem().code, ProblemCode::EngineGone);
        }
        assert_eq!(left_over(&home), 0);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_newer_estimate_ends_the_engine_of_the_older_one() {
        let (folder, home) = home().await;
        let id = folder.path().join("id");
        // It would be at it for long, and is one process, so that none is left behind.
        let script = format!("echo $$ > '{}'; exec sleep 600", id.display());
        let engine = super::super::tests::scripted(folder.path(), &script);
        let estimator = Estimator::default();
        let newer = async {
            let begun = || std::fs::read_to_string(&id).is_ok_and(|id| id.ends_with('\n'));
            while !begun() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            estimator.alone(async { Ok(told(true)) }).await
        };
        let settings = settings();
        let older = estimator.alone(estimate_by(&engine, &home, &settings));
        let (older, newer) = tokio::join!(older, newer);
        assert_eq!(older.unwrap_err().problem().code, ProblemCode::EngineGone);
        assert_eq!(newer.unwrap(), told(true));
        assert_eq!(left_over(&home), 0);
        let id = std::fs::read_to_string(&id).unwrap();
        let is_up =
            || std::process::Command::new("kill").args(["-0", id.trim()]).output().unwrap().status.success();
        // It has been killed by now, and is waited for in the background.
        for _ in 0..100 {
            if !is_up() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(!is_up());
    }
}
