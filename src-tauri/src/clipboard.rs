//! The clipboard, from which a token is taken so that it never has to pass through the page.

use arboard::Clipboard;

/// The text on the clipboard; nothing where there is none, or where the system lets nobody read it.
pub fn read() -> String {
    Clipboard::new().and_then(|mut clipboard| clipboard.get_text()).unwrap_or_default()
}

/// Empties the clipboard if it still holds this text, so that nobody pastes a token elsewhere by mistake.
pub fn clear_of(text: &str) {
    if let Ok(mut clipboard) = Clipboard::new()
        && clipboard.get_text().is_ok_and(|now| now == text)
    {
        clipboard.clear().ok();
    }
}
