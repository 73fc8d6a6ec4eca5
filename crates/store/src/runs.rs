use std::{collections::BTreeMap, path::Path};

use mbti::Axis;
use record::{AxisMetrics, Evaluation, Finished, Problem, Run, RunStatus, SplitSummary, Step, TrainConfig};
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{Error, Store, error::Result, from_json, now, to_json};

/// The columns of a run, with its newest step.
const RUNS: &str = "SELECT runs.*, steps.step, steps.epoch, steps.loss, steps.learning_rate, \
     steps.samples_per_second, steps.tokens_per_second AS step_tokens_per_second, steps.seconds_left \
     FROM runs LEFT JOIN steps ON steps.run = runs.id \
     AND steps.step = (SELECT max(step) FROM steps WHERE run = runs.id)";

struct RunRow(Run);

impl FromRow<'_, SqliteRow> for RunRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let decode = |error: Error| sqlx::Error::Decode(error.into());
        let status: String = row.try_get("status")?;
        let status = RunStatus::ALL
            .into_iter()
            .find(|known| known.name() == status)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown status {status}").into()))?;
        let json = |name: &str| row.try_get::<Option<String>, _>(name);
        let config: String = row.try_get("config")?;
        let last_step = match row.try_get::<Option<u32>, _>("step")? {
            None => None,
            Some(step) => Some(Step {
                step,
                epoch: row.try_get("epoch")?,
                loss: row.try_get("loss")?,
                learning_rate: row.try_get("learning_rate")?,
                samples_per_second: row.try_get("samples_per_second")?,
                tokens_per_second: row.try_get("step_tokens_per_second")?,
                seconds_left: row.try_get("seconds_left")?,
            }),
        };
        Ok(RunRow(Run {
            id: row.try_get("id")?,
            status,
            config: from_json(&config).map_err(decode)?,
            made_up: row.try_get("made_up")?,
            split: json("split")?.map(|text| from_json(&text)).transpose().map_err(decode)?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            train_seconds: row.try_get("train_seconds")?,
            total_steps: row.try_get("total_steps")?,
            last_step,
            axes: BTreeMap::new(),
            tokens_per_second: row.try_get("tokens_per_second")?,
            peak_rss_mib: row.try_get("peak_rss_mib")?,
            failure: json("failure")?.map(|text| from_json(&text)).transpose().map_err(decode)?,
            model_folder: row.try_get("model_folder")?,
            stop_requested: row.try_get("stop_requested")?,
        }))
    }
}

impl Store {
    /// Writes a run down as queued, and gives its number.
    pub async fn add_run(&self, config: &TrainConfig, made_up: bool) -> Result<i64> {
        let query =
            sqlx::query("INSERT INTO runs (status, config, made_up, created_at) VALUES ('queued', ?, ?, ?)");
        let done = query.bind(to_json(config)?).bind(made_up).bind(now()?).execute(&self.pool).await?;
        Ok(done.last_insert_rowid())
    }

    /// All runs, the newest first, each with the metrics of its newest evaluation.
    pub async fn runs(&self) -> Result<Vec<Run>> {
        let sql = sqlx::AssertSqlSafe(format!("{RUNS} ORDER BY runs.id DESC"));
        let rows: Vec<RunRow> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        let mut runs: Vec<Run> = rows.into_iter().map(|row| row.0).collect();
        let newest = sqlx::query(
            "SELECT m.* FROM axis_metrics m \
             WHERE m.step = (SELECT max(step) FROM evaluations e WHERE e.run = m.run)",
        );
        let mut by_run: BTreeMap<i64, BTreeMap<Axis, AxisMetrics>> = BTreeMap::new();
        for row in newest.fetch_all(&self.pool).await? {
            let (axis, metrics) = axis_metrics(&row)?;
            by_run.entry(row.try_get("run")?).or_default().insert(axis, metrics);
        }
        for run in &mut runs {
            run.axes = by_run.remove(&run.id).unwrap_or_default();
        }
        Ok(runs)
    }

    pub async fn active_runs(&self) -> Result<Vec<Run>> {
        Ok(self.runs().await?.into_iter().filter(|run| run.status.is_active()).collect())
    }

