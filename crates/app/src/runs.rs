//! Runs: writing one down, following it, stopping it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::SystemTime,
};

use record::{Run, RunProgress, RunStatus, TrainConfig};

use crate::{Error, Home, error::Result};

/// How long a queued run may wait for its engine before it counts as left alone.
const QUEUE_SECONDS: u64 = 60;

/// The settings that a new run begins with: the newest data set, and the first model that is
/// more than the built-in bag of words where there is one.
pub async fn default_config(home: &Home) -> Result<TrainConfig> {
    let data = home.store.data_sets().await?.pop().map(|data_set| data_set.name).unwrap_or_default();
    let model = home.store.models().await?.into_iter().next().map(|model| model.name).unwrap_or_default();
    Ok(TrainConfig { data, model, ..TrainConfig::default() })
}

/// Checks the settings and writes the run down as queued.
pub async fn create(home: &Home, config: &TrainConfig) -> Result<i64> {
    config.check().map_err(Error::Problem)?;
    let mut config = config.clone();
    // The names as they were given to the data sets and the model, whatever case is asked for.
    let data = home.store.data_set(&config.data).await?;
    config.data = data.name;
    if let Some(valid) = &config.valid {
        config.valid = Some(home.store.data_set(valid).await?.name);
    }
    config.model = home.store.model(&config.model).await?.name;
    let run = home.store.add_run(&config, data.made_up).await?;
    let folder = home.run_folder(run);
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    Ok(run)
}

fn lock_path(home: &Home, run: i64) -> PathBuf {
    home.run_folder(run).join("engine.lock")
}

/// Held by an engine as long as it works on a run. The system lets go of it when the process
/// ends, however it ends, so that nobody can be taken for alive who is not.
#[derive(Debug)]
pub struct EngineLock {
    _file: File,
}

/// Takes a run for this process; `None` when another engine has it.
pub fn lock(home: &Home, run: i64) -> Result<Option<EngineLock>> {
    let folder = home.run_folder(run);
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    let path = lock_path(home, run);
    let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(EngineLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::write(&path, error)),
    }
}

/// Whether some engine holds the run. What cannot be told counts as yes, so that no run is
/// declared dead by mistake.
fn is_held(home: &Home, run: i64) -> bool {
    match File::open(lock_path(home, run)) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(file) => file.try_lock_shared().is_err(),
    }
}

/// Marks the runs whose engine is gone as interrupted.
pub async fn reconcile(home: &Home) -> Result<()> {
    for run in home.store.active_runs().await? {
        let left_alone = match run.status {
            RunStatus::Running => !is_held(home, run.id),
            _ => {
                let made = std::fs::metadata(home.run_folder(run.id)).and_then(|about| about.modified());
                let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
                age.is_none_or(|age| age.as_secs() > QUEUE_SECONDS) && !is_held(home, run.id)
            }
        };
        if left_alone {
            home.store.interrupt_run(run.id).await?;
        }
    }
    Ok(())
}

/// All runs, the newest first.
pub async fn list(home: &Home) -> Result<Vec<Run>> {
    reconcile(home).await?;
    Ok(home.store.runs().await?)
}

/// One run, with what has been added to its curve after this step.
pub async fn show(home: &Home, run: i64, after_step: u32) -> Result<RunProgress> {
    reconcile(home).await?;
    // The run is read first: a step that comes in between is only shown at the next look.
    let found = home.store.run(run).await?;
    let steps = home.store.steps(run, after_step).await?;
    let evaluations = home.store.evaluations(run, after_step).await?;
    let adapter = has_adapter(&found);
    Ok(RunProgress { run: found, steps, evaluations, adapter })
}

/// Whether a run's model is an adapter, as learning by LoRA leaves it, and not yet merged.
pub(crate) fn has_adapter(run: &Run) -> bool {
    run.model_folder.as_ref().is_some_and(|folder| Path::new(folder).join("adapter_config.json").exists())
}

/// Asks a run to stop after the step it is in.
pub async fn stop(home: &Home, run: i64) -> Result<()> {
    reconcile(home).await?;
    Ok(home.store.request_stop(run).await?)
}

/// Forgets a run and removes its folder, its model included.
pub async fn remove(home: &Home, run: i64) -> Result<()> {
    reconcile(home).await?;
    home.store.remove_run(run).await?;
    let folder = home.run_folder(run);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&folder, error)),
        _ => Ok(()),
    }
}

/// The folder to predict with, and its run: the one asked for, or the newest that has a model.
pub async fn model_folder(home: &Home, run: Option<i64>) -> Result<(i64, PathBuf)> {
    let found = match run {
        Some(run) => home.store.run(run).await?,
        None => {
            let runs = home.store.runs().await?;
            runs.into_iter().find(|run| run.model_folder.is_some()).ok_or(Error::NoFinishedRun)?
        }
    };
    match found.model_folder {
        Some(folder) => Ok((found.id, PathBuf::from(folder))),
        None => Err(Error::RunHasNoModel { run: found.id, status: found.status.name() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).await.unwrap();
        (folder, home)
    }

    async fn queued(home: &Home) -> i64 {
        crate::data_sets::import_sample(home).await.unwrap();
        create(home, &default_config(home).await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_default_settings_can_be_started_as_they_are() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        let found = show(&home, run, 0).await.unwrap().run;
        assert_eq!((found.status, found.made_up), (RunStatus::Queued, true));
        assert_eq!((found.config.data.as_str(), found.config.model.as_str()), ("made-up-sample", "words"));
    }

    #[tokio::test]
    async fn a_running_run_is_interrupted_when_nobody_holds_it_and_not_before() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        let held = lock(&home, run).unwrap().unwrap();
        assert!(lock(&home, run).unwrap().is_none(), "a run has one engine only");
        home.store.begin_run(run).await.unwrap();
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Running);
        drop(held);
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Interrupted);
    }

    #[tokio::test]
    async fn a_run_has_an_adapter_until_its_folder_holds_a_whole_model() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        assert!(!show(&home, run, 0).await.unwrap().adapter, "it has no model yet");
        let model = home.run_folder(run).join("model");
        std::fs::create_dir_all(&model).unwrap();
        let config = model.join("adapter_config.json");
        std::fs::write(&config, "{}").unwrap();
        home.store.set_model_folder(run, &model).await.unwrap();
        assert!(show(&home, run, 0).await.unwrap().adapter);
        std::fs::remove_file(&config).unwrap();
        assert!(!show(&home, run, 0).await.unwrap().adapter);
    }

    #[tokio::test]
    async fn a_run_without_data_or_model_is_refused_before_it_is_written_down() {
        let (_folder, home) = home().await;
        let config = TrainConfig { data: "nothing".into(), model: "words".into(), ..Default::default() };
        assert!(create(&home, &config).await.is_err());
        crate::data_sets::import_sample(&home).await.unwrap();
        let config =
            TrainConfig { data: "made-up-sample".into(), model: "none".into(), ..Default::default() };
        assert!(create(&home, &config).await.is_err());
        assert_eq!(list(&home).await.unwrap(), []);
        assert!(matches!(model_folder(&home, None).await, Err(Error::NoFinishedRun)));
    }
}
