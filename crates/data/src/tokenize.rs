use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tokenizers::{ModelWrapper, PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::{Encoded, Error, TOKENIZER_LIMIT, encoded::One, error::Result, ngrams, tokenizer_guard};

/// Texts that are made into tokens at once.
pub(crate) const PIECE: usize = 1024;

/// How a model family reads a text.
pub enum Tokenizer {
    /// The tokenizer.json of a Hugging Face folder.
    HuggingFace(Box<HuggingFace>),
    /// The hashed n-grams of `words`.
    Ngrams,
}

/// A tokenizer.json as it was read.
pub struct HuggingFace {
    tokenizer: tokenizers::Tokenizer,
    /// The SHA-256 of the file.
    digest: [u8; 32],
    max_length: usize,
    /// The longest text, in bytes, that is given to it as a whole.
    longest: usize,
}

impl Tokenizer {
    /// Reads a tokenizer.json. Whatever padding is built into it is turned off, since batches
    /// are packed, and texts are cut from the right at `max_length` with the special tokens kept.
    ///
    /// The file may be a stranger's: what of it could fill the memory is refused, and what a text of any kind shows to
    /// be broken.
    pub fn from_file(path: &Path, max_length: usize) -> Result<Tokenizer> {
        let wrong = |reason: String| Error::Tokenizer { path: path.to_owned(), reason };
        let bytes = files::read_limited(path, TOKENIZER_LIMIT).map_err(|error| Error::read(path, error))?;
        let digest = Sha256::digest(&bytes).into();
        let longest = tokenizer_guard::check(&bytes).map_err(wrong)?;
        let read = unbroken(|| tokenizers::Tokenizer::from_bytes(bytes));
        let mut tokenizer = read.map_err(|failure| wrong(failure.reason()))?;
        tokenizer.with_padding(None);
        let special = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if max_length <= special {
            return Err(wrong(format!(
                "it adds {special} special tokens to each text, which leaves no room in {max_length} tokens"
            )));
        }
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                direction: TruncationDirection::Right,
                stride: 0,
            }))
            .map_err(|error| wrong(error.to_string()))?;
        let read = HuggingFace { tokenizer, digest, max_length, longest };
        // An unknown word may be an error of its own; a text that goes wrong later is told then.
        match encode_by(&read, PROBE) {
            Err(Failure::Broken(reason)) => Err(wrong(reason)),
            _ => Ok(Tokenizer::HuggingFace(Box::new(read))),
        }
    }

    /// The largest id that it gives a token; none for hashed n-grams, whose ids are places in their own table.
    pub fn largest_id(&self) -> Option<u32> {
        match self {
            Tokenizer::HuggingFace(read) => read.tokenizer.get_vocab(true).into_values().max(),
            Tokenizer::Ngrams => None,
        }
    }

    /// The id of the token that stands for what it does not know; none where it knows everything, as by bytes.
    pub fn unknown_id(&self) -> Option<u32> {
        let Tokenizer::HuggingFace(read) = self else { return None };
        let token = match read.tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.unk_token.clone()?,
            ModelWrapper::WordPiece(model) => model.unk_token.clone(),
            ModelWrapper::WordLevel(model) => model.unk_token.clone(),
            // It keeps the number to itself; this is what the token is called by all who train one.
            ModelWrapper::Unigram(_) => "<unk>".to_owned(),
        };
        read.tokenizer.token_to_id(&token)
    }

    /// What tells this tokenizer from others.
    pub(crate) fn digest(&self) -> [u8; 32] {
        match self {
            Tokenizer::HuggingFace(read) => read.digest,
            // All others are hashes, among which this is none.
            Tokenizer::Ngrams => [0; 32],
        }
    }
}

/// One text as ids, cut to `max_length` tokens.
pub fn encode_one(tokenizer: &Tokenizer, text: &str, max_length: usize) -> Result<One> {
    match tokenizer {
        Tokenizer::HuggingFace(read) => {
            encode_by(read, text).map_err(|failure| Error::Encode { reason: failure.reason() })
        }
        Tokenizer::Ngrams => {
            let found = ngrams::ngrams(text, max_length);
            Ok(One { ids: found.buckets, tokens: found.words, truncated: found.truncated })
        }
    }
}

/// A text of several scripts, signs and blanks, as long as a post.
const PROBE: &str = "The quick brown fox, 12.5 km away, didn't jump!  \t\n İstanbul – naïve café, ß, ﬁ, \u{fdfa}; \
                     他喜欢安静的夜晚。わたしは元気です。안녕하세요 Привет, как дела? नमस्ते שלום مرحبا 👩‍👩‍👧 e\u{301} \u{200b}\u{0}";

/// Why a text has no tokens.
enum Failure {
    /// Of itself, such as a word that the tokenizer does not know.
    Text(String),
    /// No text can be trusted to it.
    Broken(String),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Failure::Text(reason) | Failure::Broken(reason) => reason,
        }
    }
}

