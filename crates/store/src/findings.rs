//! What is found out about a run, each thing once or anew.

use std::path::Path;

use record::{Assessment, Baseline, Estimate, SplitSummary, TrainConfig, UsedDevice};
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::{Store, error::Result, to_json};

impl Store {
    pub async fn set_split(&self, run: i64, split: &SplitSummary) -> Result<()> {
        self.set_json(run, "split", split).await
    }

    /// What the run is expected to need.
    pub async fn set_estimate(&self, run: i64, estimate: &Estimate) -> Result<()> {
        self.set_json(run, "estimate", estimate).await
    }

    /// What the bag of words made of the same split.
    pub async fn set_baseline(&self, run: i64, baseline: &Baseline) -> Result<()> {
        self.set_json(run, "baseline", baseline).await
    }

    /// The whole judgement at the end.
    pub async fn set_assessment(&self, run: i64, assessment: &Assessment) -> Result<()> {
        self.set_json(run, "assessment", assessment).await
    }

    /// The number of steps, and the config with what was left open in it filled in.
    pub async fn set_plan(&self, run: i64, total_steps: u32, config: &TrainConfig) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        set_plan(&mut connection, run, total_steps, config).await
    }

    /// Where the run can be predicted with from now on.
    pub async fn set_model_folder(&self, run: i64, folder: &Path) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        set_model_folder(&mut connection, run, &self.told(folder)).await
    }

    /// Keeps a record whole in one of the columns that hold JSON.
    async fn set_json(&self, run: i64, column: &'static str, value: &impl Serialize) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        set_json(&mut connection, run, column, value).await
    }
}

pub(crate) async fn set_plan(
    connection: &mut SqliteConnection,
    run: i64,
    total_steps: u32,
    config: &TrainConfig,
) -> Result<()> {
    let query = sqlx::query("UPDATE runs SET total_steps = ?, config = ? WHERE id = ?");
    query.bind(total_steps).bind(to_json(config)?).bind(run).execute(connection).await?;
    Ok(())
}

/// `folder` is told from the home.
pub(crate) async fn set_model_folder(
    connection: &mut SqliteConnection,
    run: i64,
    folder: &str,
) -> Result<()> {
    let query = sqlx::query("UPDATE runs SET model_folder = ? WHERE id = ?");
    query.bind(folder).bind(run).execute(connection).await?;
    Ok(())
}

/// What the run computes on. What was expected of another device, and what the run held there, says nothing of this one.
pub(crate) async fn set_device(connection: &mut SqliteConnection, run: i64, used: &UsedDevice) -> Result<()> {
    let query = sqlx::query(
        "UPDATE runs SET estimate = NULL, peak_rss_mib = NULL WHERE id = ? \
         AND (used_device ->> 'device' IS NOT ? OR used_device ->> 'name' IS NOT ?)",
    );
    query.bind(run).bind(&used.device).bind(&used.name).execute(&mut *connection).await?;
    set_json(connection, run, "used_device", used).await
}

pub(crate) async fn set_json(
    connection: &mut SqliteConnection,
    run: i64,
    column: &'static str,
    value: &impl Serialize,
) -> Result<()> {
    let query = sqlx::query(AssertSqlSafe(format!("UPDATE runs SET {column} = ? WHERE id = ?")));
    query.bind(to_json(value)?).bind(run).execute(connection).await?;
    Ok(())
}
