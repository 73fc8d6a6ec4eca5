//! What a run tells as it goes on: steps, evaluations, notices.

use mbti::Axis;
use record::{AxisMetrics, Evaluation, Notice, Step};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{Error, Store, error::Result, from_json, to_json};

impl Store {
    /// Writes steps down, all or none.
    pub async fn add_steps(&self, run: i64, steps: &[Step]) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        for step in steps {
            add_step(&mut transaction, run, step).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The steps after this one, in order.
    pub async fn steps(&self, run: i64, after: u32) -> Result<Vec<Step>> {
        let query = sqlx::query("SELECT * FROM steps WHERE run = ? AND step > ? ORDER BY step");
        let rows = query.bind(run).bind(after).fetch_all(&self.pool).await?;
        let steps = rows.iter().map(|row| step_of(row, "tokens_per_second"));
        Ok(steps.collect::<sqlx::Result<_>>()?)
    }

    pub async fn add_evaluation(&self, run: i64, evaluation: &Evaluation) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        add_evaluation(&mut transaction, run, evaluation).await?;
        Ok(transaction.commit().await?)
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

    pub async fn add_notice(&self, run: i64, notice: &Notice) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        add_notice(&mut connection, run, notice).await
    }

    /// All notices, in the order in which they were told.
    pub async fn notices(&self, run: i64) -> Result<Vec<Notice>> {
        let query = sqlx::query("SELECT step, problem FROM notices WHERE run = ? ORDER BY id");
        let rows = query.bind(run).fetch_all(&self.pool).await?;
        let notice = |row: &SqliteRow| -> Result<Notice> {
            let problem: String = row.try_get("problem")?;
            Ok(Notice { step: row.try_get("step")?, problem: from_json(&problem)? })
        };
        rows.iter().map(notice).collect()
    }
}

pub(crate) async fn add_step(connection: &mut SqliteConnection, run: i64, step: &Step) -> Result<()> {
    let query = sqlx::query(
        "INSERT OR REPLACE INTO steps (run, step, epoch, loss, learning_rate, grad_norm, \
         samples_per_second, tokens_per_second, seconds_left, memory_mib) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    query
        .bind(run)
        .bind(step.step)
        .bind(step.epoch)
        .bind(step.loss)
        .bind(step.learning_rate)
        .bind(step.grad_norm)
        .bind(step.samples_per_second)
        .bind(step.tokens_per_second)
        .bind(step.seconds_left)
        .bind(step.memory_mib)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn add_evaluation(
    connection: &mut SqliteConnection,
    run: i64,
    evaluation: &Evaluation,
) -> Result<()> {
    let query = sqlx::query("INSERT OR REPLACE INTO evaluations (run, step, loss) VALUES (?, ?, ?)");
    query.bind(run).bind(evaluation.step).bind(evaluation.loss).execute(&mut *connection).await?;
    for (axis, metrics) in &evaluation.axes {
        let query = sqlx::query(
            "INSERT OR REPLACE INTO axis_metrics (run, step, axis, accuracy, f1, macro_f1, \
             balanced_accuracy, mcc, roc_auc, log_loss, expected_calibration_error, \
             majority_accuracy, confusion) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        query
            .bind(run)
            .bind(evaluation.step)
            .bind(axis.name())
            .bind(metrics.accuracy)
            .bind(metrics.f1)
            .bind(metrics.macro_f1)
            .bind(metrics.balanced_accuracy)
            .bind(metrics.mcc)
            .bind(metrics.roc_auc)
            .bind(metrics.log_loss)
            .bind(metrics.expected_calibration_error)
            .bind(metrics.majority_accuracy)
            .bind(to_json(&metrics.confusion)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Adds a notice, unless the same is there of the same step, which is what it is when it is told again.
pub(crate) async fn add_notice(connection: &mut SqliteConnection, run: i64, notice: &Notice) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO notices (run, step, problem) SELECT ?1, ?2, ?3 WHERE NOT EXISTS \
         (SELECT 1 FROM notices WHERE run = ?1 AND step = ?2 AND problem = ?3)",
    );
    query.bind(run).bind(notice.step).bind(to_json(&notice.problem)?).execute(connection).await?;
    Ok(())
}

/// A step from its columns. Its tokens a second go by another name where the row has those of the
/// whole run as well.
pub(crate) fn step_of(row: &SqliteRow, tokens_per_second: &str) -> sqlx::Result<Step> {
    Ok(Step {
        step: row.try_get("step")?,
        epoch: row.try_get("epoch")?,
        loss: row.try_get("loss")?,
        learning_rate: row.try_get("learning_rate")?,
        grad_norm: row.try_get("grad_norm")?,
        samples_per_second: row.try_get("samples_per_second")?,
        tokens_per_second: row.try_get(tokens_per_second)?,
        seconds_left: row.try_get("seconds_left")?,
        memory_mib: row.try_get("memory_mib")?,
    })
}

pub(crate) fn axis_metrics(row: &SqliteRow) -> Result<(Axis, AxisMetrics)> {
    let axis: String = row.try_get("axis")?;
    let confusion: String = row.try_get("confusion")?;
    let metrics = AxisMetrics {
        accuracy: row.try_get("accuracy")?,
        f1: row.try_get("f1")?,
        macro_f1: row.try_get("macro_f1")?,
        balanced_accuracy: row.try_get("balanced_accuracy")?,
        mcc: row.try_get("mcc")?,
        roc_auc: row.try_get("roc_auc")?,
        log_loss: row.try_get("log_loss")?,
        expected_calibration_error: row.try_get("expected_calibration_error")?,
        majority_accuracy: row.try_get("majority_accuracy")?,
        confusion: from_json(&confusion)?,
    };
    Ok((axis.parse().map_err(|error: mbti::Error| Error::Record(error.to_string()))?, metrics))
}
