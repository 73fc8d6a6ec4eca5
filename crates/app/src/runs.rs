//! Runs: writing one down, following it, letting it wait, stopping it.

use std::path::{Path, PathBuf};

use record::{FoldProgress, Origins, Preset, PresetConfig, Run, RunProgress, RunStatus, TrainConfig};

use store::Part;

use crate::{Error, Home, data_sets, error::Result, journal, locks, removing};

pub use crate::locks::{EngineLock, QueueLock, lock, queue_lock};
pub use store::Stop;

/// How long a queued run that nobody keeps a place for may wait for its engine before it counts as
/// left alone.
const QUEUE_SECONDS: u64 = 60;

/// The settings that a new run begins with: the newest data set, and the first model that is
/// more than the built-in bag of words where there is one.
pub async fn default_config(home: &Home) -> Result<TrainConfig> {
    let data = home.store.data_sets().await?.pop().map(|data_set| data_set.name).unwrap_or_default();
    let model = home.store.models().await?.into_iter().next().map(|model| model.name).unwrap_or_default();
    Ok(TrainConfig { data, model, ..TrainConfig::default() })
}

/// All presets, each for the data set and the model that a new run begins with.
pub async fn presets(home: &Home) -> Result<Vec<PresetConfig>> {
    let usual = default_config(home).await?;
    let filled = |preset: Preset| {
        let (data, model) = (usual.data.clone(), usual.model.clone());
        PresetConfig { preset, config: TrainConfig { data, model, ..preset.config() } }
    };
    Ok(Preset::ALL.map(filled).into())
}

/// Checks the settings and writes the run down as queued.
pub async fn create(home: &Home, config: &TrainConfig) -> Result<i64> {
    config.check_together().map_err(Error::Problem)?;
    if config.is_cross_validation() {
        let (table, _) = data_sets::open(home, &config.data).await?;
        data::check_folds(&table.labels, config)?;
    }
    write_down(home, config, None).await
}

/// Writes a run down as queued, be it one of its own or a fold of this cross-validation.
pub(crate) async fn write_down(home: &Home, config: &TrainConfig, fold_of: Option<i64>) -> Result<i64> {
    let mut config = config.clone();
    // The names as they were given to the data sets and the model, whatever case is asked for.
    let data = home.store.data_set(&config.data).await?;
    config.data = data.name;
    let mut origins = Origins { data: data_sets::origin(home, &config.data)?, ..Origins::default() };
    if let Some(valid) = &config.valid {
        let valid = home.store.data_set(valid).await?.name;
        origins.valid = data_sets::origin(home, &valid)?;
        config.valid = Some(valid);
    }
    let model = home.store.model(&config.model).await?;
    (config.model, origins.model) = (model.name, model.origin);
    let run = home.store.add_fold(&config, data.made_up, &origins, newest_folder(home), fold_of).await?;
    let folder = home.run_folder(run);
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    Ok(run)
}

/// The highest number of a folder of a run. A history that was lost, or an older copy of it, does not know them all,
/// and a new run must not take the folder of another.
fn newest_folder(home: &Home) -> i64 {
    let folders = std::fs::read_dir(home.folder.join("runs")).into_iter().flatten().flatten();
    let numbers = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    // One that leaves no number after it is none of ours.
    numbers.filter(|&number: &i64| number < i64::MAX / 2).max().unwrap_or(0)
}

/// Marks the runs as interrupted whose engine is gone, and the queued ones that nobody will start; of one whose engine
/// could not write down its end, that is done here. A history that takes no writing stays as it is.
pub async fn reconcile(home: &Home) -> Result<()> {
    if home.read_only {
        return Ok(());
    }
    for run in home.store.active_runs().await? {
        if is_left_alone(home, &run) {
            match take_leave(home, run.id).await {
                // It is marked another time; meanwhile whatever needs no writing goes on.
                Err(Error::Write { .. }) => {}
                Err(Error::Store(error)) if error.may_pass() => {}
                done => done?,
            }
        }
    }
    Ok(())
}

fn is_left_alone(home: &Home, run: &Run) -> bool {
    if run.status == RunStatus::Running {
        return !locks::has_engine(home, run.id);
    }
    let made = std::fs::metadata(home.run_folder(run.id)).and_then(|about| about.modified());
    // One from the future is new: the clock was set back.
    let is_new = made.is_ok_and(|made| made.elapsed().map_or(true, |age| age.as_secs() <= QUEUE_SECONDS));
    !is_new && !locks::is_awaited(home, run.id)
}

