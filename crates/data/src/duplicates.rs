//! Exact and near duplicates among texts, by MinHash and locality-sensitive hashing.
//!
//! A text is taken as the set of its shingles: pairs of neighbouring words or, in scripts that put
//! no spaces between words, runs of three characters, which are about as much. One changed word
//! changes two of either. Case and all but letters and digits do not count. How much alike two texts
//! are is the Jaccard similarity `s` of their sets: the shingles they share over those that either
//! has. The least of a hash over each set is the same in both with probability `s` (Broder 1997,
//! "On the resemblance and containment of documents"), so the share of [`BANDS`] x [`ROWS`] = 64
//! such hashes that agree estimates `s`. Eight bits of each are kept, by which unlike ones agree
//! once in 256 times, and the estimate allows for that (Li and König 2010, "b-Bit minwise hashing").
//!
//! Only texts that agree in all rows of at least one band are compared (Leskovec, Rajaraman and
//! Ullman, "Mining of Massive Datasets", chapter 3), which with `p = s + (1 - s) / 256` happens with
//! probability `1 - (1 - p^4)^16`, and then count as near where the estimate reaches the threshold:
//!
//! | s | compared | near, with a threshold of 0.8 |
//! | --- | --- | --- |
//! | 0.3 | 0.126 | 0.000 |
//! | 0.5 | 0.650 | 0.000 |
//! | 0.6 | 0.894 | 0.000 |
//! | 0.7 | 0.988 | 0.031 |
//! | 0.8 | 1.000 | 0.481 |
//! | 0.85 | 1.000 | 0.849 |
//! | 0.9 | 1.000 | 0.990 |
//!
//! The estimate's standard error is 0.05 at the threshold. Thresholds under 0.6 are answered with
//! gaps, as the second column tells. Exact duplicates are found by a 64-bit hash of the normalised
//! text: among 2.3 million texts, two unlike ones share one with a probability of 3e-7.
//!
//! Memory for `n` texts: 72 bytes each for the signatures, which the caller holds, and at most 20
//! more while groups are sought, which makes 212 MB for 2.3 million texts.

use std::{cmp::Reverse, collections::BTreeMap};

use rayon::prelude::*;

use crate::{
    hash::{SEED, mix, step},
    script::unspaced,
};

/// Bands, of which one that agrees whole makes two texts a pair to compare.
pub const BANDS: usize = 16;

/// Hashes in a band. Their bytes are the band's key.
pub const ROWS: usize = 4;

/// The similarity from which texts count as near duplicates, where nobody wishes another.
pub const NEAR: f64 = 0.8;

const HASHES: usize = BANDS * ROWS;

/// Texts with fewer characters, a word counting as two, have too few shingles to be judged by.
const SHORTEST: usize = 10;

/// With how many others of its bucket a text is compared. Only in a bucket with more unlike texts
/// than this can a near duplicate be passed over, and it has 15 other bands to be found in.
const NEIGHBOURS: usize = 128;

const MULTIPLIERS: [u64; HASHES] = multipliers();

/// What is kept of a text to find its duplicates by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// A hash of the normalised text. The lowest bit tells whether the text is long enough to have
    /// near duplicates.
    exact: u64,
    minima: [u8; HASHES],
}

/// The text to learn from that a text to validate with repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twin {
    pub train: u32,
    /// Whether nothing but case, white space, punctuation and emoji differs.
    pub exact: bool,
}

pub fn signature(text: &str) -> Signature {
    let mut minima = [u64::MAX; HASHES];
    let (mut exact, mut size) = (SEED, 0);
    // The two tokens before this one. A shingle is known when its last token comes.
    let mut before: [Option<Token>; 2] = [None, None];
    for_each_token(text, |token| {
        exact = mix(exact.wrapping_add(token.hash));
        size += if token.alone { 1 } else { 2 };
        let [second_last, last] = before;
        if let Some(first) = last.filter(|first| !first.alone) {
            lower(&mut minima, mix(first.hash.rotate_left(1).wrapping_add(token.hash)));
        }
        if let (Some(first), Some(middle)) = (second_last.filter(|first| first.alone), last) {
            let pair = mix(first.hash.rotate_left(1).wrapping_add(middle.hash));
            lower(&mut minima, mix(pair.rotate_left(1).wrapping_add(token.hash)));
        }
        before = [last, Some(token)];
    });
    if size == 0 {
        // Texts of nothing but emoji or punctuation would otherwise all be the same.
        let signs = text.chars().filter(|c| !c.is_whitespace());
        exact = signs.fold(exact, |hash, c| mix(hash ^ u64::from(c)));
    }
    Signature {
        exact: exact & !1 | u64::from(size >= SHORTEST),
        // Not the highest bits, which are nearly the same in all minima.
        minima: minima.map(|least| (least >> 32) as u8),
    }
}

