/// Whether the text is what the pattern describes: `?` is one character, `*` any number of them and `**`
/// the same across slashes. With `anywhere`, `*` crosses slashes too, which is handier for addresses.
pub(crate) fn matches(pattern: &str, text: &str, anywhere: bool) -> bool {
    fits(pattern.as_bytes(), text.as_bytes(), anywhere)
}

fn fits(pattern: &[u8], text: &[u8], anywhere: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        // "**/" may also stand for no folder at all, as in .gitattributes.
        [b'*', b'*', b'/', rest @ ..] if fits(rest, text, anywhere) => true,
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|taken| fits(rest, &text[taken..], anywhere)),
        [b'*', rest @ ..] => {
            let reach = if anywhere { None } else { text.iter().position(|&byte| byte == b'/') }
                .unwrap_or(text.len());
            (0..=reach).any(|taken| fits(rest, &text[taken..], anywhere))
        }
        [b'?', rest @ ..] => {
            text.first().is_some_and(|&byte| byte != b'/') && fits(rest, &text[1..], anywhere)
        }
        [first, rest @ ..] => text.first() == Some(first) && fits(rest, &text[1..], anywhere),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_cross_slashes_only_where_asked() {
        assert!(matches("*.bin", "model.bin", false));
        assert!(!matches("*.bin", "onnx/model.bin", false));
        assert!(matches("*.bin", "onnx/model.bin", true));
        assert!(matches("saved_model/**/*", "saved_model/a/b", false));
        assert!(matches("saved_model/**/*", "saved_model/b", false));
        assert!(matches("/a/*/commit/*", "/a/b/c/commit/main", true));
        assert!(!matches("*.bin", "model.bin.txt", true));
        assert!(matches("part-?", "part-3", true));
    }
}