/// Writes down what a run's engine was not able to, and then its end.
async fn take_leave(home: &Home, run: i64) -> Result<()> {
    // With the lock held, no engine can take the run up between the look and the writing.
    let Some(_held) = locks::lock(home, run)? else { return Ok(()) };
    journal::write_down(home, run).await?;
    Ok(home.store.interrupt_run(run).await?)
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
    let notices = home.store.notices(run).await?;
    let folds = home.store.folds(run).await?.iter().filter_map(fold_progress).collect();
    let (adapter, resumable) = (has_adapter(&found), is_resumable(home, &found));
    Ok(RunProgress { run: found, steps, evaluations, adapter, resumable, notices, folds })
}

/// Where a fold of a cross-validation stands; none for a run that is no fold.
fn fold_progress(run: &Run) -> Option<FoldProgress> {
    Some(FoldProgress {
        fold: run.config.fold?,
        run: run.id,
        status: run.status,
        step: run.last_step.map_or(0, |step| step.step),
        total_steps: run.total_steps,
    })
}

/// The runs asked for, in that order.
pub async fn compare(home: &Home, runs: &[i64]) -> Result<Vec<Run>> {
    reconcile(home).await?;
    let mut found = Vec::with_capacity(runs.len());
    for &run in runs {
        found.push(home.store.run(run).await?);
    }
    Ok(found)
}

/// Whether a run ended early and has a checkpoint to go on from, which a cross-validation needs none of: its folds have
/// their own.
pub fn is_resumable(home: &Home, run: &Run) -> bool {
    let early = matches!(run.status, RunStatus::Stopped | RunStatus::Interrupted | RunStatus::Failed);
    if run.config.is_cross_validation() {
        return early;
    }
    let checkpoints = || std::fs::read_dir(home.run_folder(run.id).join("checkpoints")).into_iter().flatten();
    early && checkpoints().flatten().any(|checkpoint| checkpoint.path().join("manifest.json").is_file())
}

/// Whether a run's model is an adapter, as learning by LoRA leaves it, and not yet merged.
pub(crate) fn has_adapter(run: &Run) -> bool {
    run.model_folder.as_ref().is_some_and(|folder| Path::new(folder).join("adapter_config.json").exists())
}

/// Asks a run to stop: after the step it is in, or now.
pub async fn stop(home: &Home, run: i64, stop: Stop) -> Result<()> {
    reconcile(home).await?;
    Ok(home.store.request_stop(run, stop).await?)
}

/// Asks a run to save its work and to wait.
pub async fn pause(home: &Home, run: i64) -> Result<()> {
    reconcile(home).await?;
    Ok(home.store.request_pause(run, true).await?)
}

/// Lets a run that waits go on.
pub async fn unpause(home: &Home, run: i64) -> Result<()> {
    reconcile(home).await?;
    Ok(home.store.request_pause(run, false).await?)
}

/// Forgets a run and removes its folder, its model included; with a cross-validation go its folds.
pub async fn remove(home: &Home, run: i64) -> Result<()> {
    reconcile(home).await?;
    let mut all = home.store.folds(run).await?;
    all.push(home.store.run(run).await?);
    for Run { id, status, .. } in &all {
        // Its run may have ended, but it still judges, merges or pushes what came of it.
        if status.is_active() || locks::has_engine(home, *id) {
            return Err(store::Error::RunIsActive { run: *id }.into());
        }
    }
    for Run { id, .. } in all {
        removing::remove(home, Part::Runs, &id.to_string()).await?;
    }
    Ok(())
}

