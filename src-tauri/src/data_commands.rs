//! What the window can ask of data sets besides looking at them.

use std::path::Path;

use app::{
    ImportOptions, Reading,
    data_sets::{self, Parting},
};
use record::{Cleaning, ColumnMapping, ImportPreview, ImportReport, Leaks, SplitBy};
use tauri::State;

use crate::{
    Shell,
    commands::{Answer, told},
};

#[tauri::command]
pub async fn preview_import(path: String) -> Answer<ImportPreview> {
    data_sets::preview(Path::new(&path), Reading::default()).map_err(told)
}

#[tauri::command]
pub async fn import_data_set(
    shell: State<'_, Shell>,
    path: String,
    name: Option<String>,
    mapping: Option<ColumnMapping>,
) -> Answer<ImportReport> {
    let options = ImportOptions { mapping, ..ImportOptions::default() };
    data_sets::import(&shell.home, Path::new(&path), name.as_deref(), &options, |_| true).await.map_err(told)
}

#[tauri::command]
pub async fn clean_data_set(
    shell: State<'_, Shell>,
    from: String,
    to: String,
    cleaning: Cleaning,
) -> Answer<ImportReport> {
    data_sets::clean(&shell.home, &from, &to, &cleaning, |_, _| true).await.map_err(told)
}

#[tauri::command]
pub async fn split_data_set(
    shell: State<'_, Shell>,
    from: String,
    by: SplitBy,
    valid_fraction: f64,
    test_fraction: f64,
) -> Answer<Vec<ImportReport>> {
    let parting = Parting { by, valid_fraction, test_fraction, folds: None, seed: 0 };
    data_sets::part(&shell.home, &from, &from, parting).await.map_err(told)
}

#[tauri::command]
pub async fn data_set_leaks(shell: State<'_, Shell>, name: String, by: SplitBy) -> Answer<Leaks> {
    data_sets::leaks(&shell.home, &name, by).await.map_err(told)
}
