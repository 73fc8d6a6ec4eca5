//! What a tokenizer.json of a stranger's may do, found out before it is loaded: how much longer its rules can make a
//! text, and whether any text can bring it down.
//!
//! `tokenizers` keeps some 17 bytes for each byte of a normalized text and some 120 for each token, so that a chain of
//! rules that each double a text would fill any memory before one could look. Hence the chain is looked at instead of
//! a text: each step's worst growth is known from the step alone, and their product bounds all texts.

mod charsmap;

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use tokenizers::{
    NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, normalizers::precompiled::Precompiled,
};

/// The most that a tokenizer.json may hold, in bytes. The largest that are in use have some 60 MB.
pub const TOKENIZER_LIMIT: u64 = 128 << 20;
/// Tokens, merges and scores in one vocabulary; the largest have below three million.
const VALUES: u64 = 8_000_000;
/// Bytes of the rules; those in use have some 0.4 MB, nearly all of them a map of characters.
const RULES: usize = 8 << 20;
/// Bytes of all added tokens together.
const ADDED: usize = 8 << 20;
/// How many times longer a text may become. The most by a tokenizer in use is some 2000, all worst cases in a row.
const GROWTH: f64 = 4096.0;
/// Bytes that a text may come to once it is normalized. A text that might come to more is cut before.
const NORMALIZED: f64 = (8 << 20) as f64;
/// Bytes that are put before parts of words; all in use have below ten.
const AFFIX: usize = 64;
/// The longest word that is looked up part by part, in characters. All in use have 100.
const WORD: u64 = 1000;

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'a RawValue>,
    #[serde(borrow)]
    decoder: Option<&'a RawValue>,
    #[serde(borrow)]
    added_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AddedToken<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Model<'a> {
    max_input_chars_per_word: Option<u64>,
    #[serde(borrow)]
    continuing_subword_prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    end_of_word_suffix: Option<Cow<'a, str>>,
}

/// Looks at a tokenizer.json and gives the longest text, in bytes, that it can be given as a whole.
///
/// # Errors
/// What of it is beyond every tokenizer in use, or cannot be understood, as the end of "cannot be understood: …".
pub(crate) fn check(bytes: &[u8]) -> Result<usize, String> {
    let wrong = |error: serde_json::Error| error.to_string();
    let outline: Outline = serde_json::from_slice(bytes).map_err(wrong)?;
    let rules = [outline.normalizer, outline.pre_tokenizer, outline.post_processor, outline.decoder];
    if rules.iter().flatten().map(|rule| rule.get().len()).sum::<usize>() > RULES {
        return Err(format!("its rules have more than {} MiB", RULES >> 20));
    }
    let mut growth = Growth::default();
    if let Some(rules) = outline.normalizer {
        check_maps(&serde_json::from_str(rules.get()).map_err(wrong)?)?;
        // As the library reads it, whatever it is called in the file.
        let read: NormalizerWrapper = serde_json::from_str(rules.get()).map_err(wrong)?;
        growth = normalizer(growth, &serde_json::to_value(read).map_err(wrong)?)?;
    }
    if let Some(rules) = outline.pre_tokenizer {
        let read: PreTokenizerWrapper = serde_json::from_str(rules.get()).map_err(wrong)?;
        growth = pre_tokenizer(growth, &serde_json::to_value(read).map_err(wrong)?)?;
    }
    if let Some(rules) = outline.post_processor {
        let read: PostProcessorWrapper = serde_json::from_str(rules.get()).map_err(wrong)?;
        post_processor(&serde_json::to_value(read).map_err(wrong)?)?;
    }
    if growth.times > GROWTH || growth.plus > NORMALIZED / 2.0 {
        return Err(format!(
            "its rules can make a text {:.0} times as long and more, where {GROWTH} times is the most that is taken",
            growth.times.max(growth.plus)
        ));
    }
    if let Some(tokens) = outline.added_tokens {
        check_added(tokens, growth)?;
    }
    if let Some(model) = outline.model {
        check_model(model)?;
    }
    Ok(((NORMALIZED - growth.plus) / growth.times) as usize)
}