fn encode_by(read: &HuggingFace, text: &str) -> std::result::Result<One, Failure> {
    // No more tokens are taken than `max_length`, and so much text has far more.
    let given = &text[..text.floor_char_boundary(read.longest)];
    let encoding = unbroken(|| read.tokenizer.encode_fast(given, true))?;
    let tokens = encoding.len();
    if tokens > read.max_length {
        let reason = format!("it makes {tokens} tokens where {} were asked for", read.max_length);
        return Err(Failure::Broken(reason));
    }
    Ok(One {
        ids: encoding.get_ids().to_vec(),
        tokens: tokens as u32,
        truncated: given.len() < text.len() || !encoding.get_overflowing().is_empty(),
    })
}

/// Calls the library, which takes some errors in a file for faults of its own and gives up.
fn unbroken<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, Failure> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        Ok(done) => done.map_err(|error| Failure::Text(error.to_string())),
        Err(_) => Err(Failure::Broken("its rules contradict each other".to_owned())),
    }
}

/// Many texts at once, on all cores, in their order. `progress` hears how many are done after
/// each piece of the work and may end it by answering `false`, which gives `None`.
pub fn encode(
    tokenizer: &Tokenizer,
    texts: &[&str],
    max_length: usize,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Option<Encoded>> {
    let mut encoded = Encoded::default();
    for piece in texts.chunks(PIECE) {
        let ones: Vec<One> =
            piece.par_iter().map(|text| encode_one(tokenizer, text, max_length)).collect::<Result<_>>()?;
        ones.iter().for_each(|one| encoded.push(one));
        if !progress(encoded.len()) {
            return Ok(None);
        }
    }
    Ok(Some(encoded))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A word-level tokenizer with specials, and with the built-in padding that some files carry.
    const TOKENIZER: &str = r#"{
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": null,
        "model": {"type": "WordLevel", "unk_token": "[UNK]",
                  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6}}
    }"#;

    fn tokenizer(max_length: usize) -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, TOKENIZER).unwrap();
        Tokenizer::from_file(&path, max_length).unwrap()
    }

    #[test]
    fn built_in_padding_is_off_and_truncation_keeps_the_special_tokens() {
        let short = encode_one(&tokenizer(5), "A b", 5).unwrap();
        assert_eq!(short, One { ids: vec![2, 4, 5, 3], tokens: 4, truncated: false });
        let long = encode_one(&tokenizer(5), "a b c a b", 5).unwrap();
        assert_eq!(long, One { ids: vec![2, 4, 5, 6, 3], tokens: 5, truncated: true });
    }

    #[test]
    fn a_length_that_the_special_tokens_fill_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, TOKENIZER).unwrap();
        assert!(Tokenizer::from_file(&path, 2).err().unwrap().to_string().contains("2 special tokens"));
        assert!(Tokenizer::from_file(&path, 3).is_ok());
    }

    #[test]
    fn many_texts_come_out_in_order_as_one_by_one_and_can_be_stopped() {
        let tokenizer = tokenizer(8);
        let texts: Vec<String> = (0..3000).map(|n| "a b c ".repeat(n % 4)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encoded = encode(&tokenizer, &texts, 8, |_| true).unwrap().unwrap();
        assert_eq!(encoded.len(), 3000);
        for (row, text) in texts.iter().enumerate() {
            assert_eq!(encoded.ids(row), encode_one(&tokenizer, text, 8).unwrap().ids);
        }
        assert!(encode(&tokenizer, &texts, 8, |done| done < 2000).unwrap().is_none());
    }

    #[test]
    fn a_text_longer_than_the_memory_allows_is_cut_and_said_to_be() {
        let mut read = match tokenizer(8) {
            Tokenizer::HuggingFace(read) => read,
            Tokenizer::Ngrams => unreachable!(),
        };
        assert!(read.longest > 1 << 20, "{}", read.longest);
        read.longest = 6;
        let tokenizer = Tokenizer::HuggingFace(read);
        let cut = encode_one(&tokenizer, "a b ä c c", 8).unwrap();
        assert_eq!((cut.ids, cut.truncated), (vec![2, 4, 5, 1, 3], true));
        assert!(!encode_one(&tokenizer, "a b c", 8).unwrap().truncated);
    }

    #[test]
    fn rules_that_multiply_texts_and_broken_ones_are_told_when_the_file_is_read() {
        let doubling = r#"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#;
        let doubling =
            format!(r#"{{"type": "Sequence", "normalizers": [{}]}}"#, vec![doubling; 40].join(","));
        let unknown = r#"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
                          "pair": [], "special_tokens": {}}"#;
        let bert = r#"{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        for (part, other, reason) in
            [(r#"{"type": "Lowercase"}"#, doubling.as_str(), "times as long"), (bert, unknown, "template")]
        {
            assert!(TOKENIZER.contains(part));
            std::fs::write(&path, TOKENIZER.replace(part, other)).unwrap();
            let error = Tokenizer::from_file(&path, 8).err().unwrap();
            assert!(
                matches!(error, Error::Tokenizer { .. }) && error.to_string().contains(reason),
                "{error}"
            );
        }
        std::fs::File::create(&path).unwrap().set_len(TOKENIZER_LIMIT + 1).unwrap();
        assert!(matches!(Tokenizer::from_file(&path, 8), Err(Error::Read { .. })));
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, "{}").unwrap();
        let error = Tokenizer::from_file(&path, 8).err().unwrap();
        assert!(error.to_string().contains("tokenizer.json"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Tokenizer::from_file(&path, 8), Err(Error::NotFound { .. })));
    }
}
