//! Runs, as they are read.

use std::collections::BTreeMap;

use mbti::Axis;
use record::{AxisMetrics, Problem, Run, RunStatus};
use serde::de::DeserializeOwned;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{
    Error, Store,
    curve::{axis_metrics, step_of},
    error::Result,
    from_json,
};

/// The columns of a run, with its newest step.
const RUNS: &str = "SELECT runs.*, steps.step, steps.epoch, steps.loss, steps.learning_rate, \
     steps.grad_norm, steps.samples_per_second, steps.tokens_per_second AS step_tokens_per_second, \
     steps.seconds_left, steps.memory_mib \
     FROM runs LEFT JOIN steps ON steps.run = runs.id \
     AND steps.step = (SELECT max(step) FROM steps WHERE run = runs.id)";

struct RunRow(Run);

impl FromRow<'_, SqliteRow> for RunRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let status: String = row.try_get("status")?;
        let status = RunStatus::ALL
            .into_iter()
            .find(|known| known.name() == status)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown status {status}").into()))?;
        let config: String = row.try_get("config")?;
        let last_step = match row.try_get::<Option<u32>, _>("step")? {
            None => None,
            Some(_) => Some(step_of(row, "step_tokens_per_second")?),
        };
        Ok(RunRow(Run {
            id: row.try_get("id")?,
            status,
            config: from_json(&config).map_err(|error| sqlx::Error::Decode(error.into()))?,
            made_up: row.try_get("made_up")?,
            split: json(row, "split")?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            train_seconds: row.try_get("train_seconds")?,
            total_steps: row.try_get("total_steps")?,
            last_step,
            axes: BTreeMap::new(),
            tokens_per_second: row.try_get("tokens_per_second")?,
            peak_rss_mib: row.try_get("peak_rss_mib")?,
            failure: json(row, "failure")?,
            model_folder: row.try_get("model_folder")?,
            stop_requested: row.try_get::<i64, _>("stop_requested")? != 0,
            pause_requested: row.try_get("pause_requested")?,
            paused: row.try_get("paused")?,
            estimate: json(row, "estimate")?,
            baseline: json(row, "baseline")?,
            assessment: json(row, "assessment")?,
            best_step: row.try_get("best_step")?,
            optimizer_mib: row.try_get("optimizer_mib")?,
            origins: json(row, "origins")?.unwrap_or_default(),
            pushed: json(row, "pushed")?,
            used_device: json(row, "used_device")?,
            collapse: Vec::new(),
            fold_of: row.try_get("fold_of")?,
            cross_validation: json(row, "cross_validation")?,
        }))
    }
}

/// A record that a column may hold as JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> sqlx::Result<Option<T>> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| from_json(&text)).transpose().map_err(|error| sqlx::Error::Decode(error.into()))
}

impl Store {
    /// All runs, the newest first, each with the metrics of its newest evaluation and the notices by which it goes nowhere.
    pub async fn runs(&self) -> Result<Vec<Run>> {
        let sql = sqlx::AssertSqlSafe(format!("{RUNS} ORDER BY runs.id DESC"));
        let rows: Vec<RunRow> = self.understood("run", "id", &sqlx::query(sql).fetch_all(&self.pool).await?);
        let mut runs: Vec<Run> = rows.into_iter().map(|row| self.run_in_place(row.0)).collect();
        let newest = sqlx::query(
            "SELECT m.* FROM axis_metrics m \
             WHERE m.step = (SELECT max(step) FROM evaluations e WHERE e.run = m.run)",
        );
        let mut by_run: BTreeMap<i64, BTreeMap<Axis, AxisMetrics>> = BTreeMap::new();
        for row in newest.fetch_all(&self.pool).await? {
            let Ok((axis, metrics)) = axis_metrics(&row) else { continue };
            by_run.entry(row.try_get("run")?).or_default().insert(axis, metrics);
        }
        let mut collapses = self.collapses(None).await?;
        for run in &mut runs {
            let newest = by_run.remove(&run.id).unwrap_or_default();
            run.axes = judged(run).unwrap_or(newest);
            run.collapse = collapses.remove(&run.id).unwrap_or_default();
        }
        Ok(runs)
    }

    /// The runs that an engine has or is to have, without metrics, as looking for them is frequent.
    pub async fn active_runs(&self) -> Result<Vec<Run>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{RUNS} WHERE status IN ('queued', 'running') ORDER BY runs.id DESC"
        ));
        let rows: Vec<RunRow> = self.understood("run", "id", &sqlx::query(sql).fetch_all(&self.pool).await?);
        Ok(rows.into_iter().map(|row| self.run_in_place(row.0)).collect())
    }

    /// The folds of a cross-validation that were begun, without metrics, by their numbers.
    pub async fn folds(&self, run: i64) -> Result<Vec<Run>> {
        let sql = sqlx::AssertSqlSafe(format!("{RUNS} WHERE fold_of = ? ORDER BY runs.id"));
        let rows = sqlx::query(sql).bind(run).fetch_all(&self.pool).await?;
        let rows: Vec<RunRow> = self.understood("run", "id", &rows);
        let mut folds: Vec<Run> = rows.into_iter().map(|row| self.run_in_place(row.0)).collect();
        folds.sort_by_key(|fold| fold.config.fold);
        Ok(folds)
    }

    pub async fn run(&self, run: i64) -> Result<Run> {
        let sql = sqlx::AssertSqlSafe(format!("{RUNS} WHERE runs.id = ?"));
        let row: Option<RunRow> = sqlx::query_as(sql).bind(run).fetch_optional(&self.pool).await?;
        let mut found = self.run_in_place(row.ok_or(Error::UnknownRun { run })?.0);
        let newest = self.evaluations(run, 0).await?.pop().map(|newest| newest.axes).unwrap_or_default();
        found.axes = judged(&found).unwrap_or(newest);
        found.collapse = self.collapses(Some(run)).await?.remove(&run).unwrap_or_default();
        Ok(found)
    }

    /// The notices by which a run, or any of all, goes nowhere, by run.
    async fn collapses(&self, run: Option<i64>) -> Result<BTreeMap<i64, Vec<Problem>>> {
        let query = sqlx::query("SELECT run, problem FROM notices WHERE ?1 IS NULL OR run = ?1 ORDER BY id");
        let mut found: BTreeMap<i64, Vec<Problem>> = BTreeMap::new();
        for row in query.bind(run).fetch_all(&self.pool).await? {
            // One that cannot be understood, as of another version, hides no run.
            let Ok(Some(problem)) = json::<Problem>(&row, "problem") else { continue };
            if problem.code.is_collapse() {
                found.entry(row.try_get("run")?).or_default().push(problem);
            }
        }
        Ok(found)
    }
}

/// The metrics of the weights that were kept, which may be those of an earlier step than the last; of a
/// cross-validation those of all folds together.
fn judged(run: &Run) -> Option<BTreeMap<Axis, AxisMetrics>> {
    let found = run.assessment.as_ref().map(|found| &found.by_text);
    let axes = &found.or_else(|| Some(&run.cross_validation.as_ref()?.pooled.model.by_text))?.axes;
    Some(axes.iter().map(|(&axis, found)| (axis, found.metrics)).collect())
}
