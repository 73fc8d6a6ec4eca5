//! The desktop shell: a window, and commands that hand on to the `app` crate. It links no candle;
//! training and prediction are the engine's, in processes of its own.

mod answer;
mod chosen;
mod clipboard;
mod commands;
mod consent;
mod data_commands;
mod evaluation_commands;
mod file_dialog;
mod hub_commands;
mod own_pages;
mod question_dialog;

use std::path::PathBuf;

use app::{Home, Works, engine::Estimator, prediction::Predictor};
use chosen::ChosenPaths;
use consent::OneAtATime;

/// What the commands work with.
pub struct Shell {
    pub home: Home,
    pub predictor: Predictor,
    pub estimator: Estimator,
    pub works: Works,
    chosen: ChosenPaths,
    questions: OneAtATime,
    /// Held while a dialog for files is open.
    dialogs: tokio::sync::Mutex<()>,
}

/// Opens the home and the window, and returns when the window is closed. `--home DIR` on the
/// command line chooses the home, as it does for the engine.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == file_dialog::CHOOSE) {
        // What nobody has chosen is no error, and no window either.
        return if file_dialog::answer(arguments) { Ok(()) } else { Err("nothing was chosen".into()) };
    }
    let folder = app::locate(home_argument(std::env::args_os()))?;
    let home = tauri::async_runtime::block_on(Home::open(&folder))?;
    tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .manage(Shell {
            home,
            predictor: Predictor::default(),
            estimator: Estimator::default(),
            works: Works::default(),
            chosen: ChosenPaths::default(),
            questions: OneAtATime::default(),
            dialogs: tokio::sync::Mutex::default(),
        })
        .setup(|app| own_pages::open_window(app))
        .invoke_handler(tauri::generate_handler![
            commands::home,
            commands::list_data_sets,
            data_commands::show_data_set,
            commands::pick_file,
            commands::pick_any_file,
            commands::pick_data_folder,
            commands::pick_new_file,
            data_commands::stop_work,
            data_commands::preview_import,
            data_commands::import_data_set,
            data_commands::clean_data_set,
            data_commands::sample_data_set,
            data_commands::split_data_set,
            data_commands::data_set_leaks,
            data_commands::type_words_alone,
            data_commands::export_data_set,
            data_commands::import_sample,
            commands::remove_data_set,
            commands::list_models,
            commands::pick_folder,
            commands::add_model,
            commands::remove_model,
            commands::default_config,
            commands::presets,
            commands::list_devices,
            commands::estimate_run,
            commands::start_training,
            commands::pause_run,
            commands::unpause_run,
            commands::stop_run,
            commands::resume_run,
            commands::remove_run,
            commands::merge_run,
            commands::list_runs,
            commands::show_run,
            commands::predict,
            evaluation_commands::evaluate_run,
            evaluation_commands::list_evaluations,
            evaluation_commands::compare_evaluations,
            hub_commands::hub_state,
            hub_commands::set_hub_settings,
            hub_commands::hub_account,
            hub_commands::hub_login,
            hub_commands::hub_logout,
            hub_commands::catalogue,
            hub_commands::search_hub,
            hub_commands::plan_model,
            hub_commands::plan_data_set,
            hub_commands::fetch_model,
            hub_commands::fetch_data_set,
            hub_commands::plan_push,
            hub_commands::push_run,
        ])
        .run(tauri::generate_context!())?;
    Ok(())
}

fn home_argument(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<PathBuf> {
    arguments.find(|argument| argument == "--home")?;
    arguments.next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_taken_from_the_command_line() {
        let of = |line: &str| home_argument(line.split(' ').map(Into::into));
        assert_eq!(of("mbti-tuner --home /x"), Some(PathBuf::from("/x")));
        assert_eq!(of("mbti-tuner --home"), None);
        assert_eq!(of("mbti-tuner"), None);
    }
}
