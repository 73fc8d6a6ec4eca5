//! Prepares what the desktop program is built with: the permissions of its commands and, on a
//! fresh clone, an empty page, so that the Rust side checks without Node.

use std::{fs, io, path::Path};

/// Every command that the window may call; each becomes a permission of its own, and the
/// capability names them one by one.
const COMMANDS: &[&str] = &[
    "home",
    "list_data_sets",
    "show_data_set",
    "pick_file",
    "pick_any_file",
    "pick_data_folder",
    "pick_new_file",
    "stop_work",
    "preview_import",
    "import_data_set",
    "clean_data_set",
    "sample_data_set",
    "split_data_set",
    "data_set_leaks",
    "type_words_alone",
    "export_data_set",
    "import_sample",
    "remove_data_set",
    "list_models",
    "pick_folder",
    "add_model",
    "remove_model",
    "default_config",
    "presets",
    "list_devices",
    "estimate_run",
    "start_training",
    "pause_run",
    "unpause_run",
    "stop_run",
    "resume_run",
    "remove_run",
    "merge_run",
    "list_runs",
    "show_run",
    "predict",
    "evaluate_run",
    "list_evaluations",
    "compare_evaluations",
    "hub_state",
    "set_hub_settings",
    "hub_account",
    "hub_login",
    "hub_logout",
    "catalogue",
    "search_hub",
    "plan_model",
    "plan_data_set",
    "fetch_model",
    "fetch_data_set",
    "plan_push",
    "push_run",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ensure_page(Path::new("ui/dist"))?;
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    println!("cargo:rerun-if-changed=tauri.conf.json");
    // The page is embedded, and Tauri's macro does not look whether it has changed.
    println!("cargo:rerun-if-changed=ui/dist");
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    let attributes = tauri_build::Attributes::new()
        .app_manifest(manifest)
        .capabilities_path_pattern("src-tauri/capabilities/*.json");
    tauri_build::try_build(attributes)?;
    Ok(())
}

fn ensure_page(folder: &Path) -> io::Result<()> {
    let page = folder.join("index.html");
    if !page.exists() {
        fs::create_dir_all(folder)?;
        fs::write(page, "<!doctype html><title>MBTI Tuner</title><p>Run make build first.</p>")?;
    }
    Ok(())
}
