use record::Model;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{
    Error, Store,
    error::{Result, joined},
    now,
    runs::json,
    to_json,
};

struct ModelRow(Model);

impl FromRow<'_, SqliteRow> for ModelRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(ModelRow(Model {
            name: row.try_get("name")?,
            family: row.try_get("family")?,
            parameters: row.try_get("parameters")?,
            bytes: row.try_get("bytes")?,
            folder: row.try_get("folder")?,
            built_in: row.try_get("built_in")?,
            created_at: row.try_get("created_at")?,
            origin: json(row, "origin")?,
        }))
    }
}

impl Store {
    /// Writes a model down; its `created_at` is set here.
    pub async fn add_model(&self, model: &Model) -> Result<Model> {
        let query = sqlx::query(
            "INSERT INTO models (name, family, parameters, bytes, folder, built_in, created_at, origin) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        );
        query
            .bind(&model.name)
            .bind(&model.family)
            .bind(model.parameters)
            .bind(model.bytes)
            .bind(self.told(std::path::Path::new(&model.folder)))
            .bind(model.built_in)
            .bind(now()?)
            .bind(model.origin.as_ref().map(to_json).transpose()?)
            .execute(&self.pool)
            .await
            .map_err(Error::named(&model.name))?;
        self.model(&model.name).await
    }

    /// All models: those that were added first, the built-in one last.
    pub async fn models(&self) -> Result<Vec<Model>> {
        let rows: Vec<ModelRow> = sqlx::query_as("SELECT * FROM models ORDER BY built_in, created_at, name")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| self.model_in_place(row.0)).collect())
    }

    pub async fn model(&self, name: &str) -> Result<Model> {
        let row: Option<ModelRow> = sqlx::query_as("SELECT * FROM models WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        if let Some(row) = row {
            return Ok(self.model_in_place(row.0));
        }
        let known = joined(self.models().await?.into_iter().map(|model| model.name));
        Err(Error::UnknownModel { name: name.to_owned(), known })
    }

    /// Forgets a model that no active run starts from.
    pub async fn remove_model(&self, name: &str) -> Result<Model> {
        let model = self.model(name).await?;
        let uses = |run: &record::Run| run.config.model.eq_ignore_ascii_case(name);
        if let Some(run) = self.active_runs().await?.into_iter().find(uses) {
            return Err(Error::InUse { name: model.name, run: run.id });
        }
        sqlx::query("DELETE FROM models WHERE name = ?").bind(name).execute(&self.pool).await?;
        Ok(model)
    }
}
