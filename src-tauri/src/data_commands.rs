//! What the window can ask of data sets besides listing and removing them. Whatever reads many texts does so
//! apart from the threads that answer the window; what may take minutes tells how far it is, too, and is
//! stopped by its number.

use app::{
    ImportOptions, Reading, apart,
    data_sets::{self, Parting},
    engine,
};
use record::{
    Cleaning, ColumnMapping, DataSetDetail, ExportFormat, ImportPreview, ImportReport, Leaks, SplitBy,
    WorkProgress,
};
use tauri::{State, ipc::Channel};

use crate::{
    Shell,
    answer::{Answer, told},
    chosen::Purpose,
};

/// A window that is gone hears nothing, and the work goes on without it.
pub(crate) fn tell(channel: Channel<WorkProgress>) -> impl FnMut(WorkProgress) {
    move |progress| drop(channel.send(progress))
}

#[tauri::command]
pub fn stop_work(shell: State<'_, Shell>, work: u32) {
    shell.works.stop(work);
}

#[tauri::command]
pub async fn show_data_set(shell: State<'_, Shell>, name: String) -> Answer<DataSetDetail> {
    apart(&shell.home, async move |home| data_sets::show(&home, &name).await).await.map_err(told)
}

#[tauri::command]
pub async fn preview_import(shell: State<'_, Shell>, handle: u32) -> Answer<ImportPreview> {
    let path = shell.chosen.path(handle, Purpose::Texts)?;
    let preview = async move |_| data_sets::preview(&path, Reading::default());
    apart(&shell.home, preview).await.map_err(told)
}

#[tauri::command]
pub async fn import_data_set(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    handle: u32,
    name: Option<String>,
    mapping: Option<ColumnMapping>,
) -> Answer<ImportReport> {
    let path = shell.chosen.path(handle, Purpose::Texts)?;
    let options = ImportOptions { mapping, ..ImportOptions::default() };
    let import = async move |home, mut watch: app::Watch| {
        data_sets::import(&home, &path, name.as_deref(), &options, |at| watch.tell(at)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), import).await.map_err(told)
}

#[tauri::command]
pub async fn import_sample(shell: State<'_, Shell>) -> Answer<ImportReport> {
    apart(&shell.home, async |home| data_sets::import_sample(&home).await).await.map_err(told)
}

#[tauri::command]
pub async fn clean_data_set(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    from: String,
    to: String,
    cleaning: Cleaning,
) -> Answer<ImportReport> {
    let clean = async move |home, mut watch: app::Watch| {
        data_sets::clean(&home, &from, &to, &cleaning, |done, total| watch.texts(done, total)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), clean).await.map_err(told)
}

#[tauri::command]
pub async fn sample_data_set(
    shell: State<'_, Shell>,
    from: String,
    to: String,
    fraction: f64,
    seed: u32,
) -> Answer<ImportReport> {
    let sample = async move |home| data_sets::sample(&home, &from, &to, fraction, seed).await;
    apart(&shell.home, sample).await.map_err(told)
}

#[tauri::command]
pub async fn split_data_set(
    shell: State<'_, Shell>,
    from: String,
    by: SplitBy,
    valid_fraction: f64,
    test_fraction: f64,
    folds: Option<u32>,
) -> Answer<Vec<ImportReport>> {
    let parting = Parting { by, valid_fraction, test_fraction, folds, seed: 0 };
    let part = async move |home| data_sets::part(&home, &from, &from, parting).await;
    apart(&shell.home, part).await.map_err(told)
}

#[tauri::command]
pub async fn data_set_leaks(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    name: String,
    by: SplitBy,
) -> Answer<Leaks> {
    let leaks = async move |home, mut watch: app::Watch| {
        data_sets::leaks(&home, &name, by, |done, total| watch.texts(done, total)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), leaks).await.map_err(told)
}

#[tauri::command]
pub async fn type_words_alone(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    name: String,
    by: SplitBy,
) -> Answer<Leaks> {
    let leaks =
        async move |home, watch: app::Watch| engine::leaks(&home, &name, by, || watch.goes_on()).await;
    shell.works.follow(&shell.home, work, tell(progress), leaks).await.map_err(told)
}

#[tauri::command]
#[allow(clippy::too_many_arguments)]
pub async fn export_data_set(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    name: String,
    handle: u32,
    format: ExportFormat,
    safe_cells: bool,
) -> Answer<()> {
    let path = shell.chosen.path(handle, Purpose::NewFile)?;
    let export = async move |home, mut watch: app::Watch| {
        let progress = |done, total| watch.texts(done, total);
        data_sets::export(&home, &name, &path, format, safe_cells, progress).await
    };
    shell.works.follow(&shell.home, work, tell(progress), export).await.map_err(told)
}