/// For each text the place of the first text that is the same but for case, white space and
/// punctuation, and its own place where there is none before it.
pub fn first_exact_of(signatures: &[Signature]) -> Vec<u32> {
    let mut firsts: Vec<u32> = vec![0; signatures.len()];
    for equal in by_exact(signatures).chunk_by(|one, other| one.0 == other.0) {
        for &(_, place) in equal {
            firsts[place as usize] = equal[0].1;
        }
    }
    firsts
}

/// For each text the place of the first text that it is an exact or near duplicate of, and its own
/// place where there is none before it.
///
/// A near duplicate of a near duplicate belongs to the same group. The answer depends on the
/// signatures and their order alone.
pub fn first_of(signatures: &[Signature], threshold: f64) -> Vec<u32> {
    // A forest in which each text points to one before it, or to itself at a root.
    let mut parents = first_exact_of(signatures);
    let is_candidate =
        |&place: &u32| parents[place as usize] == place && signatures[place as usize].is_comparable();
    let candidates: Vec<u32> = (0..signatures.len() as u32).filter(is_candidate).collect();
    let needed = needed(threshold);
    for band in 0..BANDS {
        for bucket in by_band(signatures, &candidates, band).chunk_by(|one, other| key(*one) == key(*other)) {
            for (rank, &this) in bucket.iter().enumerate() {
                for &earlier in bucket[..rank].iter().rev().take(NEIGHBOURS) {
                    let (this, earlier) = (place(this), place(earlier));
                    let roots = (root(&mut parents, this), root(&mut parents, earlier));
                    if roots.0 != roots.1
                        && agreeing(&signatures[this as usize], &signatures[earlier as usize]) >= needed
                    {
                        // The earlier root stays one, so that a root is the first of its group.
                        parents[roots.0.max(roots.1) as usize] = roots.0.min(roots.1);
                    }
                }
            }
        }
    }
    // Parents come before their children, so theirs are final already.
    for place in 0..parents.len() {
        parents[place] = parents[parents[place] as usize];
    }
    parents
}

/// The groups of two and more texts in what [`first_of`] gave, each in rising order, by their first.
pub fn groups(first_of: &[u32]) -> Vec<Vec<u32>> {
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (place, &first) in (0..).zip(first_of) {
        if first != place {
            groups.entry(first).or_insert_with(|| vec![first]).push(place);
        }
    }
    groups.into_values().collect()
}

/// For each text to validate with, its exact or else its nearest twin among the texts to learn
/// from, and of equally near ones the first.
pub fn across(train: &[Signature], valid: &[Signature], threshold: f64) -> Vec<Option<Twin>> {
    let exact = by_exact(train);
    let mut twins: Vec<Option<Twin>> = valid
        .par_iter()
        .map(|signature| {
            let found = exact.get(exact.partition_point(|&(hash, _)| hash < signature.exact))?;
            (found.0 == signature.exact).then_some(Twin { train: found.1, exact: true })
        })
        .collect();
    drop(exact);

    let comparable = |signatures: &[Signature]| -> Vec<u32> {
        (0..signatures.len() as u32).filter(|&place| signatures[place as usize].is_comparable()).collect()
    };
    let candidates = comparable(train);
    let needed = needed(threshold);
    let mut nearest: Vec<Option<(usize, Reverse<u32>)>> = vec![None; valid.len()];
    for band in 0..BANDS {
        let keyed = by_band(train, &candidates, band);
        nearest.par_iter_mut().zip(valid).zip(&twins).for_each(|((nearest, signature), twin)| {
            if twin.is_some() || !signature.is_comparable() {
                return;
            }
            let wanted = signature.band(band);
            let from = keyed.partition_point(|&entry| key(entry) < wanted);
            let bucket = keyed[from..].iter().take_while(|&&entry| key(entry) == wanted).take(NEIGHBOURS);
            for &entry in bucket {
                let agreeing = agreeing(signature, &train[place(entry) as usize]);
                if agreeing >= needed {
                    *nearest = (*nearest).max(Some((agreeing, Reverse(place(entry)))));
                }
            }
        });
    }
    for (twin, nearest) in twins.iter_mut().zip(nearest) {
        if let Some((_, Reverse(train))) = nearest {
            *twin = Some(Twin { train, exact: false });
        }
    }
    twins
}

