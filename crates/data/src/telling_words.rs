//! The words that tell one letter of an axis from the other.
//!
//! Each word's log-odds ratio between the two letters, with an informative Dirichlet prior, over its
//! standard deviation (Monroe, Colaresi and Quinn 2008, "Fightin' Words: Lexical Feature Selection
//! and Evaluation for Identifying the Content of Political Conflict", equations 16, 20 and 22):
//!
//! ```text
//! delta = ln((y1 + a) / (n1 + A - y1 - a)) - ln((y2 + a) / (n2 + A - y2 - a))
//! z     = delta / sqrt(1 / (y1 + a) + 1 / (y2 + a))
//! ```
//!
//! with a word's counts `y1` and `y2`, those of all words `n1` and `n2`, and the prior `a` of the
//! word and `A` of all words. The prior is the counts of both letters together times
//! [`PRIOR_WEIGHT`]. It keeps words that hardly anybody uses from standing first, and a word that
//! the users of one letter alone have from an infinite ratio. Beyond 1.96 either way, a word chosen
//! beforehand would differ with 95 % confidence; the most telling of thousands lie beyond it by
//! chance.

use std::{cmp::Reverse, collections::HashMap, ops::Range};

use mbti::{Axis, Type};

use crate::{
    hash::{SEED, mix, step},
    script::unspaced,
};

/// What the counts of both letters together weigh as the prior. Words that only one side has reach
/// their highest scores with about this weight, and those that both have hardly depend on it.
pub const PRIOR_WEIGHT: f64 = 0.1;

/// Words counted at a time, which take about 30 MB.
const MOST_WORDS: usize = 1 << 18;

/// In bytes. What is longer is an address or noise.
const LONGEST_WORD: usize = 64;

/// A word and what it tells.
#[derive(Debug, Clone, PartialEq)]
pub struct TellingWord {
    pub word: String,
    /// Above zero where the first letter's authors use the word more, below where the second's do.
    pub z: f64,
    /// How many authors of the first letter used it, each text without an author being one.
    pub first: u32,
    pub second: u32,
}

/// The most telling words of both letters of an axis, those with the greatest `z` first.
#[derive(Debug, Clone, PartialEq)]
pub struct TellingWords {
    pub axis: Axis,
    pub first: Vec<TellingWord>,
    pub second: Vec<TellingWord>,
}

/// Counts in how many authors' texts each word is, or in how many texts where no author is named.
///
/// An author's texts may come in any order and count for the type of the one that has the word
/// first. Words are runs of letters and digits in lower case, and pairs of neighbouring characters
/// in scripts without spaces between words, of which single characters tell little.
#[derive(Debug)]
pub struct Counter {
    words: HashMap<u64, Word>,
    most_words: usize,
    all: Counts<u64>,
    seen: Seen,
}

#[derive(Debug)]
struct Word {
    text: Box<str>,
    counts: Counts<u32>,
}

/// Of all types, and of those with the second letter on each axis.
#[derive(Debug, Clone, Copy, Default)]
struct Counts<T> {
    total: T,
    second: [T; 4],
}

impl Default for Counter {
    fn default() -> Self {
        Counter::new()
    }
}

impl Counter {
    pub fn new() -> Counter {
        Counter::with_most_words(MOST_WORDS)
    }

    /// Counts no more words than these at a time. Where there are more, the rarer half is forgotten,
    /// and one that comes again counts from zero. What is lost are words that are rare all along.
    pub fn with_most_words(most_words: usize) -> Counter {
        Counter {
            words: HashMap::new(),
            most_words: most_words.max(2),
            all: Counts::default(),
            seen: Seen::default(),
        }
    }