/// The folder to predict with, and its run: the one asked for, or the newest that has a model.
pub async fn model_folder(home: &Home, run: Option<i64>) -> Result<(i64, PathBuf)> {
    let found = match run {
        Some(run) => home.store.run(run).await?,
        None => {
            let mut runs = home.store.runs().await?;
            runs.retain(|run| run.model_folder.is_some());
            // A fold's model learned from a part of what there is, and is meant to judge and not to be used.
            runs.sort_by_key(|run| run.config.fold.is_some());
            runs.into_iter().next().ok_or(Error::NoFinishedRun)?
        }
    };
    match found.model_folder {
        None if found.config.is_cross_validation() => Err(Error::ModelOfFolds { run: found.id }),
        Some(folder) => Ok((found.id, PathBuf::from(folder))),
        None => Err(Error::RunHasNoModel { run: found.id, status: found.status.name() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home as home;

    async fn queued(home: &Home) -> i64 {
        crate::data_sets::import_sample(home).await.unwrap();
        create(home, &default_config(home).await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_new_run_takes_no_folder_that_a_lost_history_has_left() {
        let (folder, home) = home().await;
        let first = queued(&home).await;
        for left in ["7", "007x", "9223372036854775807"] {
            std::fs::create_dir(home.folder.join("runs").join(left)).unwrap();
        }
        let config = default_config(&home).await.unwrap();
        assert_eq!((first, create(&home, &config).await.unwrap()), (1, 8));
        home.store.close().await;
        for file in ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm"] {
            std::fs::remove_file(folder.path().join(file)).ok();
        }
        std::fs::remove_dir_all(folder.path().join("datasets")).unwrap();
        let home = Home::open(folder.path()).await.unwrap();
        assert_eq!(queued(&home).await, 9);
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

    /// Lets a run look as if it had been queued long ago.
    fn make_old(home: &Home, run: i64) {
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(QUEUE_SECONDS + 60);
        std::fs::File::open(home.run_folder(run)).unwrap().set_modified(old).unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_queued_run_is_left_alone_when_nobody_keeps_its_place_and_not_before() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        let held = queue_lock(&home, run).unwrap().unwrap();
        assert!(queue_lock(&home, run).unwrap().is_none(), "one process only keeps a place");
        make_old(&home, run);
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Queued);
        let engine = lock(&home, run).unwrap().unwrap();
        make_old(&home, run);
        drop(held);
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Queued);
        drop(engine);
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Interrupted);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_clock_that_was_set_back_interrupts_no_queued_run() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
        std::fs::File::open(home.run_folder(run)).unwrap().set_modified(later).unwrap();
        assert_eq!(show(&home, run, 0).await.unwrap().run.status, RunStatus::Queued);
    }

    #[tokio::test]
    async fn a_run_can_go_on_when_it_ended_early_with_a_whole_checkpoint() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        let checkpoint = home.run_folder(run).join("checkpoints/step-00000010");
        std::fs::create_dir_all(&checkpoint).unwrap();
        let notice = record::Notice {
            step: 3,
            problem: record::Problem::new(record::ProblemCode::NoTf32, "There is no tf32."),
        };
        home.store.add_notice(run, &notice).await.unwrap();
        let resumable = async || show(&home, run, 0).await.unwrap().resumable;
        std::fs::write(checkpoint.join("manifest.json"), "{}").unwrap();
        assert!(!resumable().await, "it has not ended");
        stop(&home, run, Stop::Save).await.unwrap();
        assert!(resumable().await);
        std::fs::remove_file(checkpoint.join("manifest.json")).unwrap();
        assert!(!resumable().await, "its checkpoint is not whole");
        assert_eq!(show(&home, run, 0).await.unwrap().notices, [notice]);
    }

    #[tokio::test]
    async fn a_run_waits_and_goes_on_as_it_is_told_until_it_has_ended() {
        let (_folder, home) = home().await;
        let run = queued(&home).await;
        pause(&home, run).await.unwrap();
        assert!(home.store.wishes(run).await.unwrap().pause);
        unpause(&home, run).await.unwrap();
        assert!(!home.store.wishes(run).await.unwrap().pause);
        stop(&home, run, Stop::Now).await.unwrap();
        let error = pause(&home, run).await.unwrap_err();
        assert_eq!(error.problem().code, record::ProblemCode::RunHasEnded);
    }

    #[tokio::test]
    async fn presets_are_for_the_data_and_the_model_of_a_new_run() {
        let (_folder, home) = home().await;
        crate::data_sets::import_sample(&home).await.unwrap();
        let presets = presets(&home).await.unwrap();
        assert_eq!(presets.iter().map(|one| one.preset).collect::<Vec<_>>(), Preset::ALL);
        for PresetConfig { preset, config } in presets {
            assert_eq!((config.data.as_str(), config.model.as_str()), ("made-up-sample", "words"));
            let nameless = TrainConfig { data: String::new(), model: String::new(), ..config };
            assert_eq!(nameless, preset.config());
        }
    }

    #[tokio::test]
    async fn the_runs_that_are_compared_come_in_the_order_asked_for() {
        let (_folder, home) = home().await;
        let (first, second) = (queued(&home).await, queued(&home).await);
        let found = compare(&home, &[second, first]).await.unwrap();
        assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), [second, first]);
        let error = compare(&home, &[first, 99]).await.unwrap_err();
        assert_eq!(error.problem().code, record::ProblemCode::UnknownRun);
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