impl Signature {
    fn is_comparable(&self) -> bool {
        self.exact & 1 == 1
    }

    fn band(&self, band: usize) -> u32 {
        let rows = &self.minima[band * ROWS..(band + 1) * ROWS];
        rows.iter().fold(0, |key, &row| key << 8 | u32::from(row))
    }
}

/// The hash of each text and its place, equal ones side by side and in order.
fn by_exact(signatures: &[Signature]) -> Vec<(u64, u32)> {
    let mut sorted: Vec<(u64, u32)> = signatures.iter().map(|signature| signature.exact).zip(0..).collect();
    sorted.par_sort_unstable();
    sorted
}

/// The keys of one band, each with the place of its text below it, in order.
fn by_band(signatures: &[Signature], candidates: &[u32], band: usize) -> Vec<u64> {
    let entry = |&place: &u32| u64::from(signatures[place as usize].band(band)) << 32 | u64::from(place);
    let mut sorted: Vec<u64> = candidates.par_iter().map(entry).collect();
    sorted.par_sort_unstable();
    sorted
}

fn key(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn place(entry: u64) -> u32 {
    entry as u32
}

fn root(parents: &mut [u32], mut place: u32) -> u32 {
    while parents[place as usize] != place {
        // Halves the path on the way, so that later walks are short.
        parents[place as usize] = parents[parents[place as usize] as usize];
        place = parents[place as usize];
    }
    place
}

fn agreeing(one: &Signature, other: &Signature) -> usize {
    one.minima.iter().zip(&other.minima).filter(|(one, other)| one == other).count()
}

/// How many of the hashes must agree for the estimated similarity to reach the threshold.
fn needed(threshold: f64) -> usize {
    let by_chance = 1.0 / 256.0;
    // Not a number becomes 0 here, which would make all texts near.
    let threshold = if threshold.is_nan() { 1.0 } else { threshold };
    (HASHES as f64 * (by_chance + threshold * (1.0 - by_chance))).ceil() as usize
}

#[derive(Clone, Copy)]
struct Token {
    hash: u64,
    /// A character of a script without spaces between words.
    alone: bool,
}

/// Runs of letters and digits in lower case, and single characters of scripts without spaces.
fn for_each_token(text: &str, mut take: impl FnMut(Token)) {
    let mut word: Option<u64> = None;
    for c in text.chars() {
        let alone = unspaced(c);
        if c.is_ascii_alphanumeric() {
            word = Some(step(word.unwrap_or(SEED), c.to_ascii_lowercase().into()));
        } else if !alone && !c.is_ascii() && c.is_alphanumeric() {
            word = Some(c.to_lowercase().fold(word.unwrap_or(SEED), |hash, c| step(hash, c.into())));
        } else {
            if let Some(hash) = word.take() {
                take(Token { hash: mix(hash), alone: false });
            }
            if alone {
                take(Token { hash: mix(step(SEED, c.into())), alone });
            }
        }
    }
    if let Some(hash) = word {
        take(Token { hash: mix(hash), alone: false });
    }
}

/// Takes a shingle into the least of each of the hashes, which are products with odd numbers.
fn lower(minima: &mut [u64; HASHES], shingle: u64) {
    for (least, &multiplier) in minima.iter_mut().zip(&MULTIPLIERS) {
        *least = (*least).min(shingle.wrapping_mul(multiplier));
    }
}

const fn multipliers() -> [u64; HASHES] {
    let mut multipliers = [0; HASHES];
    let mut index = 0;
    while index < HASHES {
        multipliers[index] = mix((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        index += 1;
    }
    multipliers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn signatures(texts: &[impl AsRef<str>]) -> Vec<Signature> {
        texts.iter().map(|text| signature(text.as_ref())).collect()
    }

    fn words(numbers: impl IntoIterator<Item = u32>) -> String {
        numbers.into_iter().map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn case_space_and_punctuation_do_not_count_and_words_do() {
        assert_eq!(signature("Hello,  World!\n"), signature("hello world"));
        assert_eq!(signature("我喜欢，你。"), signature("我喜欢你"));
        assert_ne!(signature("hello word").exact, signature("hello world").exact);
        assert_ne!(signature("world hello").exact, signature("hello world").exact);
        assert_ne!(signature("😂").exact, signature("❤️").exact);
        assert_ne!(signature("ab c").exact, signature("a bc").exact);
    }

    #[test]
    fn short_texts_have_exact_duplicates_only() {
        let short = [
            "haha haha haha haha",
            "Haha haha haha, haha!",
            "haha haha haha",
            "哈哈哈哈哈哈哈哈哈",
            "哈哈哈哈哈哈哈哈",
        ];
        assert_eq!(first_of(&signatures(&short), 0.8), [0, 0, 2, 3, 4]);
        // One word more, and the pairs of words are the same.
        assert_eq!(
            first_of(&signatures(&["haha haha haha haha haha", "haha haha haha haha haha haha"]), 0.8),
            [0, 0]
        );
        assert_eq!(first_of(&signatures(&["哈哈哈哈哈哈哈哈哈哈", "哈哈哈哈哈哈哈哈哈哈哈哈"]), 0.8), [0, 0]);
    }

    #[test]
    fn one_changed_word_leaves_a_near_duplicate_and_half_of_them_do_not() {
        let base: Vec<u32> = (0..160).collect();
        let changed = |every: usize| {
            words(base.iter().map(|&n| if n as usize % every == every - 1 { n + 1000 } else { n }))
        };
        let texts = [words(base.clone()), changed(160), changed(2), changed(40)];
        assert_eq!(first_of(&signatures(&texts), 0.8), [0, 0, 2, 0]);
        assert_eq!(groups(&first_of(&signatures(&texts), 0.8)), [vec![0, 1, 3]]);
        let base: String = (0..120).map(|n| char::from_u32(0x4e00 + n * 37).unwrap()).collect();
        let chinese = [
            base.clone(),
            base.replacen(char::from_u32(0x4e00 + 37 * 50).unwrap(), "的", 1),
            base.chars().rev().collect(),
        ];
        assert_eq!(first_of(&signatures(&chinese), 0.8), [0, 0, 2]);
    }

    #[test]
    fn near_duplicates_of_near_duplicates_are_one_group_with_its_first() {
        let slide = |from: u32| words(from..from + 200);
        // Each is near the next, and the first is far from the last.
        let texts = [slide(900), slide(0), slide(15), slide(30), slide(45), slide(60), slide(75)];
        let signatures = signatures(&texts);
        assert!(agreeing(&signatures[1], &signatures[6]) < needed(0.8));
        assert_eq!(first_of(&signatures, 0.8), [0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn the_estimate_is_right_on_average_with_the_error_that_is_stated() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (shared, alone) in [(160, 20), (80, 20), (60, 60), (9, 1)] {
            let similarity = f64::from(shared) / f64::from(shared + 2 * alone);
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..400 {
                let mut minima = [[u64::MAX; HASHES]; 2];
                for n in 0..shared + 2 * alone {
                    let shingle = random.random();
                    for (side, minima) in minima.iter_mut().enumerate() {
                        if n < shared || (n % 2) as usize == side {
                            lower(minima, shingle);
                        }
                    }
                }
                let [one, other] =
                    minima.map(|m| Signature { exact: 1, minima: m.map(|least| (least >> 32) as u8) });
                let estimate = (agreeing(&one, &other) as f64 / 64.0 - 1.0 / 256.0) * 256.0 / 255.0;
                sum += estimate - similarity;
                squares += (estimate - similarity).powi(2);
            }
            let expected = (similarity * (1.0 - similarity) / 64.0).sqrt();
            let (mean, error) = (sum / 400.0, (squares / 400.0).sqrt());
            assert!(mean.abs() < 0.012, "{similarity} is off by {mean}");
            assert!((error / expected - 1.0).abs() < 0.2, "{similarity}: {error} is not {expected}");
        }
    }

    #[test]
    fn the_table_of_probabilities_is_what_bands_rows_and_threshold_make() {
        let ln_choose = |k: usize| (0..k).map(|i| ((HASHES - i) as f64 / (i + 1) as f64).ln()).sum::<f64>();
        for (s, compared, near) in [
            (0.3, 0.126, 0.0),
            (0.5, 0.650, 0.0),
            (0.6, 0.894, 0.0),
            (0.7, 0.988, 0.031),
            (0.8, 1.0, 0.481),
            (0.85, 1.0, 0.849),
            (0.9, 1.0, 0.990),
        ] {
            let p: f64 = s + (1.0 - s) / 256.0;
            assert!((1.0 - (1.0 - p.powi(ROWS as i32)).powi(BANDS as i32) - compared).abs() < 6e-4, "{s}");
            let reach: f64 = (needed(NEAR)..=HASHES)
                .map(|k| (ln_choose(k) + k as f64 * p.ln() + (HASHES - k) as f64 * (1.0 - p).ln()).exp())
                .sum();
            assert!((reach - near).abs() < 6e-4, "{s}: {reach}");
        }
    }

    #[test]
    fn thresholds_beyond_all_bounds_are_borne() {
        let two = signatures(&[words(0..50), words(0..50), words(1..51)]);
        for threshold in [f64::NAN, f64::INFINITY, 1.5] {
            assert_eq!(first_of(&two, threshold)[..2], [0, 0]);
        }
        assert_eq!(first_of(&two, f64::NEG_INFINITY), [0, 0, 0]);
        assert_eq!((first_of(&[], 0.8).len(), across(&[], &two, 0.8)), (0, vec![None; 3]));
    }

    #[test]
    fn a_twin_across_the_split_is_the_exact_one_or_else_the_nearest() {
        let train =
            signatures(&[words(5..105), words(1..101), words(0..100), words(500..600), "Yes!".into()]);
        let valid = signatures(&[
            words(0..100).to_uppercase(),
            words(2..102),
            words(800..900),
            "yes".into(),
            "no".into(),
        ]);
        let twin = |train, exact| Some(Twin { train, exact });
        assert_eq!(across(&train, &valid, 0.8), [twin(2, true), twin(1, false), None, twin(4, true), None]);
    }

    proptest! {
        #[test]
        fn equal_texts_are_always_found_whatever_stands_between(
            texts in proptest::collection::vec("\\PC{0,40}", 1..30), repeated in 0usize..30,
        ) {
            let mut texts = texts;
            let repeated = repeated % texts.len();
            texts.push(format!("  {}\n", texts[repeated]));
            let first = first_of(&signatures(&texts), 0.8);
            prop_assert_eq!(first[repeated], first[texts.len() - 1]);
            prop_assert!(first.iter().enumerate().all(|(place, &first)| first as usize <= place));
            prop_assert!(first.iter().all(|&root| first[root as usize] == root));
        }

        #[test]
        fn far_texts_are_not_duplicates(seed: u64, texts in 2usize..40, length in 5u32..80) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let texts: Vec<String> =
                (0..texts).map(|_| words((0..length).map(|_| random.random_range(0..100_000)))).collect();
            let first = first_of(&signatures(&texts), 0.8);
            prop_assert!(first.iter().enumerate().all(|(place, &first)| first as usize == place));
        }

        #[test]
        fn groups_are_the_same_on_any_number_of_threads(seed: u64) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let texts: Vec<String> = (0..300)
                .map(|_| {
                    let from = random.random_range(0..20) * 40;
                    words((from..from + 60).map(|n| if random.random_bool(0.03) { n + 5000 } else { n }))
                })
                .collect();
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let all = signatures(&texts);
                    let first = first_of(&all, 0.8);
                    (groups(&first), first, across(&all[..200], &all[200..], 0.8))
                })
            };
            let alone = on(1);
            prop_assert!(!alone.0.is_empty());
            prop_assert_eq!(alone, on(3));
        }
    }
}