    pub async fn run(&self, run: i64) -> Result<Run> {
        let sql = sqlx::AssertSqlSafe(format!("{RUNS} WHERE runs.id = ?"));
        let row: Option<RunRow> = sqlx::query_as(sql).bind(run).fetch_optional(&self.pool).await?;
        let mut found = row.ok_or(Error::UnknownRun { run })?.0;
        if let Some(newest) = self.evaluations(run, 0).await?.pop() {
            found.axes = newest.axes;
        }
        Ok(found)
    }

    /// The steps after this one, in order.
    pub async fn steps(&self, run: i64, after: u32) -> Result<Vec<Step>> {
        let query = sqlx::query("SELECT * FROM steps WHERE run = ? AND step > ? ORDER BY step");
        let rows = query.bind(run).bind(after).fetch_all(&self.pool).await?;
        let step = |row: &SqliteRow| -> sqlx::Result<Step> {
            Ok(Step {
                step: row.try_get("step")?,
                epoch: row.try_get("epoch")?,
                loss: row.try_get("loss")?,
                learning_rate: row.try_get("learning_rate")?,
                samples_per_second: row.try_get("samples_per_second")?,
                tokens_per_second: row.try_get("tokens_per_second")?,
                seconds_left: row.try_get("seconds_left")?,
            })
        };
        Ok(rows.iter().map(step).collect::<sqlx::Result<_>>()?)
    }

    /// The evaluations after this step, in order.
    pub async fn evaluations(&self, run: i64, after: u32) -> Result<Vec<Evaluation>> {
        let query = sqlx::query(
            "SELECT e.loss AS evaluation_loss, m.* FROM evaluations e \
             JOIN axis_metrics m ON m.run = e.run AND m.step = e.step \
             WHERE e.run = ? AND e.step > ? ORDER BY e.step",
        );
        let mut evaluations: Vec<Evaluation> = Vec::new();
        for row in query.bind(run).bind(after).fetch_all(&self.pool).await? {
            let step: u32 = row.try_get("step")?;
            let (axis, metrics) = axis_metrics(&row)?;
            match evaluations.last_mut() {
                Some(last) if last.step == step => {
                    last.axes.insert(axis, metrics);
                }
                _ => {
                    let loss = row.try_get("evaluation_loss")?;
                    evaluations.push(Evaluation { step, loss, axes: [(axis, metrics)].into() });
                }
            }
        }
        Ok(evaluations)
    }

