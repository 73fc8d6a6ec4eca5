//! What the window can ask for. Each command hands on and turns an error into its plain record.

use app::{
    data_sets, engine, models,
    runs::{self, Stop},
};
use record::{
    Chosen, DataSet, Device, DeviceInfo, Model, Prediction, PresetConfig, Run, RunEstimate, RunProgress,
    TrainConfig,
};
use tauri::{AppHandle, State};

use crate::{
    Shell,
    answer::{Answer, told},
    chosen::Purpose,
    consent::Language,
    file_dialog::{self, Wanted},
    hub_commands,
};

#[tauri::command]
pub fn home(shell: State<'_, Shell>) -> String {
    shell.home.folder.display().to_string()
}

#[tauri::command]
pub async fn list_data_sets(shell: State<'_, Shell>) -> Answer<Vec<DataSet>> {
    data_sets::list(&shell.home).await.map_err(told)
}

/// What the user chose in the dialog, kept for a purpose; nothing when it was cancelled.
async fn choose(window: &AppHandle, shell: &Shell, purpose: Purpose, wanted: Wanted) -> Option<Chosen> {
    // One dialog at a time, since a page that was taken over could fill the screen with them.
    let _turn = shell.dialogs.try_lock().ok()?;
    let path = file_dialog::choose(window, wanted).await?;
    Some(shell.chosen.keep(path, purpose))
}

/// A file of texts.
#[tauri::command]
pub async fn pick_file(window: AppHandle, shell: State<'_, Shell>) -> Answer<Option<Chosen>> {
    Ok(choose(&window, &shell, Purpose::Texts, Wanted::Texts).await)
}

/// A folder with files of texts.
#[tauri::command]
pub async fn pick_data_folder(window: AppHandle, shell: State<'_, Shell>) -> Answer<Option<Chosen>> {
    Ok(choose(&window, &shell, Purpose::Texts, Wanted::Folder).await)
}

/// A file of settings, of whatever kind.
#[tauri::command]
pub async fn pick_any_file(window: AppHandle, shell: State<'_, Shell>) -> Answer<Option<Chosen>> {
    Ok(choose(&window, &shell, Purpose::Setting, Wanted::AnyFile).await)
}

/// A model folder.
#[tauri::command]
pub async fn pick_folder(window: AppHandle, shell: State<'_, Shell>) -> Answer<Option<Chosen>> {
    Ok(choose(&window, &shell, Purpose::Model, Wanted::Folder).await)
}

/// Where a new file is to be; one that is there already is not replaced, whatever the dialog says.
#[tauri::command]
pub async fn pick_new_file(
    window: AppHandle,
    shell: State<'_, Shell>,
    name: String,
) -> Answer<Option<Chosen>> {
    // A name, and no folder that somebody would write to without looking.
    let name = record::one_line(&name).replace(['/', '\\'], "_");
    Ok(choose(&window, &shell, Purpose::NewFile, Wanted::NewFile { name }).await)
}

#[tauri::command]
pub async fn remove_data_set(shell: State<'_, Shell>, name: String) -> Answer<()> {
    data_sets::remove(&shell.home, &name).await.map_err(told)
}

#[tauri::command]
pub async fn list_models(shell: State<'_, Shell>) -> Answer<Vec<Model>> {
    models::list(&shell.home).await.map_err(told)
}

#[tauri::command]
pub async fn add_model(shell: State<'_, Shell>, handle: u32, name: Option<String>) -> Answer<Model> {
    let path = shell.chosen.path(handle, Purpose::Model)?;
    models::add(&shell.home, &path, name.as_deref()).await.map_err(told)
}

#[tauri::command]
pub async fn remove_model(shell: State<'_, Shell>, name: String) -> Answer<()> {
    models::remove(&shell.home, &name).await.map_err(told)
}

#[tauri::command]
pub async fn default_config(shell: State<'_, Shell>) -> Answer<TrainConfig> {
    runs::default_config(&shell.home).await.map_err(told)
}

#[tauri::command]
pub async fn presets(shell: State<'_, Shell>) -> Answer<Vec<PresetConfig>> {
    runs::presets(&shell.home).await.map_err(told)
}

/// What the engine can compute on.
#[tauri::command]
pub async fn list_devices(shell: State<'_, Shell>) -> Answer<Vec<DeviceInfo>> {
    engine::devices(&shell.home).await.map_err(told)
}

#[tauri::command]
pub async fn estimate_run(shell: State<'_, Shell>, config: TrainConfig) -> Answer<RunEstimate> {
    shell.estimator.estimate(&shell.home, &config).await.map_err(told)
}

#[tauri::command]
pub async fn start_training(
    window: AppHandle,
    shell: State<'_, Shell>,
    config: TrainConfig,
    language: Language,
) -> Answer<i64> {
    if let Some(repo) = &config.push_to_hub {
        hub_commands::agree_to_push(&window, &shell, language, repo, config.hub_private_repo, None).await?;
    }
    // An estimate that is still being made would hold the memory that the run needs.
    shell.estimator.end();
    engine::start(&shell.home, &config).await.map_err(told)
}

#[tauri::command]
pub async fn pause_run(shell: State<'_, Shell>, run: i64) -> Answer<()> {
    runs::pause(&shell.home, run).await.map_err(told)
}

#[tauri::command]
pub async fn unpause_run(shell: State<'_, Shell>, run: i64) -> Answer<()> {
    runs::unpause(&shell.home, run).await.map_err(told)
}

#[tauri::command]
pub async fn stop_run(shell: State<'_, Shell>, run: i64, now: bool) -> Answer<()> {
    runs::stop(&shell.home, run, if now { Stop::Now } else { Stop::Save }).await.map_err(told)
}

#[tauri::command]
pub async fn resume_run(shell: State<'_, Shell>, run: i64, device: Option<Device>) -> Answer<()> {
    // An estimate that is still being made would hold the memory that the run needs.
    shell.estimator.end();
    engine::resume(&shell.home, run, device).await.map_err(told)
}

#[tauri::command]
pub async fn remove_run(shell: State<'_, Shell>, run: i64) -> Answer<()> {
    // A predictor that has the run's model open would keep answering for a run that is gone.
    shell.predictor.close().await;
    runs::remove(&shell.home, run).await.map_err(told)
}

#[tauri::command]
pub async fn merge_run(shell: State<'_, Shell>, run: i64) -> Answer<()> {
    // A predictor that has the run's adapter open would keep answering by it.
    shell.predictor.closed_during(engine::merge(&shell.home, run)).await.map_err(told)
}

#[tauri::command]
pub async fn list_runs(shell: State<'_, Shell>) -> Answer<Vec<Run>> {
    runs::list(&shell.home).await.map_err(told)
}

#[tauri::command]
pub async fn show_run(shell: State<'_, Shell>, run: i64, after_step: u32) -> Answer<RunProgress> {
    runs::show(&shell.home, run, after_step).await.map_err(told)
}

#[tauri::command]
pub async fn predict(shell: State<'_, Shell>, run: i64, text: String) -> Answer<Prediction> {
    shell.predictor.predict(&shell.home, run, &text).await.map_err(told)
}
