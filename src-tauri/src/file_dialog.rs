//! The dialogs of the system's in which the user chooses a file or a folder.
//!
//! On Linux each is a process of its own: this program, called with `--choose`. GTK looks into the files that its dialog
//! lists, and whoever closes a file takes away all locks that the same process has on it (fcntl(2), "Record locks"),
//! SQLite's among them. A dialog in the window's own process that showed the home would split the history in two.

use std::path::PathBuf;

use tauri::AppHandle;

/// What is to be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Texts,
    AnyFile,
    Folder,
    /// A new file; the system's dialog asks before it names one that is there already.
    NewFile {
        name: String,
    },
}

/// The endings of files of texts; others can be chosen as well.
const TEXTS: [&str; 9] = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "gz", "zst"];
const TEXTS_NAME: &str = "CSV, TSV, JSON Lines, Parquet";

/// What the user has chosen; nothing where the dialog was cancelled or could not be shown.
#[cfg(target_os = "linux")]
pub async fn choose(_: &AppHandle, wanted: Wanted) -> Option<PathBuf> {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt, process::Stdio};

    let mut command = tokio::process::Command::new(std::env::current_exe().ok()?);
    command.arg(CHOOSE).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match wanted {
        Wanted::Texts => command.arg("texts"),
        Wanted::AnyFile => command.arg("file"),
        Wanted::Folder => command.arg("folder"),
        Wanted::NewFile { name } => command.arg("new").arg(name),
    };
    let answer = command.output().await.ok()?;
    let is_one = answer.status.success() && !answer.stdout.is_empty();
    is_one.then(|| PathBuf::from(OsString::from_vec(answer.stdout)))
}

#[cfg(not(target_os = "linux"))]
pub async fn choose(app: &AppHandle, wanted: Wanted) -> Option<PathBuf> {
    use tauri_plugin_dialog::DialogExt;

    let (tell, told) = tokio::sync::oneshot::channel();
    // The receiver is only gone when the window is, and then nobody waits for the answer.
    let tell = move |path| drop(tell.send(path));
    let dialog = app.dialog().file();
    match wanted {
        Wanted::Texts => dialog.add_filter(TEXTS_NAME, &TEXTS).add_filter("*", &["*"]).pick_file(tell),
        Wanted::AnyFile => dialog.pick_file(tell),
        Wanted::Folder => dialog.pick_folder(tell),
        Wanted::NewFile { name } => dialog.set_file_name(name).save_file(tell),
    }
    told.await.ok().flatten()?.into_path().ok()
}

/// The argument by which this program is a dialog and no window.
pub const CHOOSE: &str = "--choose";

/// Shows one dialog, writes what was chosen to standard output, and tells whether anything was.
#[cfg(target_os = "linux")]
pub fn answer(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    use std::{io::Write, os::unix::ffi::OsStrExt};

    use gtk::{FileChooserAction, FileChooserNative, FileFilter, ResponseType, prelude::*};

    if gtk::init().is_err() {
        return false;
    }
    let kind = arguments.next().unwrap_or_default();
    let action = match kind.to_str() {
        Some("folder") => FileChooserAction::SelectFolder,
        Some("new") => FileChooserAction::Save,
        _ => FileChooserAction::Open,
    };
    let dialog = FileChooserNative::new(Some("MBTI Tuner"), gtk::Window::NONE, action, None, None);
    if kind == "texts" {
        let (texts, all) = (FileFilter::new(), FileFilter::new());
        texts.set_name(Some(TEXTS_NAME));
        TEXTS.iter().for_each(|ending| texts.add_pattern(&format!("*.{ending}")));
        all.set_name(Some("*"));
        all.add_pattern("*");
        dialog.add_filter(texts);
        dialog.add_filter(all);
    }
    if let Some(name) = arguments.next() {
        dialog.set_current_name(&name.to_string_lossy());
        dialog.set_do_overwrite_confirmation(true);
    }
    let chosen = dialog.run() == ResponseType::Accept;
    let path = dialog.filename().filter(|_| chosen);
    path.is_some_and(|path| std::io::stdout().write_all(path.as_os_str().as_bytes()).is_ok())
}

/// Elsewhere dialogs are shown by the window itself.
#[cfg(not(target_os = "linux"))]
pub fn answer(_: impl Iterator<Item = std::ffi::OsString>) -> bool {
    false
}
