//! Hashed word and character n-grams: what the model `words` reads in place of tokens.

use crate::hash::{SEED, step};

/// Buckets that n-grams are hashed into: the rows of the weight table of `words`.
pub const NGRAM_BUCKETS: u32 = 1 << 18;

/// The n-grams of a text, each once, and how many words it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ngrams {
    /// Distinct buckets in rising order.
    pub(crate) buckets: Vec<u32>,
    pub(crate) words: u32,
    pub(crate) truncated: bool,
}

/// Cuts a text into words (runs of letters and digits in lower case, and single characters of
/// scripts that put no spaces between words), of which at most `max_words` are read, and hashes
/// every word, every pair of neighbours, and the 3- to 5-grams of characters within a word.
pub(crate) fn ngrams(text: &str, max_words: usize) -> Ngrams {
    let mut words = words(text);
    let truncated = words.len() > max_words;
    words.truncate(max_words);
    let mut buckets = Vec::with_capacity(words.len() * 12);
    for (place, word) in words.iter().enumerate() {
        buckets.push(bucket(b'w', word.as_bytes(), &[]));
        if let Some(next) = words.get(place + 1) {
            buckets.push(bucket(b'p', word.as_bytes(), next.as_bytes()));
        }
        let bounds: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        for length in 3..=5 {
            for window in bounds.windows(length + 1) {
                buckets.push(bucket(b'c', &word.as_bytes()[window[0]..window[length]], &[]));
            }
        }
    }
    let count = words.len() as u32;
    buckets.sort_unstable();
    buckets.dedup();
    Ngrams { buckets, words: count, truncated }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if stands_alone(c) || !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if stands_alone(c) {
                words.push(c.to_string());
            }
        } else {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Chinese and Japanese characters, which are words or near to words by themselves.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// FNV-1a over the kind, the first part, a separator and the second part, folded to a bucket.
fn bucket(kind: u8, first: &[u8], second: &[u8]) -> u32 {
    let bytes = [kind].into_iter().chain(first.iter().copied()).chain([0]).chain(second.iter().copied());
    let hash = bytes.fold(SEED, |hash, byte| step(hash, u32::from(byte)));
    ((hash ^ (hash >> 32)) as u32) & (NGRAM_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_punctuation_do_not_matter_and_order_of_words_does() {
        assert_eq!(ngrams("Hello, World!", 99), ngrams("hello world", 99));
        assert_ne!(ngrams("world hello", 99), ngrams("hello world", 99));
    }

    #[test]
    fn chinese_characters_count_as_words() {
        let found = ngrams("我喜欢 tea", 99);
        assert_eq!(found.words, 4);
        // Four words, three pairs, and one 3-gram within "tea".
        assert_eq!(found.buckets.len(), 8);
    }

    #[test]
    fn words_past_the_limit_are_not_read_and_it_is_told() {
        let found = ngrams("one two three", 2);
        assert!(found.truncated && found.words == 2);
        assert_eq!(found.buckets, ngrams("one two", 2).buckets);
    }

    proptest! {
        #[test]
        fn any_text_gives_distinct_buckets_within_the_table(text in "\\PC{0,60}") {
            let found = ngrams(&text, 20);
            prop_assert!(found.buckets.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(found.buckets.iter().all(|&bucket| bucket < NGRAM_BUCKETS));
        }
    }
}