    /// Takes a queued run up; `false` when it is not queued any more.
    pub async fn begin_run(&self, run: i64) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE runs SET status = 'running', started_at = ? WHERE id = ? AND status = 'queued'",
        );
        Ok(query.bind(now()?).bind(run).execute(&self.pool).await?.rows_affected() == 1)
    }

    pub async fn set_split(&self, run: i64, split: &SplitSummary) -> Result<()> {
        let query = sqlx::query("UPDATE runs SET split = ? WHERE id = ?");
        query.bind(to_json(split)?).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    /// The number of steps, and the config with what was left open in it filled in.
    pub async fn set_plan(&self, run: i64, total_steps: u32, config: &TrainConfig) -> Result<()> {
        let query = sqlx::query("UPDATE runs SET total_steps = ?, config = ? WHERE id = ?");
        query.bind(total_steps).bind(to_json(config)?).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    /// Writes steps down, all or none.
    pub async fn add_steps(&self, run: i64, steps: &[Step]) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        for step in steps {
            let query = sqlx::query("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
            query
                .bind(run)
                .bind(step.step)
                .bind(step.epoch)
                .bind(step.loss)
                .bind(step.learning_rate)
                .bind(step.samples_per_second)
                .bind(step.tokens_per_second)
                .bind(step.seconds_left)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    pub async fn add_evaluation(&self, run: i64, evaluation: &Evaluation) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        let query = sqlx::query("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?)");
        query.bind(run).bind(evaluation.step).bind(evaluation.loss).execute(&mut *transaction).await?;
        for (axis, metrics) in &evaluation.axes {
            let query =
                sqlx::query("INSERT OR REPLACE INTO axis_metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            query
                .bind(run)
                .bind(evaluation.step)
                .bind(axis.name())
                .bind(metrics.accuracy)
                .bind(metrics.f1)
                .bind(metrics.macro_f1)
                .bind(metrics.balanced_accuracy)
                .bind(metrics.mcc)
                .bind(metrics.majority_accuracy)
                .bind(to_json(&metrics.confusion)?)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Where the run can be predicted with from now on.
    pub async fn set_model_folder(&self, run: i64, folder: &Path) -> Result<()> {
        let query = sqlx::query("UPDATE runs SET model_folder = ? WHERE id = ?");
        query.bind(folder.to_string_lossy()).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    pub async fn finish_run(&self, finished: &Finished) -> Result<()> {
        let status = if finished.stopped { RunStatus::Stopped } else { RunStatus::Finished };
        let query = sqlx::query(
            "UPDATE runs SET status = ?, finished_at = ?, train_seconds = ?, tokens_per_second = ?, peak_rss_mib = ? \
             WHERE id = ?",
        );
        query
            .bind(status.name())
            .bind(now()?)
            .bind(finished.train_seconds)
            .bind(finished.tokens_per_second)
            .bind(finished.peak_rss_mib)
            .bind(finished.run)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends a run that is not over yet as failed.
    pub async fn fail_run(&self, run: i64, problem: &Problem) -> Result<()> {
        self.end_run(run, RunStatus::Failed, Some(problem)).await
    }

    /// Ends a run whose engine is gone.
    pub async fn interrupt_run(&self, run: i64) -> Result<()> {
        self.end_run(run, RunStatus::Interrupted, None).await
    }

    async fn end_run(&self, run: i64, status: RunStatus, problem: Option<&Problem>) -> Result<()> {
        let query = sqlx::query(
            "UPDATE runs SET status = ?, finished_at = ?, failure = ? WHERE id = ? AND status IN ('queued', 'running')",
        );
        let failure = problem.map(to_json).transpose()?;
        query.bind(status.name()).bind(now()?).bind(failure).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    /// Asks a run to stop. One that no engine has taken up is stopped at once.
    pub async fn request_stop(&self, run: i64) -> Result<()> {
        let found = self.run(run).await?;
        if !found.status.is_active() {
            return Err(Error::RunHasEnded { run, status: found.status.name() });
        }
        let query = sqlx::query(
            "UPDATE runs SET stop_requested = 1, \
             finished_at = CASE status WHEN 'queued' THEN ? ELSE finished_at END, \
             status = CASE status WHEN 'queued' THEN 'stopped' ELSE status END \
             WHERE id = ? AND status IN ('queued', 'running')",
        );
        query.bind(now()?).bind(run).execute(&self.pool).await?;
        Ok(())
    }

    pub async fn stop_requested(&self, run: i64) -> Result<bool> {
        let query = sqlx::query_scalar("SELECT stop_requested FROM runs WHERE id = ?");
        Ok(query.bind(run).fetch_optional(&self.pool).await?.unwrap_or(true))
    }

    /// Forgets a run that has ended.
    pub async fn remove_run(&self, run: i64) -> Result<()> {
        if self.run(run).await?.status.is_active() {
            return Err(Error::RunIsActive { run });
        }
        sqlx::query("DELETE FROM runs WHERE id = ?").bind(run).execute(&self.pool).await?;
        Ok(())
    }
}

fn axis_metrics(row: &SqliteRow) -> Result<(Axis, AxisMetrics)> {
    let axis: String = row.try_get("axis")?;
    let confusion: String = row.try_get("confusion")?;
    let metrics = AxisMetrics {
        accuracy: row.try_get("accuracy")?,
        f1: row.try_get("f1")?,
        macro_f1: row.try_get("macro_f1")?,
        balanced_accuracy: row.try_get("balanced_accuracy")?,
        mcc: row.try_get("mcc")?,
        majority_accuracy: row.try_get("majority_accuracy")?,
        confusion: from_json(&confusion)?,
    };
    Ok((axis.parse().map_err(|error: mbti::Error| Error::Record(error.to_string()))?, metrics))
}
