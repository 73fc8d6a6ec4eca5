use std::collections::BTreeMap;

use record::DataSet;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{
    Error, Part, Store,
    error::{Result, joined},
    from_json, now, to_json,
};

/// A data set that is about to be written down.
#[derive(Debug, Clone)]
pub struct NewDataSet {
    pub name: String,
    pub source: String,
    pub made_up: bool,
    pub examples: i64,
    pub authors: Option<i64>,
    pub skipped: i64,
    pub types: BTreeMap<String, i64>,
    pub bytes: i64,
    pub fingerprint: String,
}

struct DataSetRow(DataSet);

impl FromRow<'_, SqliteRow> for DataSetRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let types: String = row.try_get("types")?;
        Ok(DataSetRow(DataSet {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            source: row.try_get("source")?,
            made_up: row.try_get("made_up")?,
            examples: row.try_get("examples")?,
            authors: row.try_get("authors")?,
            skipped: row.try_get("skipped")?,
            types: from_json(&types).map_err(|error| sqlx::Error::Decode(error.into()))?,
            bytes: row.try_get("bytes")?,
            created_at: row.try_get("created_at")?,
            fingerprint: row.try_get("fingerprint")?,
        }))
    }
}

impl Store {
    /// Writes a data set down. `place` runs inside the transaction, just before it is committed:
    /// there the caller renames the folder into place, so that row and folder come together.
    pub async fn add_data_set<E>(
        &self,
        new: &NewDataSet,
        place: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<DataSet, E>
    where
        E: From<Error>,
    {
        let mut transaction = self.pool.begin().await.map_err(Error::from)?;
        let query = sqlx::query(
            "INSERT INTO data_sets \
             (name, source, made_up, examples, authors, skipped, types, bytes, fingerprint, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        query
            .bind(&new.name)
            .bind(&new.source)
            .bind(new.made_up)
            .bind(new.examples)
            .bind(new.authors)
            .bind(new.skipped)
            .bind(to_json(&new.types)?)
            .bind(new.bytes)
            .bind(&new.fingerprint)
            .bind(now()?)
            .execute(&mut *transaction)
            .await
            .map_err(Error::named(&new.name))?;
        // Read before it is certain: nothing may fail after that, or the caller would take the folder back.
        let row: DataSetRow = sqlx::query_as("SELECT * FROM data_sets WHERE name = ?")
            .bind(&new.name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(Error::from)?;
        place()?;
        transaction.commit().await.map_err(Error::from)?;
        Ok(row.0)
    }

    /// Gives a data set of an older version the fingerprint of its texts; one that was removed meanwhile is no error.
    pub async fn set_fingerprint(&self, data_set: i64, fingerprint: &str) -> Result<()> {
        let query = sqlx::query("UPDATE data_sets SET fingerprint = ? WHERE id = ?");
        query.bind(fingerprint).bind(data_set).execute(&self.pool).await?;
        Ok(())
    }

    /// All data sets, the oldest first.
    pub async fn data_sets(&self) -> Result<Vec<DataSet>> {
        let rows = sqlx::query("SELECT * FROM data_sets ORDER BY id").fetch_all(&self.pool).await?;
        let rows: Vec<DataSetRow> = self.understood("data set", "name", &rows);
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    pub async fn data_set(&self, name: &str) -> Result<DataSet> {
        let row: Option<DataSetRow> = sqlx::query_as("SELECT * FROM data_sets WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        if let Some(row) = row {
            return Ok(row.0);
        }
        let known = joined(self.data_sets().await?.into_iter().map(|data_set| data_set.name));
        Err(Error::UnknownDataSet { name: name.to_owned(), known })
    }

    /// Forgets a data set that no active run uses.
    pub async fn remove_data_set(&self, name: &str) -> Result<DataSet> {
        let data_set = self.data_set(name).await?;
        self.check_unused(Part::DataSets, &data_set.name).await?;
        self.forget(Part::DataSets, &data_set.name).await?;
        Ok(data_set)
    }
}
