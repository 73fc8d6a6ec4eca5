//! A small made-up data set, so that a first click works without a network and without a file.
//!
//! A post is put together from sentence banks: one sentence on an everyday topic, then one each
//! for a few of the four axes. Each axis has a bank for either letter, and now and then the
//! sentence comes from the wrong one: the labels can be learned from the texts only in part, as
//! with real posts. What a sentence leans to lies in what it is about. The banks are large, and
//! the words that tell stand in a few sentences each: whoever knows which words are near in meaning
//! can learn from some hundred posts what counting words does not show.

mod chinese;
mod english;

use std::{collections::BTreeSet, iter::repeat_n, ops::RangeInclusive};

use mbti::{Axis, Type};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::Example;

const POSTS_PER_AUTHOR: usize = 8;

/// How likely the sentence for an axis comes from the bank of the other letter. With five
/// in eight of the axes getting a sentence at all, a perfect reader of these texts gets some 74
/// per cent of the letters right.
const OTHER_LETTER: f64 = 0.12;

/// How likely a post has a remark that says nothing about any axis.
const ASIDE: f64 = 0.3;

/// How often to draw again for a sentence that the author or the post has not had yet.
const DRAWS: usize = 12;

/// The words of one language. In a template `{name}` is a slot, filled from the bank of that
/// name, and `{this|that}` is a choice; both may be nested.
struct Language {
    /// Goes into the authors' names.
    code: &'static str,
    /// How many authors have each type, in the order of `Type::all()`.
    authors: [usize; 16],
    /// What stands between two sentences.
    space: &'static str,
    /// How long a post may be, in characters.
    length: RangeInclusive<usize>,
    topics: &'static [Topic],
    /// Sentences by axis, then by class, one a line.
    letters: [[&'static str; 2]; 4],
    /// Remarks that fit any topic.
    asides: &'static [&'static str],
    /// When it happened, as `{when}`, and the word for such a stretch of time, as `{daypart}`.
    moments: &'static [[&'static str; 2]],
    /// The banks for the slots that every topic shares.
    slots: &'static [(&'static str, &'static [&'static str])],
}

/// What a post is about. The fields are also the slots that a topic brings along.
struct Topic {
    topic: &'static str,
    /// Where one meets others.
    place: &'static [&'static str],
    /// What it was about this time, the same throughout a post.
    thing: &'static [&'static str],
    /// What can be counted.
    count: &'static [&'static str],
    /// What can be bought.
    kit: &'static [&'static str],
    /// First sentences.
    openings: &'static [&'static str],
}

/// The sentences of a bank in a shuffled order. All are dealt before one comes again.
struct Deck {
    sentences: Vec<&'static str>,
    dealt: usize,
}

impl Deck {
    fn new(bank: &'static str) -> Deck {
        let sentences: Vec<&str> = bank.lines().collect();
        Deck { dealt: sentences.len(), sentences }
    }

    fn deal(&mut self, rng: &mut ChaCha8Rng) -> &'static str {
        if self.dealt == self.sentences.len() {
            self.sentences.shuffle(rng);
            self.dealt = 0;
        }
        self.dealt += 1;
        self.sentences[self.dealt - 1]
    }
}

/// What has been settled for the post being written.
struct Scene {
    language: &'static Language,
    topic: &'static Topic,
    thing: &'static str,
    moment: [&'static str; 2],
    /// The fillers used so far, so that none comes twice.
    used: Vec<&'static str>,
}

/// Posts in English by 200 authors and in Chinese by 50, eight by each, with a type for each
/// author. Every word, author and label is made up: the set is for trying the program, and
/// whatever a model learns from it says nothing about people. The same seed gives the same
/// posts on every machine.
pub fn generate(seed: u64) -> Vec<Example> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = BTreeSet::new();
    let mut examples = Vec::new();
    for language in [&english::LANGUAGE, &chinese::LANGUAGE] {
        let mut types: Vec<Type> =
            Type::all().zip(language.authors).flat_map(|(mbti, authors)| repeat_n(mbti, authors)).collect();
        types.shuffle(&mut rng);
        let mut decks = language.letters.map(|banks| banks.map(Deck::new));
        for (index, mbti) in types.into_iter().enumerate() {
            let author = format!("made-up-{}-{:03}", language.code, index + 1);
            let texts = write_as_author(language, mbti, &mut decks, &mut seen, &mut rng);
            examples.extend(texts.into_iter().map(|text| Example {
                author: Some(author.clone()),
                text,
                mbti,
            }));
        }
    }
    examples
}