    pub fn push(&mut self, author: Option<u32>, mbti: Type, text: &str) {
        let second = Axis::ALL.map(|axis| mbti.class(axis));
        let words = Words::of(text).distinct();
        for (hash, at) in words.hashes {
            if author.is_some_and(|author| !self.seen.is_new(author, hash)) {
                continue;
            }
            let word = self
                .words
                .entry(hash)
                .or_insert_with(|| Word { text: words.letters[at].into(), counts: Counts::default() });
            word.counts.total += 1;
            self.all.total += 1;
            for (axis, second) in second.into_iter().enumerate() {
                word.counts.second[axis] += u32::from(second);
                self.all.second[axis] += u64::from(second);
            }
            if self.words.len() > self.most_words {
                self.forget_rarer_half();
            }
        }
    }

    /// Up to `most` words for each letter, in the order of [`Axis::ALL`].
    pub fn telling(&self, most: usize) -> [TellingWords; 4] {
        Axis::ALL.map(|axis| {
            let mut scored: Vec<(f64, &Word)> =
                self.words.values().map(|word| (self.z(axis, &word.counts), word)).collect();
            // Total, so that no order of the table shows through.
            scored.sort_unstable_by(|(z, word), (other_z, other)| {
                other_z.total_cmp(z).then_with(|| word.text.cmp(&other.text))
            });
            let telling = |&(z, word): &(f64, &Word)| TellingWord {
                word: word.text.to_string(),
                z,
                first: word.counts.total - word.counts.second[axis.index()],
                second: word.counts.second[axis.index()],
            };
            TellingWords {
                axis,
                first: scored.iter().take(most).filter(|(z, _)| *z > 0.0).map(telling).collect(),
                second: scored.iter().rev().take(most).filter(|(z, _)| *z < 0.0).map(telling).collect(),
            }
        })
    }

    fn z(&self, axis: Axis, word: &Counts<u32>) -> f64 {
        let (all_second, word_second) = (self.all.second[axis.index()], word.second[axis.index()]);
        // Where nobody has one of the letters there is nothing to tell.
        if all_second == 0 || all_second == self.all.total {
            return 0.0;
        }
        let (prior, prior_of_all) =
            (PRIOR_WEIGHT * f64::from(word.total), PRIOR_WEIGHT * self.all.total as f64);
        let of = |used: u32, all: u64| {
            let used = f64::from(used) + prior;
            ((used / (all as f64 + prior_of_all - used)).ln(), 1.0 / used)
        };
        let (first, first_variance) = of(word.total - word_second, self.all.total - all_second);
        let (second, second_variance) = of(word_second, all_second);
        let z = (first - second) / (first_variance + second_variance).sqrt();
        // The odds of the only word there is are infinite, and it tells nothing.
        if z.is_finite() { z } else { 0.0 }
    }

    fn forget_rarer_half(&mut self) {
        let rank = |hash: u64, word: &Word| (Reverse(word.counts.total), hash);
        let mut ranks: Vec<_> = self.words.iter().map(|(&hash, word)| rank(hash, word)).collect();
        let (_, &mut last, _) = ranks.select_nth_unstable(self.most_words / 2 - 1);
        self.words.retain(|&hash, word| rank(hash, word) <= last);
    }
}

/// Which author has used which word, as a Bloom filter of fixed size (Bloom 1970), kept to one
/// machine word a pair so that asking is one look at memory (Putze, Sanders and Singler 2007).
///
/// It may take a new pair for a known one, but not the other way: of 10 million pairs, 1 in 14,000
/// is lost, of 40 million 1 in 440, and of 80 million 1 in 70, whatever the letter.
#[derive(Debug, Default)]
struct Seen {
    /// Empty until there is an author.
    bits: Vec<u64>,
}

impl Seen {
    /// 64 MiB.
    const WORDS: usize = 1 << 23;

    fn is_new(&mut self, author: u32, word: u64) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; Seen::WORDS];
        }
        let hash = mix(word ^ mix(u64::from(author) + 1));
        let four = [40, 46, 52, 58].iter().fold(0, |four, shift| four | 1 << (hash >> shift & 63));
        let bits = &mut self.bits[hash as usize & (Seen::WORDS - 1)];
        let is_new = *bits & four != four;
        *bits |= four;
        is_new
    }
}

