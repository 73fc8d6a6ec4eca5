//! The head of a card, as far as the Hub and its users write what is asked for: maps and lists by indentation,
//! lists in brackets, and texts. Nothing else of YAML.

use serde_json::{Map, Value};

/// How deep lists and maps may lie in one another.
const DEPTH: usize = 16;

/// Some keys of the head between two lines of `---`, null without one; none where one of them cannot be understood.
pub(crate) fn head(text: &str, keys: &[&str]) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let Some((head, _)) = text.strip_prefix("---\n").and_then(|text| text.split_once("\n---")) else {
        return Some(Value::Null);
    };
    let mut found = Map::new();
    let mut lines = head.lines().peekable();
    while let Some(first) = lines.next() {
        let Some((key, _)) = first.split_once(':').filter(|(key, _)| keys.contains(key)) else { continue };
        let mut block = vec![first];
        // What is indented or begins with a dash belongs to the key.
        while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with([' ', '-', '#'])) {
            block.push(line);
        }
        let block: Vec<Line> = block.into_iter().filter_map(Line::of).collect();
        let mut rest = block.as_slice();
        let Value::Object(map) = node(&mut rest, 0, DEPTH)? else { return None };
        if !rest.is_empty() {
            return None;
        }
        found.insert(key.to_owned(), map.get(key)?.clone());
    }
    Some(Value::Object(found))
}

#[derive(Debug, Clone)]
struct Line<'a> {
    indent: usize,
    text: &'a str,
}

impl Line<'_> {
    fn of(line: &str) -> Option<Line<'_>> {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        (!text.is_empty() && !text.starts_with('#')).then_some(Line { indent, text })
    }
}

/// What stands at this indentation.
fn node(lines: &mut &[Line], indent: usize, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let first = lines.first().filter(|line| line.indent == indent)?;
    if first.text == "-" || first.text.starts_with("- ") {
        return list(lines, indent, depth);
    }
    let mut map = Map::new();
    while let Some(line) = lines.first().filter(|line| line.indent == indent && !is_item(line.text)) {
        let Some((key, rest)) = key_of(line.text) else {
            // One text, which nothing can follow.
            let value = scalar(line.text);
            *lines = &lines[1..];
            return value.filter(|_| map.is_empty());
        };
        *lines = &lines[1..];
        let value = match (rest, lines.first()) {
            ("", Some(next)) if next.indent > indent => node(lines, next.indent, depth)?,
            // A list may stand as far to the left as its key.
            ("", Some(next)) if next.indent == indent && is_item(next.text) => list(lines, indent, depth)?,
            ("", _) => Value::Null,
            (rest, _) => scalar(rest)?,
        };
        map.insert(key.to_owned(), value);
    }
    Some(Value::Object(map))
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

fn list(lines: &mut &[Line], indent: usize, depth: usize) -> Option<Value> {
    let mut values = Vec::new();
    while let Some(line) = lines.first().filter(|line| line.indent == indent && is_item(line.text)) {
        let text = line.text[1..].trim_start();
        // What stands behind the dash is the first line of the item.
        let inner = Line { indent: indent + line.text.len() - text.len(), text };
        let rest = &lines[1..];
        let end = rest.iter().position(|line| line.indent <= indent).unwrap_or(rest.len());
        let (own, behind) = rest.split_at(end);
        let item: Vec<Line> = Some(inner)
            .filter(|inner| !inner.text.is_empty())
            .into_iter()
            .chain(own.iter().cloned())
            .collect();
        let mut item = item.as_slice();
        values.push(match item.first().map(|line| line.indent) {
            Some(indent) => node(&mut item, indent, depth)?,
            None => Value::Null,
        });
        if !item.is_empty() {
            return None;
        }
        *lines = behind;
    }
    Some(Value::Array(values))
}

fn key_of(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once(':')?;
    let is_key = !key.starts_with(['"', '\'', '[', '{']) && (rest.is_empty() || rest.starts_with(' '));
    is_key.then(|| (key.trim(), rest.trim()))
}

fn scalar(text: &str) -> Option<Value> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
        return parts.map(scalar).collect::<Option<Vec<Value>>>().map(Value::Array);
    }
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote)?;
            return (!inner.contains([quote, '\\'])).then(|| Value::String(inner.to_owned()));
        }
    }
    // A note behind a text.
    let text = text.split_once(" #").map_or(text, |(text, _)| text.trim_end());
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        // A star begins a pattern as well as what is named elsewhere, which no card has.
        text if text.starts_with(['&', '!', '|', '>', '{', '%', '@', '`']) => None,
        text => Some(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn head(text: &str) -> Option<Value> {
        super::head(text, &["configs", "license"])
    }

    #[test]
    fn configs_are_read_as_they_are_written() {
        let text = "---\nlanguage:\n- en\npretty_name: 'a: b'\nlicense: cc-by-4.0  # as it says\ndataset_info:\n  \
                    features: |\n    x\nconfigs:\n  - config_name: \"one\"\n    default: true\n\n    data_files:\n    \
                    - split: train\n      path: data/train-*\n    - split: test\n      path:\n      - a.csv\n      \
                    - '*.csv'\n  # another\n  - config_name: two\n    data_files: [x.csv, \"y.csv\"]\n    data_dir: d\ntags: []\n---\n# A: b\n";
        assert_eq!(
            head(text).unwrap(),
            json!({
                "license": "cc-by-4.0",
                "configs": [
                    {"config_name": "one", "default": true, "data_files": [
                        {"split": "train", "path": "data/train-*"},
                        {"split": "test", "path": ["a.csv", "*.csv"]},
                    ]},
                    {"config_name": "two", "data_files": ["x.csv", "y.csv"], "data_dir": "d"},
                ],
            })
        );
        assert_eq!(head("# no head\n").unwrap(), Value::Null);
        assert_eq!(head("---\nlicense:\n- mit\n- x\n---\n").unwrap(), json!({"license": ["mit", "x"]}));
        for wrong in ["configs: {a: b}", "configs:\n- &x a\n", "configs:\n  - a\n - b", "configs: \"a"] {
            assert_eq!(head(&format!("---\n{wrong}\n---\n")), None, "{wrong}");
        }
        let deep = format!("---\nconfigs:\n{}a\n---\n", "- ".repeat(100_000));
        assert_eq!(head(&deep), None);
    }

    proptest! {
        #[test]
        fn no_card_makes_it_panic(text in "[-a: \\[\\]\n'\"#&é]{0,80}") {
            head(&format!("---\nconfigs:{text}\n---\n"));
        }
    }
}