/// The posts of one author, each on another topic and none of them in `seen` before.
fn write_as_author(
    language: &'static Language,
    mbti: Type,
    decks: &mut [[Deck; 2]; 4],
    seen: &mut BTreeSet<String>,
    rng: &mut ChaCha8Rng,
) -> Vec<String> {
    let mut topics: Vec<&'static Topic> = language.topics.iter().collect();
    topics.shuffle(rng);
    let mut used = Vec::new();
    let mut texts = Vec::new();
    for topic in topics.into_iter().take(POSTS_PER_AUTHOR) {
        loop {
            let text = write_post(language, topic, mbti, decks, &mut used, rng);
            if language.length.contains(&text.chars().count()) && seen.insert(text.clone()) {
                texts.push(text);
                break;
            }
        }
    }
    texts
}

/// One post. `used` holds the openings and remarks that its author has had already.
fn write_post(
    language: &'static Language,
    topic: &'static Topic,
    mbti: Type,
    decks: &mut [[Deck; 2]; 4],
    used: &mut Vec<&'static str>,
    rng: &mut ChaCha8Rng,
) -> String {
    let mut scene = Scene {
        language,
        topic,
        thing: pick(topic.thing, rng),
        moment: language.moments[below(language.moments.len(), rng)],
        used: Vec::new(),
    };
    let mut axes = Axis::ALL;
    axes.shuffle(rng);
    let shown = 2 + below(2, rng);

    let mut templates = vec![pick_new(topic.openings, used, rng)];
    for axis in &axes[..shown] {
        let class = mbti.class(*axis) != rng.random_bool(OTHER_LETTER);
        templates.push(decks[axis.index()][usize::from(class)].deal(rng));
    }
    if rng.random_bool(ASIDE) {
        templates.push(pick_new(language.asides, used, rng));
    }
    let sentences: Vec<String> =
        templates.into_iter().map(|template| capitalised(&fill(template, &mut scene, rng))).collect();
    sentences.join(language.space)
}

/// The template with every slot filled and every choice made. A slot that nobody knows stays as
/// it is, which a test would find.
fn fill(template: &'static str, scene: &mut Scene, rng: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, inside, after)) = first_braces(rest) {
        text.push_str(before);
        let choices = choices(inside);
        if choices.len() > 1 {
            text.push_str(&fill(choices[below(choices.len(), rng)], scene, rng));
        } else if let Some(filler) = filler(inside, scene, rng) {
            text.push_str(&fill(filler, scene, rng));
        } else {
            text.extend(["{", inside, "}"]);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Something for the slot of this name.
fn filler(slot: &str, scene: &mut Scene, rng: &mut ChaCha8Rng) -> Option<&'static str> {
    let bank = match slot {
        "topic" => return Some(scene.topic.topic),
        "thing" => return Some(scene.thing),
        "when" => return Some(scene.moment[0]),
        "daypart" => return Some(scene.moment[1]),
        "place" => scene.topic.place,
        "count" => scene.topic.count,
        "kit" => scene.topic.kit,
        _ => scene.language.slots.iter().find(|(name, _)| *name == slot)?.1,
    };
    Some(pick_new(bank, &mut scene.used, rng))
}

/// What stands before, inside and after the first pair of braces.
fn first_braces(template: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let open = template.find('{')?;
    let mut depth = 0;
    for (at, c) in template[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let close = open + at;
            return Some((&template[..open], &template[open + 1..close], &template[close + 1..]));
        }
    }
    None
}

/// The parts between the bars that are in no braces of their own.
fn choices(inside: &'static str) -> Vec<&'static str> {
    let mut depth = 0;
    inside
        .split(move |c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            c == '|' && depth == 0
        })
        .collect()
}

/// One of the bank that has not been used yet, if a few draws find one.
fn pick_new(
    bank: &'static [&'static str],
    used: &mut Vec<&'static str>,
    rng: &mut ChaCha8Rng,
) -> &'static str {
    let mut picked = pick(bank, rng);
    for _ in 0..DRAWS {
        if !used.contains(&picked) {
            break;
        }
        picked = pick(bank, rng);
    }
    used.push(picked);
    picked
}

fn pick(bank: &'static [&'static str], rng: &mut ChaCha8Rng) -> &'static str {
    bank[below(bank.len(), rng)]
}