/// The words of a text, one after the other in `letters`.
#[derive(Default)]
struct Words {
    letters: String,
    hashes: Vec<(u64, Range<usize>)>,
}

impl Words {
    fn of(text: &str) -> Words {
        let mut words = Words { letters: String::with_capacity(text.len()), hashes: Vec::new() };
        let mut start = 0;
        let mut before: Option<char> = None;
        for c in text.chars() {
            let alone = unspaced(c);
            if !alone && c.is_alphanumeric() {
                if c.is_ascii() {
                    words.letters.push(c.to_ascii_lowercase());
                } else {
                    words.letters.extend(c.to_lowercase());
                }
                before = None;
                continue;
            }
            words.end(&mut start);
            // Marks, too, are in those blocks, and part what stands beside them.
            let alone = alone && c.is_alphanumeric();
            if let (true, Some(before)) = (alone, before) {
                words.letters.extend([before, c]);
                words.end(&mut start);
            }
            before = alone.then_some(c);
        }
        words.end(&mut start);
        words
    }

    fn end(&mut self, start: &mut usize) {
        let at = *start..self.letters.len();
        *start = at.end;
        if (1..=LONGEST_WORD).contains(&at.len()) {
            let hash = self.letters[at.clone()].chars().fold(SEED, |hash, c| step(hash, c.into()));
            self.hashes.push((mix(hash), at));
        }
    }

