//! Texts of strangers on their way into errors and records.

/// The longest text of a stranger that is shown, in characters.
const LONGEST: usize = 200;
/// Entries of a list of a stranger's that are shown.
const MOST: usize = 20;

/// A text that a Hub has sent, as one line without anything that a terminal obeys, and not longer than a line.
pub(crate) fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(LONGEST).collect();
    let more = if letters.next().is_some() { "…" } else { "" };
    format!("{}{more}", record::one_line(&start))
}

/// The same for a list, with commas between.
pub(crate) fn shown_list(texts: &[String]) -> String {
    let mut parts: Vec<String> = texts.iter().take(MOST).map(|text| shown(text)).collect();
    if texts.len() > MOST {
        parts.push("…".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_sends_is_one_short_line_that_no_terminal_obeys() {
        assert_eq!(shown("mit\u{1b}]0;x\nnext\u{202e}"), "mit\u{fffd}]0;x\u{fffd}next\u{fffd}");
        assert_eq!(shown(&"a".repeat(1000)).chars().count(), LONGEST + 1);
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let list = shown_list(&many);
        assert!(list.starts_with("0, 1, ") && list.ends_with("19, …"), "{list}");
    }
}
