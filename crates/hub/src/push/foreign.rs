//! Texts of strangers in a model card. They come from repositories, data sets and models of others, and the card is the
//! user's own: there they are words, and never markup, metadata or code.

/// The longest text of a stranger in a card, in characters.
const LONGEST: usize = 200;

/// Where in the card a text is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A value in the YAML at its head.
    Yaml,
    /// Within a line of Markdown.
    Markdown,
    /// Between two backticks.
    Code,
}

/// A text of a stranger as it may stand there: one line, not too long, and nothing but itself.
pub(super) fn foreign(text: &str, place: Place) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(LONGEST).collect();
    let line = record::one_line(&start).into_owned() + if letters.next().is_some() { "…" } else { "" };
    match place {
        Place::Yaml if is_plain(&line) => line,
        // JSON's strings are YAML's as well, whatever they hold.
        Place::Yaml => serde_json::Value::String(line).to_string(),
        Place::Markdown => markdown(&line),
        // What stands between backticks is shown as it is; only one of them would end it.
        Place::Code => line.replace('`', "'"),
    }
}

/// Whether YAML takes a text for nothing but a text, without quotes around it.
fn is_plain(text: &str) -> bool {
    /// What YAML takes for something else, in any case.
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/');
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(plain)
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Every character that Markdown, HTML or an address would be made of gets a backslash, which CommonMark takes away.
/// Hyphens, commas, slashes and dots within a line are nothing by themselves, but for the dots of `www.`.
fn markdown(line: &str) -> String {
    let has_address = line.to_ascii_lowercase().contains("www");
    let mut text = String::with_capacity(line.len());
    for letter in line.chars() {
        let harmless = matches!(letter, '-' | ',' | '/') || (letter == '.' && !has_address);
        if letter.is_ascii_punctuation() && !harmless {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const MARKUP: &str = "[]()<>*_`!#&:|~@+={}\"'$^%";

    #[test]
    fn what_is_plain_stays_as_it_is_and_markup_becomes_text() {
        for plain in ["apache-2.0", "mit", "中文", "CC BY 4.0"] {
            assert_eq!(foreign(plain, Place::Markdown), plain);
        }
        let hostile = "mit](https://evil.example) ![x](http://e/x.png) <script>\n# Mine\n---\u{202e}`";
        let text = foreign(hostile, Place::Markdown);
        assert!(!text.contains('\n') && !text.contains('\u{202e}'), "{text}");
        assert!(
            text.contains("mit\\]\\(https\\://evil.example\\)") && text.contains("\\<script\\>"),
            "{text}"
        );
        assert_eq!(foreign("www.evil.example", Place::Markdown), "www\\.evil\\.example");
        assert_eq!(foreign("a`b\nc", Place::Code), "a'b\u{fffd}c");
        assert_eq!(foreign("x\nbase_model: y", Place::Yaml), "\"x\u{fffd}base_model: y\"");
        for plain in ["mit", "apache-2.0", "alice/tiny"] {
            assert_eq!(foreign(plain, Place::Yaml), plain);
        }
        for special in ["no", "True", "null", "1e3", "0x10", "", "~", "- x", ".inf", "a: b", "# x"] {
            assert_eq!(foreign(special, Place::Yaml), format!("\"{special}\""));
        }
        assert_eq!(foreign(&"a".repeat(10_000), Place::Code).chars().count(), LONGEST + 1);
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_line_or_its_quotes(text in any::<String>()) {
            let yaml = foreign(&text, Place::Yaml);
            prop_assert!(is_plain(&yaml) || serde_json::from_str::<String>(&yaml).is_ok());
            let markdown = foreign(&text, Place::Markdown);
            let code = foreign(&text, Place::Code);
            prop_assert!(!code.contains('`'));
            for shown in [yaml, markdown.clone(), code] {
                prop_assert!(record::one_line(&shown) == shown.as_str());
            }
            // Nothing that CommonMark works with stands there without a backslash of its own.
            let mut letters = markdown.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' => { letters.next().unwrap(); }
                    other => prop_assert!(!MARKUP.contains(other), "{}", markdown),
                }
            }
        }
    }
}
