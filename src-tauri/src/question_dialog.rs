//! A question of the system's own, answered by a button for yes and one for no.

use tauri::{AppHandle, Manager};
use tokio::sync::oneshot::{Receiver, channel};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub title: &'static str,
    pub text: String,
    pub yes: &'static str,
    pub no: &'static str,
}

/// Shows the question and gives where its answer will come. A dialog that is closed in another way says nothing.
///
/// By GTK itself, since the dialogs of rfd 0.17, on which Tauri's plugin stands, take their text for a format of
/// printf, and give the button for yes the focus: whoever is typing when the question comes up would agree to it.
#[cfg(target_os = "linux")]
pub fn show(app: &AppHandle, question: Question) -> Receiver<bool> {
    use gtk::{ButtonsType, MessageDialog, MessageType, ResponseType, prelude::*};

    let (tell, told) = channel();
    let window = app.get_webview_window("main");
    let build = move || {
        let parent = window.and_then(|window| window.gtk_window().ok());
        let Question { title, text, yes, no } = question;
        let dialog = MessageDialog::builder()
            .modal(true)
            .message_type(MessageType::Warning)
            .buttons(ButtonsType::None)
            .title(title)
            .text(title)
            .secondary_text(text)
            .build();
        dialog.set_transient_for(parent.as_ref());
        dialog.add_button(yes, ResponseType::Accept);
        let refuse = dialog.add_button(no, ResponseType::Reject);
        dialog.set_default_response(ResponseType::Reject);
        let tell = std::cell::Cell::new(Some(tell));
        dialog.connect_response(move |dialog, response| {
            // Closing it is a response as well, which comes too late to be one.
            if let Some(tell) = tell.take() {
                tell.send(response == ResponseType::Accept).ok();
                dialog.close();
            }
        });
        dialog.show_all();
        refuse.grab_focus();
    };
    // Where there is no main thread any more nobody is there to be asked.
    app.run_on_main_thread(build).ok();
    told
}

#[cfg(not(target_os = "linux"))]
pub fn show(app: &AppHandle, question: Question) -> Receiver<bool> {
    use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind};

    let (tell, told) = channel();
    let Question { title, text, yes, no } = question;
    let mut dialog = app
        .dialog()
        .message(text)
        .title(title)
        .kind(MessageDialogKind::Warning)
        .buttons(MessageDialogButtons::OkCancelCustom(yes.to_owned(), no.to_owned()));
    if let Some(window) = app.get_webview_window("main") {
        dialog = dialog.parent(&window);
    }
    dialog.show(|agreed| {
        tell.send(agreed).ok();
    });
    told
}
