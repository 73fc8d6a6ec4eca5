#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

fn tokenizer(normalizer: Value, pre_tokenizer: Value, post_processor: Value) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
        "decoder": null,
        "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0}}
    })
}

fn checked(file: &Value) -> Result<usize, String> {
    check(file.to_string().as_bytes())
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

fn sequence(rule: &Value, times: usize) -> Value {
    json!({"type": "Sequence", "normalizers": vec![rule.clone(); times]})
}

#[test]
fn rules_that_multiply_a_text_without_end_are_refused_before_they_meet_one() {
    let doubled = replace(json!({"String": "a"}), "aa");
    let by_regex = replace(json!({"Regex": "(?=.)"}), "aaaaaaaa");
    let nested = sequence(&sequence(&doubled, 8), 5);
    for normalizer in [
        sequence(&doubled, 40),
        nested,
        sequence(&by_regex, 5),
        replace(json!({"String": ""}), &"a".repeat(5000)),
        replace(json!({"String": "a"}), &"a".repeat(5000)),
        sequence(&json!({"type": "ByteLevel"}), 40),
        sequence(&json!({"type": "NFKD"}), 5),
        json!({"type": "Prepend", "prepend": "a".repeat(5 << 20)}),
        // Without its name, as old files have it.
        sequence(&json!({"pattern": {"String": "a"}, "content": "aa"}), 40),
    ] {
        let error = checked(&tokenizer(normalizer.clone(), Value::Null, Value::Null)).unwrap_err();
        assert!(error.contains("times as long") || error.contains("did not match"), "{normalizer}: {error}");
    }
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let bytes = json!({"type": "Sequence", "pretokenizers": vec![bytes; 40]});
    assert!(checked(&tokenizer(Value::Null, bytes, Value::Null)).unwrap_err().contains("times as long"));
}

#[test]
fn what_tokenizers_in_use_do_is_taken_and_leaves_room_for_long_texts() {
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                      "strip_accents": null, "lowercase": true});
    let llama = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, replace(json!({"String": " "}), "▁")]});
    let quotes = json!({"type": "Sequence", "normalizers": [
        replace(json!({"String": "``"}), "\""), replace(json!({"String": "''"}), "\""), {"type": "NFKD"},
        {"type": "StripAccents"}, {"type": "Lowercase"}, replace(json!({"Regex": " {2,}"}), " ")]});
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let qwen = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\s+"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]});
    for (normalizer, pre_tokenizer, least) in [
        (bert, json!({"type": "BertPreTokenizer"}), 1 << 20),
        (llama, Value::Null, 2 << 20),
        (json!({"type": "NFC"}), qwen, 1 << 20),
        (quotes, metaspace, 60 << 10),
    ] {
        let longest = checked(&tokenizer(normalizer, pre_tokenizer, Value::Null)).unwrap();
        assert!(longest >= least, "{longest}");
    }
}

#[test]
fn a_template_with_the_text_twice_or_tokens_unknown_is_refused() {
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let special = json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}});
    let template = |single: Vec<Value>, known: Value| {
        let pair = vec![text("A"), text("B")];
        let template =
            json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": known});
        let all = json!({"type": "Sequence", "processors": [template]});
        checked(&tokenizer(Value::Null, Value::Null, all))
    };
    let known = json!({"[CLS]": {"id": "[CLS]", "ids": [0], "tokens": ["a"]}});
    assert!(template(vec![special.clone(), text("A")], known.clone()).is_ok());
    for (single, known) in
        [(vec![text("A"), text("A")], known.clone()), (vec![text("B")], known), (vec![special], json!({}))]
    {
        assert!(template(single, known).unwrap_err().contains("template"));
    }
}

#[test]
fn what_no_tokenizer_in_use_has_is_refused() {
    let plain = tokenizer(Value::Null, Value::Null, Value::Null);
    let model = |model: Value| {
        let mut file = plain.clone();
        file["model"] = model;
        checked(&file).unwrap_err()
    };
    let pieces = json!({"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a",
                        "continuing_subword_prefix": "##", "max_input_chars_per_word": 1_000_000_000});
    assert!(model(pieces.clone()).contains("part by part"));
    let mut affix = pieces;
    affix["max_input_chars_per_word"] = json!(100);
    affix["continuing_subword_prefix"] = json!("#".repeat(100));
    assert!(model(affix).contains("bytes before"));
    let fixed = json!({"type": "FixedLength", "length": 0});
    assert!(checked(&tokenizer(Value::Null, fixed, Value::Null)).unwrap_err().contains("no length"));
    let mut added = tokenizer(replace(json!({"String": "a"}), &"a".repeat(1000)), Value::Null, Value::Null);
    added["added_tokens"] = json!([{"id": 1, "content": "a".repeat(1 << 20), "single_word": false, "lstrip": false,
                                    "rstrip": false, "normalized": true, "special": false}]);
    assert!(checked(&added).unwrap_err().contains("added tokens"));
    for charsmap in [json!(5), json!("AAAA"), json!("!"), json!("/////w==")] {
        let map = json!({"type": "Precompiled", "precompiled_charsmap": charsmap});
        let error = checked(&tokenizer(sequence(&map, 1), Value::Null, Value::Null)).unwrap_err();
        assert!(error.contains("map of characters"), "{error}");
    }
}

#[test]
fn entries_are_counted_wherever_they_stand() {
    let count = |text: &str| serde_json::from_str::<Values>(text).unwrap().0;
    assert_eq!(count(r#"{"a": [1, [2.5, "b"], null], "c": {"d": true, "e": -1}}"#), 10);
}
