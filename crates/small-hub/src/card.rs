//! The metadata at the head of a card, README.md: so much of YAML as cards use. Anchors, tags and several
//! documents are not understood, and what is not understood is left out.

use serde_json::{Map, Value};

struct Line<'a> {
    indent: usize,
    text: &'a str,
}

/// What stands between the two lines of "---" at the head.
pub(crate) fn metadata(card: &str) -> Option<Value> {
    let rest = card.strip_prefix("---\n").or_else(|| card.strip_prefix("---\r\n"))?;
    let head = rest.split("\n---").next()?;
    let lines: Vec<Line> = head
        .lines()
        .map(|line| Line { indent: line.len() - line.trim_start().len(), text: line.trim() })
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
        .collect();
    let mut at = 0;
    Some(block(&lines, &mut at, 0))
}

/// The lines from here on that are indented at least so far: a list or a map.
fn block(lines: &[Line], at: &mut usize, least: usize) -> Value {
    match lines.get(*at) {
        Some(line) if line.indent >= least && is_item(line.text) => list(lines, at, line.indent),
        Some(line) if line.indent >= least => Value::Object(map(lines, at, line.indent)),
        _ => Value::Null,
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

fn list(lines: &[Line], at: &mut usize, indent: usize) -> Value {
    let mut items = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent == indent && is_item(line.text)) {
        let text = line.text[1..].trim();
        *at += 1;
        if text.is_empty() {
            items.push(block(lines, at, indent + 1));
        } else if let Some((key, value)) = pair(text) {
            // A map whose first pair stands behind the dash; the others are indented as that is.
            let mut entries = Map::new();
            let inner = indent + (line.text.len() - text.len());
            let value = if value.is_empty() { block(lines, at, inner + 1) } else { scalar(value) };
            entries.insert(key.to_owned(), value);
            if lines.get(*at).is_some_and(|next| next.indent == inner && !is_item(next.text)) {
                entries.extend(map(lines, at, inner));
            }
            items.push(Value::Object(entries));
        } else {
            items.push(scalar(text));
        }
    }
    Value::Array(items)
}

fn map(lines: &[Line], at: &mut usize, indent: usize) -> Map<String, Value> {
    let mut entries = Map::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent >= indent) {
        *at += 1;
        let Some((key, value)) = pair(line.text).filter(|_| line.indent == indent) else { continue };
        let value = if value.is_empty() {
            // A list may stand under its key without being indented.
            let list_here = lines.get(*at).is_some_and(|next| next.indent == indent && is_item(next.text));
            block(lines, at, if list_here { indent } else { indent + 1 })
        } else {
            scalar(value)
        };
        entries.insert(key.to_owned(), value);
    }
    entries
}

fn pair(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let (key, value) = text.split_once(':')?;
    (value.is_empty() || value.starts_with(' ')).then(|| (key.trim(), value.trim()))
}

fn scalar(text: &str) -> Value {
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Value::Array(items.map(scalar).collect());
    }
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return Value::String(inner.to_owned());
        }
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" | "~" => Value::Null,
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) if number.is_finite() => Value::from(number),
            _ => Value::String(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::metadata;

    #[test]
    fn cards_are_read() {
        let card = "---\nlicense: mit\ntags:\n- mbti\n- text-classification\nlanguage: [en, zh]\nconfigs:\n- config_name: \
                    default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\nsize: 3\n---\n# Title\n";
        let expected = json!({
            "license": "mit",
            "tags": ["mbti", "text-classification"],
            "language": ["en", "zh"],
            "configs": [
                {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
            ],
            "size": 3,
        });
        assert_eq!(metadata(card), Some(expected));
        assert_eq!(metadata("# Title\n"), None);
    }
}
