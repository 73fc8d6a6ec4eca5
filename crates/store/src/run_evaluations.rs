//! What came of judging finished runs on data sets.

use record::RunEvaluation;
use sqlx::{FromRow, sqlite::SqliteRow};

use crate::{Error, Store, error::Result, now, runs::json, to_json};

struct EvaluationRow(RunEvaluation);

impl FromRow<'_, SqliteRow> for EvaluationRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let found = json(row, "found")?;
        found.map(EvaluationRow).ok_or_else(|| sqlx::Error::ColumnNotFound("found".into()))
    }
}

impl Store {
    /// Keeps what was found just now, in place of what was found of the same run and data set before.
    pub async fn keep_run_evaluation(&self, found: RunEvaluation) -> Result<RunEvaluation> {
        let found = RunEvaluation { created_at: now()?, ..found };
        let query = sqlx::query(
            "INSERT OR REPLACE INTO run_evaluations (run, data, created_at, found) SELECT ?1, ?2, ?3, ?4 \
             WHERE EXISTS (SELECT 1 FROM runs WHERE id = ?1)",
        );
        let query = query.bind(found.run).bind(&found.data).bind(&found.created_at).bind(to_json(&found)?);
        // It may have been removed meanwhile.
        match query.execute(&self.pool).await?.rows_affected() {
            0 => Err(Error::UnknownRun { run: found.run }),
            _ => Ok(found),
        }
    }

    /// Those of a run, or of all runs: the newest run first, and of each the data sets by name.
    pub async fn run_evaluations(&self, run: Option<i64>) -> Result<Vec<RunEvaluation>> {
        let query =
            sqlx::query("SELECT * FROM run_evaluations WHERE ?1 IS NULL OR run = ?1 ORDER BY run DESC, data");
        let rows = query.bind(run).fetch_all(&self.pool).await?;
        let rows: Vec<EvaluationRow> = self.understood("evaluation of run", "run", &rows);
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}
