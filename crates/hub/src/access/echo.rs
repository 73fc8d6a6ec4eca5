//! Answers that send back the token that was sent with the question. What is read of an answer is shown, written down
//! and pushed, so that the token is taken out before anybody reads it.

use std::ops::Range;

use super::Token;

/// The length of the shortest token that is taken for a secret. Who has to give some token to a mirror says "none", and
/// any answer may have such a word in it.
const SECRET: usize = 8;

/// JSON without the token in any of its texts, however they are written. Nothing is copied where it is in none.
pub(super) fn without_token(json: Vec<u8>, token: &Token) -> Vec<u8> {
    let has_escapes = |text: &[u8]| text.contains(&b'\\');
    if token.reveal().len() < SECRET || !(has_escapes(&json) || token.is_in(&json)) {
        return json;
    }
    let (mut clean, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(place) = next_text(&json, at) {
        at = place.end;
        let written = &json[place.clone()];
        if !has_escapes(written) && !token.is_in(written) {
            continue;
        }
        // What is no text after all is refused by whoever reads the whole.
        let Ok(text) = serde_json::from_slice::<String>(written) else { continue };
        if token.is_in(text.as_bytes()) {
            clean.extend_from_slice(&json[copied..place.start]);
            clean.extend_from_slice(serde_json::Value::from(token.scrub(&text)).to_string().as_bytes());
            copied = place.end;
        }
    }
    if copied == 0 {
        return json;
    }
    clean.extend_from_slice(&json[copied..]);
    clean
}

/// The next text in JSON, with its quotes.
fn next_text(json: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + json.get(from..)?.iter().position(|byte| *byte == b'"')?;
    let mut end = start + 1;
    loop {
        match json.get(end)? {
            b'"' => return Some(start..end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn clean(json: &str, token: &str) -> String {
        let clean = without_token(json.as_bytes().to_vec(), &Token::parse(token).unwrap());
        String::from_utf8(clean).unwrap()
    }

    #[test]
    fn the_token_goes_out_of_every_text_and_key_and_nothing_else_changes() {
        const TOKEN: &str = "hf_secret/\"x\\";
        let written: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
        let json = format!(
            r#"{{"a\n": [1e5, "b\"", {{"hf_secret\/\"x\\": "{written}"}}], "c": "x HF_Secret/\"x\\\\ y", "d": "hf_secret"}}"#
        );
        assert_eq!(
            clean(&json, TOKEN),
            r#"{"a\n": [1e5, "b\"", {"…": "…"}], "c": "x …\\ y", "d": "hf_secret"}"#
        );
        assert_eq!(
            clean(r#"["main", "\u006dain"]"#, "main"),
            r#"["main", "\u006dain"]"#,
            "a word is no secret"
        );
    }

    proptest! {
        #[test]
        fn what_is_no_json_neither_fails_nor_changes_what_has_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let token = Token::parse("hf_secret").unwrap();
            prop_assert_eq!(without_token(bytes.clone(), &token), bytes);
        }

        #[test]
        fn no_text_has_the_token_whatever_stands_around_it(before in ".{0,9}", after in ".{0,9}") {
            let json = serde_json::json!([before.clone(), format!("{before}hf_secret{after}")]).to_string();
            let token = Token::parse("hf_secret").unwrap();
            let texts: Vec<String> = serde_json::from_slice(&without_token(json.into_bytes(), &token)).unwrap();
            prop_assert_eq!(texts, [before.clone(), format!("{before}…{after}")]);
        }
    }
}
