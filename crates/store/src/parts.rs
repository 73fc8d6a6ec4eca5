//! What a home keeps in folders with a record for each: data sets, models, runs.

use sqlx::AssertSqlSafe;

use crate::{Error, Store, error::Result};

/// One kind of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    DataSets,
    Models,
    Runs,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::DataSets, Part::Models, Part::Runs];

    /// The name of the folder in the home that holds theirs.
    pub fn folder(self) -> &'static str {
        match self {
            Part::DataSets => "datasets",
            Part::Models => "models",
            Part::Runs => "runs",
        }
    }

    /// The table and the column that hold the names of their folders.
    fn table(self) -> (&'static str, &'static str) {
        match self {
            Part::DataSets => ("data_sets", "name"),
            Part::Models => ("models", "name"),
            Part::Runs => ("runs", "id"),
        }
    }
}

impl Store {
    /// The names of all folders of this kind that have a record, as they were given.
    pub async fn names(&self, part: Part) -> Result<Vec<String>> {
        let (table, column) = part.table();
        let query = format!("SELECT CAST({column} AS TEXT) FROM {table}");
        Ok(sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&self.pool).await?)
    }

    /// Refuses what an active run uses, or is.
    pub async fn check_unused(&self, part: Part, name: &str) -> Result<()> {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let uses = |run: &record::Run| match part {
            Part::DataSets => same(&run.config.data) || run.config.valid.as_deref().is_some_and(same),
            Part::Models => same(&run.config.model),
            Part::Runs => same(&run.id.to_string()),
        };
        match self.active_runs().await?.into_iter().find(uses) {
            Some(run) if part == Part::Runs => Err(Error::RunIsActive { run: run.id }),
            Some(run) => Err(Error::InUse { name: name.to_owned(), run: run.id }),
            None => Ok(()),
        }
    }

    /// Takes a record out of the history, with what belongs to it. One that is not there is no error.
    pub async fn forget(&self, part: Part, name: &str) -> Result<()> {
        let (table, column) = part.table();
        let query = format!("DELETE FROM {table} WHERE {column} = ?");
        sqlx::query(AssertSqlSafe(query)).bind(name).execute(&self.pool).await?;
        Ok(())
    }
}
