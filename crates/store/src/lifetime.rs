//! A run from its first line in the history to its last: queued, running, ended, gone on with,
//! removed.

use record::{Finished, Origins, Problem, Pushed, RunStatus, TrainConfig};

use sqlx::SqliteConnection;

use crate::{Error, Part, Store, error::Result, now, to_json};

impl Store {
    /// Writes a run down as queued, and gives its number, which is above `above` and above all that were given before.
    pub async fn add_run(
        &self,
        config: &TrainConfig,
        made_up: bool,
        origins: &Origins,
        above: i64,
    ) -> Result<i64> {
        self.add_fold(config, made_up, origins, above, None).await
    }

    /// The same for a run that is a fold of this cross-validation.
    pub async fn add_fold(
        &self,
        config: &TrainConfig,
        made_up: bool,
        origins: &Origins,
        above: i64,
        fold_of: Option<i64>,
    ) -> Result<i64> {
        let query = sqlx::query(
            "INSERT INTO runs (id, status, config, made_up, created_at, origins, fold_of) VALUES (1 + max(?, \
             coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'runs'), 0), \
             coalesce((SELECT max(id) FROM runs), 0)), 'queued', ?, ?, ?, ?, ?)",
        );
        let query = query.bind(above).bind(to_json(config)?).bind(made_up).bind(now()?);
        let query = query.bind(to_json(origins)?).bind(fold_of);
        Ok(query.execute(&self.pool).await?.last_insert_rowid())
    }

    /// Writes down where a run's model was pushed to.
    pub async fn set_pushed(&self, run: i64, pushed: &Pushed) -> Result<()> {
        let query = sqlx::query("UPDATE runs SET pushed = ? WHERE id = ?");
        query.bind(to_json(pushed)?).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    /// Takes a queued run up; `false` when it is not queued any more.
    pub async fn begin_run(&self, run: i64) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE runs SET status = 'running', started_at = ? WHERE id = ? AND status = 'queued'",
        );
        Ok(query.bind(now()?).bind(run).execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Goes on with a run that ended early, from a checkpoint made after so many steps: what was
    /// told after it is forgotten, as it will be told again. `false` when the run has not ended, or
    /// has ended with its last step.
    ///
    /// Notices stay, as they tell what happened and not where the run stands.
    pub async fn resume_run(&self, run: i64, from_step: u32) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // The judgement and the best step were those of the end that is none any more.
        let query = sqlx::query(
            "UPDATE runs SET status = 'running', started_at = coalesce(started_at, ?), \
             finished_at = NULL, failure = NULL, stop_requested = 0, pause_requested = 0, paused = 0, \
             assessment = NULL, best_step = NULL \
             WHERE id = ? AND status IN ('stopped', 'interrupted', 'failed')",
        );
        if query.bind(now()?).bind(run).execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for later in [
            "DELETE FROM steps WHERE run = ? AND step > ?",
            "DELETE FROM evaluations WHERE run = ? AND step > ?",
        ] {
            sqlx::query(later).bind(run).bind(from_step).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    pub async fn finish_run(&self, finished: &Finished) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        finish_run(&mut connection, finished.run, finished).await
    }

    /// Ends a run that is not over yet as failed.
    pub async fn fail_run(&self, run: i64, problem: &Problem) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        end_run(&mut connection, run, RunStatus::Failed, Some(problem)).await
    }

    /// Ends a run whose engine is gone.
    pub async fn interrupt_run(&self, run: i64) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        end_run(&mut connection, run, RunStatus::Interrupted, None).await
    }

    /// Forgets a run that has ended.
    pub async fn remove_run(&self, run: i64) -> Result<()> {
        if self.run(run).await?.status.is_active() {
            return Err(Error::RunIsActive { run });
        }
        self.forget(Part::Runs, &run.to_string()).await
    }
}

pub(crate) async fn finish_run(
    connection: &mut SqliteConnection,
    run: i64,
    finished: &Finished,
) -> Result<()> {
    let status = if finished.stopped { RunStatus::Stopped } else { RunStatus::Finished };
    let query = sqlx::query(
        "UPDATE runs SET status = ?, finished_at = ?, train_seconds = ?, tokens_per_second = ?, \
         peak_rss_mib = ?, optimizer_mib = ?, best_step = ?, pause_requested = 0, paused = 0 \
         WHERE id = ?",
    );
    query
        .bind(status.name())
        .bind(now()?)
        .bind(finished.train_seconds)
        .bind(finished.tokens_per_second)
        .bind(finished.peak_rss_mib)
        .bind(finished.optimizer_mib)
        .bind(finished.best_step)
        .bind(run)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn end_run(
    connection: &mut SqliteConnection,
    run: i64,
    status: RunStatus,
    problem: Option<&Problem>,
) -> Result<()> {
    let query = sqlx::query(
        "UPDATE runs SET status = ?, finished_at = ?, failure = ?, pause_requested = 0, paused = 0 \
         WHERE id = ? AND status IN ('queued', 'running')",
    );
    let failure = problem.map(to_json).transpose()?;
    query.bind(status.name()).bind(now()?).bind(failure).bind(run).execute(connection).await?;
    Ok(())
}