fn check_added(tokens: &RawValue, growth: Growth) -> Result<(), String> {
    let tokens: Vec<AddedToken> = serde_json::from_str(tokens.get()).map_err(|error| error.to_string())?;
    let bytes: usize = tokens.iter().map(|token| token.content.len()).sum();
    // They are normalized when the file is loaded, and all of them are kept.
    if bytes > ADDED || bytes as f64 * growth.times + tokens.len() as f64 * growth.plus > NORMALIZED * 8.0 {
        return Err(format!("its {} added tokens have {bytes} bytes, too many for its rules", tokens.len()));
    }
    Ok(())
}

fn check_model(model: &RawValue) -> Result<(), String> {
    let wrong = |error: serde_json::Error| error.to_string();
    let Values(values) = serde_json::from_str(model.get()).map_err(wrong)?;
    if values > VALUES {
        return Err(format!("its vocabulary has {values} entries, more than any in use"));
    }
    let model: Model = serde_json::from_str(model.get()).map_err(wrong)?;
    if model.max_input_chars_per_word.is_some_and(|most| most > WORD) {
        return Err(format!("it looks up words of more than {WORD} characters part by part"));
    }
    let affixes = [model.continuing_subword_prefix, model.end_of_word_suffix];
    match affixes.iter().flatten().any(|affix| affix.len() > AFFIX) {
        true => Err(format!("it puts more than {AFFIX} bytes before or after parts of words")),
        false => Ok(()),
    }
}

/// A text of n bytes comes to at most `times` n + `plus` bytes.
#[derive(Debug, Clone, Copy)]
struct Growth {
    times: f64,
    plus: f64,
}

impl Default for Growth {
    fn default() -> Growth {
        Growth { times: 1.0, plus: 0.0 }
    }
}

impl Growth {
    fn then(self, times: f64, plus: f64) -> Growth {
        Growth { times: self.times * times, plus: self.plus * times + plus }
    }
}

/// The growth by a normalizer, after what went before it.
fn normalizer(before: Growth, rule: &Value) -> Result<Growth, String> {
    Ok(match kind(rule) {
        "Sequence" => each(rule, "normalizers").try_fold(before, normalizer)?,
        "Strip" | "StripAccents" | "Nmt" => before,
        // U+0130, and U+1D160, the longest that is taken apart.
        "Lowercase" => before.then(1.5, 0.0),
        "NFC" | "NFD" => before.then(3.0, 0.0),
        // U+FDFA: 3 bytes come to 33.
        "NFKC" | "NFKD" => before.then(11.0, 0.0),
        // Spaces around a character, which is taken apart and made small.
        "BertNormalizer" => before.then(5.0 / 3.0 * 3.0 * 1.5, 0.0),
        "ByteLevel" => before.then(2.0, 0.0),
        "Prepend" => before.then(1.0, text(rule, "prepend").len() as f64),
        "Replace" => replaced(before, rule),
        "Precompiled" => before.then(charsmap::growth(text(rule, "precompiled_charsmap"))?, 0.0),
        other => return Err(format!("its normalizer {other:?} is not known")),
    })
}

fn replaced(before: Growth, rule: &Value) -> Growth {
    let content = text(rule, "content").len() as f64;
    let pattern = rule.get("pattern").and_then(|pattern| pattern.get("String")).and_then(Value::as_str);
    match pattern {
        _ if content == 0.0 => before,
        Some(pattern) if !pattern.is_empty() => before.then((content / pattern.len() as f64).max(1.0), 0.0),
        // Any other may match nothing, before each character and at the end.
        _ => before.then(1.0 + content, content),
    }
}

