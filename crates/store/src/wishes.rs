//! What the user wants of a run that an engine has, and what the engine answers.

use sqlx::{Row, SqliteConnection};

use crate::{Error, Store, error::Result, now};

/// How a run is to end before its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// After the step that it is in, with what it has learned saved.
    Save,
    /// At once, with what was saved before.
    Now,
}

/// What an engine is to do about its run, apart from training it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    pub stop: Option<Stop>,
    pub pause: bool,
}

impl Store {
    /// Asks a run to stop. One that no engine has taken up is stopped at once. A stop ends a pause,
    /// and a wish to stop now is not taken back by one to save first.
    pub async fn request_stop(&self, run: i64, stop: Stop) -> Result<()> {
        let query = sqlx::query(
            "UPDATE runs SET stop_requested = max(stop_requested, ?), pause_requested = 0, paused = 0, \
             finished_at = CASE status WHEN 'queued' THEN ? ELSE finished_at END, \
             status = CASE status WHEN 'queued' THEN 'stopped' ELSE status END \
             WHERE id = ? AND status IN ('queued', 'running')",
        );
        let wish = match stop {
            Stop::Save => 1,
            Stop::Now => 2,
        };
        let done = query.bind(wish).bind(now()?).bind(run).execute(&self.pool).await?;
        self.was_active(run, done.rows_affected()).await
    }

    /// Asks a run to wait, or to go on. One that is to stop does not wait any more.
    pub async fn request_pause(&self, run: i64, pause: bool) -> Result<()> {
        let query = sqlx::query(
            "UPDATE runs SET pause_requested = (? AND stop_requested = 0) \
             WHERE id = ? AND status IN ('queued', 'running')",
        );
        let done = query.bind(pause).bind(run).execute(&self.pool).await?;
        self.was_active(run, done.rows_affected()).await
    }

    async fn was_active(&self, run: i64, changed: u64) -> Result<()> {
        if changed > 0 {
            return Ok(());
        }
        Err(Error::RunHasEnded { run, status: self.run(run).await?.status.name() })
    }

    /// What the engine says: whether it waits.
    pub async fn set_paused(&self, run: i64, paused: bool) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        set_paused(&mut connection, run, paused).await
    }

    /// What is wanted of a run. One that is not in the history any more is to stop now.
    pub async fn wishes(&self, run: i64) -> Result<Wishes> {
        let query = sqlx::query("SELECT stop_requested, pause_requested FROM runs WHERE id = ?");
        let Some(row) = query.bind(run).fetch_optional(&self.pool).await? else {
            return Ok(Wishes { stop: Some(Stop::Now), pause: false });
        };
        let stop = match row.try_get::<i64, _>("stop_requested")? {
            0 => None,
            1 => Some(Stop::Save),
            _ => Some(Stop::Now),
        };
        Ok(Wishes { stop, pause: row.try_get("pause_requested")? })
    }
}

pub(crate) async fn set_paused(connection: &mut SqliteConnection, run: i64, paused: bool) -> Result<()> {
    let query = sqlx::query("UPDATE runs SET paused = ? WHERE id = ? AND status = 'running'");
    query.bind(paused).bind(run).execute(connection).await?;
    Ok(())
}
