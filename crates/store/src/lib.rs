//! The history in SQLite: data sets, models, runs and their metrics.
//!
//! The window and any number of engines have it open at once: write-ahead logging lets them
//! read while one writes, and a busy timeout lets writers wait for each other.

mod curve;
mod data_sets;
mod error;
mod findings;
mod lifetime;
mod models;
mod runs;
mod wishes;

use std::{path::Path, time::Duration};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use data_sets::NewDataSet;
pub use error::Error;
pub use wishes::{Stop, Wishes};

use error::Result;

/// The open history.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the history at this path, makes it where it is not there yet, and brings its
    /// tables up to date.
    pub async fn open(path: &Path) -> Result<Store> {
        let wrong = |source: sqlx::Error| Error::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(15));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(wrong)?;
        sqlx::migrate!().run(&pool).await.map_err(|error| wrong(error.into()))?;
        Ok(Store { pool })
    }

    /// Waits until everything is written and closes the file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn now() -> Result<String> {
    // To the second: finer times are noise in a history.
    let now =
        OffsetDateTime::now_utc().replace_nanosecond(0).map_err(|error| Error::Record(error.to_string()))?;
    now.format(&Rfc3339).map_err(|error| Error::Record(error.to_string()))
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Record(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Record(error.to_string()))
}