    /// Each word once, in the order of hashes.
    fn distinct(mut self) -> Words {
        self.hashes.sort_unstable_by_key(|(hash, at)| (*hash, at.start));
        self.hashes.dedup_by_key(|(hash, _)| *hash);
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn mbti(name: &str) -> Type {
        name.parse().unwrap()
    }

    fn words(text: &str) -> Vec<String> {
        let words = Words::of(text);
        words.hashes.iter().map(|(_, at)| words.letters[at.clone()].to_owned()).collect()
    }

    fn counts(counter: &Counter, axis: Axis, word: &str) -> [u32; 2] {
        let telling = &counter.telling(usize::MAX)[axis.index()];
        let found = telling.first.iter().chain(&telling.second).find(|found| found.word == word);
        found.map_or([0, 0], |found| [found.first, found.second])
    }

    #[test]
    fn words_are_in_lower_case_and_chinese_ones_are_pairs_within_a_run() {
        assert_eq!(words("Don't PANIC, 42!"), ["don", "t", "panic", "42"]);
        assert_eq!(words("我喜欢tea，很好。啊"), ["我喜", "喜欢", "tea", "很好"]);
        assert_eq!(words(&format!("{} ok", "x".repeat(LONGEST_WORD + 1))), ["ok"]);
        assert!(words("😂 …").is_empty());
    }

    #[test]
    fn a_word_counts_once_a_text_and_once_an_author() {
        let mut counter = Counter::new();
        counter.push(None, mbti("ENFP"), "party party other");
        counter.push(None, mbti("ENFP"), "Party");
        counter.push(None, mbti("INFP"), "home");
        assert_eq!(counts(&counter, Axis::ExtraversionIntroversion, "party"), [2, 0]);

        let mut counter = Counter::new();
        for _ in 0..3 {
            counter.push(Some(7), mbti("ENFP"), "party party");
            counter.push(Some(8), mbti("ENTP"), "party");
            counter.push(Some(9), mbti("INFP"), "home");
        }
        assert_eq!(counts(&counter, Axis::ExtraversionIntroversion, "party"), [2, 0]);
        assert_eq!(counts(&counter, Axis::FeelingThinking, "party"), [1, 1]);
        assert_eq!(counts(&counter, Axis::ExtraversionIntroversion, "home"), [0, 1]);
    }

    #[test]
    fn scores_equal_those_worked_out_by_hand() {
        let mut counter = Counter::new();
        // E: party in 3 texts, the in 2. I: party in 1, the in 2, home in 4. 12 counts in all.
        for text in ["party", "party the", "the party"] {
            counter.push(None, mbti("ENFP"), text);
        }
        for text in ["home the", "home party", "home", "the home"] {
            counter.push(None, mbti("INFP"), text);
        }
        let found = &counter.telling(9)[0];
        // With a tenth of all as the prior, party has 3.4 of 5 + 1.2 with E and 1.4 of 7 + 1.2
        // with I, and so on.
        let party = ((3.4f64 / 2.8).ln() - (1.4f64 / 6.8).ln()) / (1.0 / 3.4 + 1.0 / 1.4f64).sqrt();
        let the = ((2.4f64 / 3.8).ln() - (2.4f64 / 5.8).ln()) / (2.0 / 2.4f64).sqrt();
        let home = ((0.4f64 / 5.8).ln() - (4.4f64 / 3.8).ln()) / (1.0 / 0.4 + 1.0 / 4.4f64).sqrt();
        let names: Vec<&str> = found.first.iter().chain(&found.second).map(|w| w.word.as_str()).collect();
        assert_eq!(names, ["party", "the", "home"]);
        for (found, z) in found.first.iter().chain(&found.second).zip([party, the, home]) {
            assert!((found.z - z).abs() < 1e-12, "{found:?} is not {z}");
        }
        assert_eq!((found.first[0].first, found.first[0].second), (3, 1));
        // All are N, so that no word tells anything there.
        assert!(counter.telling(1)[1].first.is_empty() && counter.telling(1)[1].second.is_empty());
        assert_eq!(counter.telling(1)[0].first.len(), 1);
    }

    #[test]
    fn the_only_word_tells_nothing_and_no_text_gives_no_words() {
        let mut counter = Counter::default();
        assert!(counter.telling(5).iter().all(|words| words.first.is_empty() && words.second.is_empty()));
        counter.push(None, mbti("ENFP"), "one one");
        assert!(counter.telling(5).iter().all(|words| words.first.is_empty() && words.second.is_empty()));
    }

    #[test]
    fn words_beyond_the_limit_are_forgotten_the_rarest_first_and_always_the_same() {
        let run = || {
            let mut counter = Counter::with_most_words(100);
            for n in 0..5000 {
                let text = format!("common{} rare{n}", n % 20);
                counter.push(None, mbti(if n % 20 < 10 { "ENFP" } else { "INFP" }), &text);
                assert!(counter.words.len() <= 100);
            }
            counter.telling(30)
        };
        let found = run();
        assert_eq!(found, run());
        for words in [&found[0].first, &found[0].second] {
            assert!(words[..10].iter().all(|w| w.word.starts_with("common") && w.first + w.second == 250));
        }
    }

    proptest! {
        #[test]
        fn any_texts_give_finite_scores_in_order_that_do_not_depend_on_the_order_of_texts(
            texts in proptest::collection::vec((proptest::option::of(0u32..4), "[ab我你 ]{0,9}|\\PC{0,9}"), 0..20),
        ) {
            let all: Vec<Type> = Type::all().collect();
            // An author has one type, as it should be.
            let mbti = |author: &Option<u32>| all[author.map_or(3, |author| author as usize * 5)];
            let (mut one, mut other) = (Counter::new(), Counter::new());
            texts.iter().for_each(|(author, text)| one.push(*author, mbti(author), text));
            texts.iter().rev().for_each(|(author, text)| other.push(*author, mbti(author), text));
            let found = one.telling(10);
            prop_assert_eq!(&found, &other.telling(10));
            for words in found {
                prop_assert!(words.first.iter().all(|w| w.z > 0.0 && w.z.is_finite()));
                prop_assert!(words.second.iter().all(|w| w.z < 0.0 && w.z.is_finite()));
                prop_assert!(words.first.windows(2).all(|pair| pair[0].z >= pair[1].z));
                prop_assert!(words.second.windows(2).all(|pair| pair[0].z <= pair[1].z));
            }
        }
    }
}