fn pre_tokenizer(before: Growth, rule: &Value) -> Result<Growth, String> {
    Ok(match kind(rule) {
        "Sequence" => each(rule, "pretokenizers").try_fold(before, pre_tokenizer)?,
        // A space may come before each word, and each byte becomes a character.
        "ByteLevel" if rule.get("add_prefix_space") == Some(&Value::Bool(false)) => before.then(2.0, 0.0),
        "ByteLevel" => before.then(4.0, 2.0),
        "Metaspace" => {
            let mark = text(rule, "replacement").len() as f64;
            before.then(1.0 + mark, mark)
        }
        "FixedLength" if rule.get("length").and_then(Value::as_u64) == Some(0) => {
            return Err("it cuts texts into pieces of no length".to_owned());
        }
        "BertPreTokenizer" | "CharDelimiterSplit" | "Whitespace" | "Split" | "Punctuation"
        | "WhitespaceSplit" | "Digits" | "UnicodeScripts" | "FixedLength" => before,
        other => return Err(format!("its pre-tokenizer {other:?} is not known")),
    })
}

/// A template has the text once at most, and no token that it does not describe.
fn post_processor(rule: &Value) -> Result<(), String> {
    match kind(rule) {
        "Sequence" => return each(rule, "processors").try_for_each(post_processor),
        "TemplateProcessing" => {}
        _ => return Ok(()),
    }
    let mut texts = 0;
    for piece in each(rule, "single") {
        if let Some(sequence) = piece.get("Sequence") {
            texts += 1;
            if texts > 1 || sequence.get("id").and_then(Value::as_str) != Some("A") {
                return Err("its template has a text more than once".to_owned());
            }
        }
        let special = piece.get("SpecialToken").map(|special| text(special, "id"));
        if let Some(special) = special
            && rule.get("special_tokens").is_none_or(|known| known.get(special).is_none())
        {
            return Err(format!("its template has the token {special:?}, which it does not describe"));
        }
    }
    Ok(())
}

/// Refuses maps of characters that the library could not read, which it takes for a fault of its own.
fn check_maps(rules: &Value) -> Result<(), String> {
    match rules {
        Value::Array(rules) => rules.iter().try_for_each(check_maps),
        Value::Object(rule) => {
            if rule.get("type").and_then(Value::as_str) == Some("Precompiled") {
                // The library takes as much memory as the map says that it has.
                charsmap::growth(text(rules, "precompiled_charsmap"))?;
                let read: Result<Precompiled, _> = serde_json::from_str(&rules.to_string());
                read.map_err(|error| format!("its map of characters cannot be read: {error}"))?;
            }
            rule.values().try_for_each(check_maps)
        }
        _ => Ok(()),
    }
}

fn kind(rule: &Value) -> &str {
    text(rule, "type")
}

fn text<'a>(rule: &'a Value, name: &str) -> &'a str {
    rule.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn each<'a>(rule: &'a Value, name: &str) -> std::slice::Iter<'a, Value> {
    rule.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

/// The number of values in a piece of JSON, counted without keeping any.
struct Values(u64);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
        struct Count;
        macro_rules! one {
            ($($visit:ident: $kind:ty),*) => {
                $(fn $visit<E>(self, _: $kind) -> Result<Values, E> {
                    Ok(Values(1))
                })*
            };
        }
        impl<'de> Visitor<'de> for Count {
            type Value = Values;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("any value")
            }

            one!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values(1))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Values, A::Error> {
                let mut sum = 1;
                while let Some(Values(more)) = all.next_element()? {
                    sum += more;
                }
                Ok(Values(sum))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Values, A::Error> {
                let mut sum = 1;
                while let Some((_, Values(more))) = all.next_entry::<IgnoredAny, Values>()? {
                    sum += more;
                }
                Ok(Values(sum))
            }
        }
        deserializer.deserialize_any(Count)
    }
}

#[cfg(test)]
mod tests;
