//! What an engine has told of its run and could not write into the history: a file in the run's folder, so that it is
//! not lost with the process. Whoever finds the run without an engine writes it down.

use std::path::PathBuf;

use store::Told;

use crate::{Error, Home, error::Result};

const NAME: &str = "unwritten.json";

fn path(home: &Home, run: i64) -> PathBuf {
    home.run_folder(run).join(NAME)
}

/// Keeps what was not written down yet.
pub fn keep(home: &Home, run: i64, told: &[Told]) -> Result<()> {
    let path = path(home, run);
    let bytes = serde_json::to_vec(told).map_err(|error| Error::write(&path, error.into()))?;
    files::replace(&path, &bytes, files::Access::Owner).map_err(|error| Error::write(&path, error))
}

/// Forgets it, as it is in the history now.
pub fn clear(home: &Home, run: i64) {
    // To write the same down again changes nothing.
    files::remove_file_if_there(&path(home, run)).ok();
}

/// Writes down what is kept of a run whose engine is gone, and forgets it. To be called with the engine's lock held.
pub async fn write_down(home: &Home, run: i64) -> Result<()> {
    let Ok(bytes) = files::read_limited(&path(home, run), LIMIT) else { return Ok(()) };
    // What cannot be understood says nothing.
    if let Ok(told) = serde_json::from_slice::<Vec<Told>>(&bytes) {
        home.store.write_down(run, &told).await?;
    }
    clear(home, run);
    Ok(())
}

/// The most that is read, in bytes: all steps that an engine keeps in memory.
const LIMIT: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{data_sets, home::empty_home, runs};
    use record::{Finished, Notice, Problem, ProblemCode, RunStatus, Step};

    fn told(run: i64) -> Vec<Told> {
        let step = Step {
            step: 1,
            epoch: 0.5,
            loss: 0.7,
            learning_rate: 1e-5,
            grad_norm: None,
            samples_per_second: 3.0,
            tokens_per_second: 90.0,
            seconds_left: 4.0,
            memory_mib: None,
        };
        let finished = Finished {
            run,
            steps: 1,
            stopped: false,
            train_seconds: 1.5,
            tokens_per_second: 90.0,
            samples_per_second: 3.0,
            peak_rss_mib: None,
            optimizer_mib: 12.5,
            best_step: None,
            stopped_early: false,
            axes: Default::default(),
        };
        let notice = Notice { step: 1, problem: Problem::new(ProblemCode::NoTf32, "x") };
        vec![
            Told::Step(step),
            Told::Notice(notice),
            Told::Model("model".into()),
            Told::Finished(finished),
        ]
    }

    #[tokio::test]
    async fn a_run_whose_end_could_not_be_written_down_is_ended_at_the_next_opening() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let config = runs::default_config(&home).await.unwrap();
        let run = runs::create(&home, &config).await.unwrap();
        let engine = runs::lock(&home, run).unwrap().unwrap();
        home.store.begin_run(run).await.unwrap();
        keep(&home, run, &told(run)).unwrap();
        runs::reconcile(&home).await.unwrap();
        assert_eq!(home.store.run(run).await.unwrap().status, RunStatus::Running, "its engine is at work");
        // Part of it was written down before the engine went.
        home.store.write_down(run, &told(run)[..2]).await.unwrap();
        drop(engine);
        let home = Home::open(&home.folder).await.unwrap();
        let found = runs::show(&home, run, 0).await.unwrap();
        assert_eq!((found.run.status, found.steps.len(), found.notices.len()), (RunStatus::Finished, 1, 1));
        let model = home.run_folder(run).join("model").display().to_string();
        assert_eq!(found.run.model_folder, Some(model));
        assert!(!path(&home, run).exists());
    }

    #[tokio::test]
    async fn what_is_kept_and_cannot_be_understood_only_leaves_the_run_interrupted() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let config = runs::default_config(&home).await.unwrap();
        let run = runs::create(&home, &config).await.unwrap();
        home.store.begin_run(run).await.unwrap();
        std::fs::write(path(&home, run), "[{\"step\"").unwrap();
        assert_eq!(runs::show(&home, run, 0).await.unwrap().run.status, RunStatus::Interrupted);
    }
}
