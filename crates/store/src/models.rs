use record::Model;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{
    Error, Part, Store,
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
    /// Writes a model down that is in its place already; its `created_at` is set here.
    pub async fn add_model(&self, model: &Model) -> Result<Model> {
        self.place_model(model, || Ok::<(), Error>(())).await
    }

    /// Writes a model down. `place` runs inside the transaction, just before it is committed:
    /// there the caller renames the folder into place, so that row and folder come together.
    pub async fn place_model<E>(
        &self,
        model: &Model,
        place: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<Model, E>
    where
        E: From<Error>,
    {
        let mut transaction = self.pool.begin().await.map_err(Error::from)?;
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
            .execute(&mut *transaction)
            .await
            .map_err(Error::named(&model.name))?;
        // Read before it is certain: nothing may fail after that, or the caller would take the folder back.
        let row: ModelRow = sqlx::query_as("SELECT * FROM models WHERE name = ?")
            .bind(&model.name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(Error::from)?;
        place()?;
        transaction.commit().await.map_err(Error::from)?;
        Ok(self.model_in_place(row.0))
    }

    /// All models: those that were added first, the built-in one last.
    pub async fn models(&self) -> Result<Vec<Model>> {
        let all = sqlx::query("SELECT * FROM models ORDER BY built_in, created_at, name");
        let rows: Vec<ModelRow> = self.understood("model", "name", &all.fetch_all(&self.pool).await?);
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
        self.check_unused(Part::Models, &model.name).await?;
        self.forget(Part::Models, &model.name).await?;
        Ok(model)
    }
}
