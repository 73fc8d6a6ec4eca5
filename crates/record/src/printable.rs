//! Texts of strangers where people read them: names, licences, paths, answers of servers.

use std::borrow::Cow;

/// What stands for a character that must not be shown.
const REPLACEMENT: char = '\u{FFFD}';

/// A text without the characters by which it could do more than be read: control characters, which a terminal obeys,
/// and those that turn the direction of writing, which make a text look like another. Line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    filtered(text, |letter| !matches!(letter, '\n' | '\t') && is_unprintable(letter))
}

/// The same for what has to stay in its line, such as a name.
pub fn one_line(text: &str) -> Cow<'_, str> {
    filtered(text, is_unprintable)
}

fn filtered(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|letter| if bad(letter) { REPLACEMENT } else { letter }).collect())
}

/// Whether a character could do more than be read.
pub fn is_unprintable(letter: char) -> bool {
    // C0, DEL and C1; the line and paragraph separators; the controls of UAX #9 for bidirectional text.
    letter.is_control()
        || matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_and_what_turns_writing_is_replaced_and_all_else_stays() {
        for plain in ["", "a b", "中文，《书》", "naïve 👩‍💻", "עברית"] {
            assert!(matches!(one_line(plain), Cow::Borrowed(text) if text == plain), "{plain}");
        }
        assert_eq!(one_line("a\u{1b}[31mb\u{7f}\u{9b}2J"), "a\u{FFFD}[31mb\u{FFFD}\u{FFFD}2J");
        assert_eq!(one_line("x\u{202e}gpj.exe\u{2066}\u{200f}"), "x\u{FFFD}gpj.exe\u{FFFD}\u{FFFD}");
        assert_eq!(one_line("a\r\nb\tc"), "a\u{FFFD}\u{FFFD}b\u{FFFD}c");
        assert_eq!(printable("a\r\nb\tc"), "a\u{FFFD}\nb\tc");
    }
}
