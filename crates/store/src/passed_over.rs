//! Rows that cannot be understood, as damage or another version may leave them. In a list they are passed over, so that
//! one of them does not make all others useless; they stay as they are, and it is said which they were.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::Store;

#[derive(Debug, Clone, Default)]
pub(crate) struct PassedOver(Arc<Mutex<BTreeSet<String>>>);

impl Store {
    /// What to say of the rows that were passed over so far.
    pub fn passed_over(&self) -> Vec<String> {
        self.passed_over.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Those of the rows that can be understood. `key` is the column that tells one from the other.
    pub(crate) fn understood<T>(&self, what: &str, key: &str, rows: &[SqliteRow]) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow>,
    {
        let mut understood = Vec::new();
        for row in rows {
            match T::from_row(row) {
                Ok(found) => understood.push(found),
                Err(error) => self.pass_over(what, key, row, &error.to_string()),
            }
        }
        understood
    }

    fn pass_over(&self, what: &str, key: &str, row: &SqliteRow, reason: &str) {
        let number = row.try_get::<i64, _>(key).map(|number| number.to_string());
        let name = number.or_else(|_| row.try_get::<String, _>(key)).unwrap_or_default();
        let reason = record::one_line(reason);
        let said = format!(
            "The history's row of {what} {name} cannot be understood and is left out: {reason}. The row and what lies in \
             the folder stay as they are."
        );
        self.passed_over.0.lock().unwrap_or_else(PoisonError::into_inner).insert(said);
    }
}
