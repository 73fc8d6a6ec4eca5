//! The history in SQLite: data sets, models, runs and their metrics.
//!
//! The window and any number of engines have it open at once: write-ahead logging lets them
//! read while one writes, and a busy timeout lets writers wait for each other.

mod curve;
mod data_sets;
mod error;
mod findings;
mod lifetime;
mod lock;
mod models;
mod open;
mod parts;
mod passed_over;
mod places;
mod run_evaluations;
mod runs;
mod told;
mod wishes;

use std::path::PathBuf;

use sqlx::sqlite::SqlitePool;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use data_sets::NewDataSet;
pub use error::Error;
pub use lock::HomeLock;
pub use parts::Part;
pub use told::Told;
pub use wishes::{Stop, Wishes};

use error::Result;

/// The open history.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    /// The folder that it lies in, from which the paths in it are told.
    home: PathBuf,
    path: PathBuf,
    passed_over: passed_over::PassedOver,
}

impl Store {
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