/// Drawn as 32 bits wide, so that machines of every width draw the same.
fn below(end: usize, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..end as u32) as usize
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn in_language<'a>(examples: &'a [Example], code: &str) -> Vec<&'a Example> {
        let prefix = format!("made-up-{code}-");
        examples.iter().filter(|e| e.author.as_ref().unwrap().starts_with(&prefix)).collect()
    }

    fn templates(language: &Language) -> impl Iterator<Item = &'static str> {
        let openings = language.topics.iter().flat_map(|topic| topic.openings);
        let letters = language.letters.into_iter().flatten().flat_map(str::lines);
        openings.chain(language.asides).copied().chain(letters)
    }

    #[test]
    fn there_are_eight_posts_by_each_of_200_and_50_authors() {
        let examples = generate(1);
        for (code, authors) in [("en", 200), ("zh", 50)] {
            let mut posts: BTreeMap<&str, (usize, BTreeSet<usize>)> = BTreeMap::new();
            for example in in_language(&examples, code) {
                let (count, types) = posts.entry(example.author.as_ref().unwrap()).or_default();
                *count += 1;
                types.insert(example.mbti.index());
            }
            assert_eq!(posts.len(), authors);
            assert!(posts.values().all(|(count, types)| *count == 8 && types.len() == 1));
            assert!(posts.contains_key(format!("made-up-{code}-001").as_str()));
            assert!(posts.contains_key(format!("made-up-{code}-{authors:03}").as_str()));
        }
        assert_eq!(examples.len(), 1600 + 400);
    }

    #[test]
    fn every_type_has_authors_in_both_languages_but_not_as_many() {
        for (language, least) in [(&english::LANGUAGE, 5), (&chinese::LANGUAGE, 2)] {
            assert!(language.authors.iter().all(|&authors| authors >= least));
            assert!(language.authors.iter().max() > language.authors.iter().min());
            let written: BTreeSet<usize> =
                in_language(&generate(2), language.code).iter().map(|e| e.mbti.index()).collect();
            assert_eq!(written.len(), 16);
        }
    }

    #[test]
    fn a_seed_gives_the_same_posts_again_and_another_seed_others() {
        assert_eq!(generate(3), generate(3));
        let [first, second] = [3, 4].map(|seed| generate(seed).into_iter().map(|e| e.text).collect());
        let (first, second): (BTreeSet<String>, BTreeSet<String>) = (first, second);
        assert!(first.intersection(&second).count() < 20);
    }

    #[test]
    fn posts_are_distinct_complete_and_neither_short_nor_long() {
        for seed in 0..8 {
            let examples = generate(seed);
            let texts: BTreeSet<&str> = examples.iter().map(|e| e.text.as_str()).collect();
            assert_eq!(texts.len(), examples.len());
            for (language, ends) in [(&english::LANGUAGE, ['.', '?']), (&chinese::LANGUAGE, ['。', '？'])] {
                for example in in_language(&examples, language.code) {
                    let text = &example.text;
                    assert!(language.length.contains(&text.chars().count()), "{text}");
                    assert!(!text.contains(['{', '}', '|']), "{text}");
                    assert!(!text.contains("  ") && text.trim() == text, "{text}");
                    assert!(text.ends_with(ends), "{text}");
                }
            }
        }
    }

    #[test]
    fn no_text_names_a_type_or_speaks_the_jargon() {
        let jargon = [
            "mbti",
            "introver",
            "extrover",
            "extraver",
            "sensor",
            "sensing",
            "intuiti",
            "thinker",
            "feeler",
            "judging",
            "judger",
            "perceiv",
            "personality",
            "内向",
            "外向",
            "人格",
            "性格",
            "直觉",
            "实感",
        ];
        for example in generate(5) {
            let text = example.text.to_lowercase();
            for name in Type::all().map(|mbti| mbti.to_string().to_lowercase()) {
                assert!(!text.contains(&name), "{text}");
            }
            for word in jargon {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn the_banks_are_large_and_every_slot_in_them_is_known() {
        for language in [&english::LANGUAGE, &chinese::LANGUAGE] {
            let templates: Vec<&str> = templates(language).collect();
            let distinct: BTreeSet<&str> = templates.iter().copied().collect();
            assert_eq!(distinct.len(), templates.len());
            let least = if language.code == "en" { 490 } else { 125 };
            assert!(language.letters.iter().flatten().all(|bank| bank.lines().count() >= least));
            assert!(language.topics.iter().map(|topic| topic.openings.len()).sum::<usize>() >= 40);
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            for topic in language.topics {
                for template in &templates {
                    let moment = language.moments[0];
                    let mut scene =
                        Scene { language, topic, thing: topic.thing[0], moment, used: Vec::new() };
                    for _ in 0..4 {
                        let text = fill(template, &mut scene, &mut rng);
                        assert!(!text.contains(['{', '}', '|']), "{template}: {text}");
                    }
                }
            }
        }
    }
}
