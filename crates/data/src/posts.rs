//! Texts of the length that is wanted: long ones cut at the ends of sentences, short ones of one
//! author joined.
//!
//! Lengths are in characters (Unicode scalar values) throughout.

use std::collections::BTreeMap;

use mbti::Type;
use unicode_segmentation::UnicodeSegmentation;

use crate::script::unspaced;

/// Words that end in a full stop within a sentence, in lower case and without the last one. Those
/// that as often end a sentence, such as "etc.", are not among them.
const ABBREVIATIONS: [&str; 17] = [
    "e.g", "eg", "i.e", "ie", "mr", "mrs", "ms", "dr", "prof", "st", "vs", "cf", "z.b", "d.h", "p.ex", "sr",
    "sra",
];

/// Cuts a text into pieces of at most `longest` characters, each at the last end of a sentence that
/// fits, else at the last white space, else between graphemes.
///
/// The pieces are without white space at their ends, and nothing else is left out. Of a text of
/// white space alone there are none. A grapheme longer than a piece may be is cut itself.
pub fn cut(text: &str, longest: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (piece, left) = cut_first(rest, 1, longest.max(1));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// Joins the short texts of each author and cuts the long ones, so that all are of a wanted length.
///
/// Texts come one by one, in any order of authors. What is not yet long enough waits, one text for
/// each author and type, shorter than `shortest`.
#[derive(Debug)]
pub struct Joiner {
    shortest: usize,
    longest: usize,
    separator: char,
    // Sorted, so that what is left at the end has an order.
    pending: BTreeMap<(u32, usize), Pending>,
}

#[derive(Debug)]
struct Pending {
    mbti: Type,
    text: String,
    characters: usize,
}

/// A text made of one or more of an author's, or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub author: u32,
    pub mbti: Type,
    pub text: String,
}

/// What was still waiting at the end, all of it shorter than wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftovers {
    /// In the order of authors and types. Empty where short texts are not kept.
    pub texts: Vec<Joined>,
    pub dropped: usize,
}

impl Joiner {
    /// Texts of `shortest` to `longest` characters, with `separator` between joined ones.
    ///
    /// `longest` is taken as at least 2 and `shortest` as at most one less, for which there is
    /// always a way to cut.
    pub fn new(shortest: usize, longest: usize, separator: char) -> Joiner {
        let longest = longest.max(2);
        Joiner { shortest: shortest.clamp(1, longest - 1), longest, separator, pending: BTreeMap::new() }
    }

    /// Takes a text and gives those of the same author and type that it made long enough.
    pub fn push(&mut self, author: u32, mbti: Type, text: &str) -> Vec<String> {
        let mut done = Vec::new();
        let mut rest = text.trim();
        if rest.is_empty() {
            return done;
        }
        let pending = self.pending.entry((author, mbti.index())).or_insert_with(|| Pending {
            mbti,
            text: String::new(),
            characters: 0,
        });
        while !rest.is_empty() {
            let before = if pending.characters == 0 { 0 } else { pending.characters + 1 };
            let (piece, left) = cut_first(
                rest,
                self.shortest.saturating_sub(before).max(1),
                self.longest.saturating_sub(before),
            );
            if before > 0 {
                pending.text.push(self.separator);
            }
            pending.text.push_str(piece);
            pending.characters = before + piece.chars().count();
            if pending.characters >= self.shortest {
                done.push(std::mem::take(&mut pending.text));
                pending.characters = 0;
            }
            rest = left;
        }
        done
    }

    /// Ends the joining. Texts that stayed too short are given as they are, or dropped and counted.
    pub fn finish(self, keep_short: bool) -> Leftovers {
        let waiting = self.pending.into_iter().filter(|(_, pending)| !pending.text.is_empty());
        let mut texts: Vec<Joined> = waiting
            .map(|((author, _), pending)| Joined { author, mbti: pending.mbti, text: pending.text })
            .collect();
        let dropped = if keep_short { 0 } else { texts.len() };
        if !keep_short {
            texts.clear();
        }
        Leftovers { texts, dropped }
    }
}

/// The first piece of a text that begins and ends with no white space, and the rest without the
/// white space between. The piece has `shortest` to `longest` characters unless the text itself is
/// shorter or has white space over all of that range; it is never empty.
fn cut_first(text: &str, shortest: usize, longest: usize) -> (&str, &str) {
    let longest = longest.max(1);
    let Some((end, _)) = text.char_indices().nth(longest) else {
        return (text, "");
    };
    let ends = ends(text, shortest, longest);
    let at = ends.sentence.or(ends.white).unwrap_or_else(|| grapheme_end(text, shortest, end));
    let (piece, rest) = text.split_at(at);
    (piece.trim_end(), rest.trim_start())
}

/// Where a text can be cut, in bytes: the last places after `shortest` to `longest` characters.
#[derive(Default)]
struct Ends {
    sentence: Option<usize>,
    white: Option<usize>,
}

fn ends(text: &str, shortest: usize, longest: usize) -> Ends {
    let mut ends = Ends::default();
    // A sentence ended and nothing but closing marks came since; in `full`, with a sign that needs
    // no space after it.
    let (mut ended, mut full) = (false, false);
    let mut in_white = false;
    let mut word = 0;
    for (count, (at, c)) in text.char_indices().enumerate().take(longest + 1) {
        let fits = count >= shortest.max(1);
        if c.is_whitespace() {
            if fits && !in_white {
                ends.white = Some(at);
                let mut white = text[at..].chars().take_while(|c| c.is_whitespace());
                if ended || white.any(|c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')) {
                    ends.sentence = Some(at);
                }
            }
            (in_white, ended, full) = (true, false, false);
            word = at + c.len_utf8();
            continue;
        }
        in_white = false;
        match c {
            '。' | '！' | '？' | '｡' | '．' => (ended, full) = (true, true),
            '!' | '?' | '…' => ended = true,
            '.' => ended = ended || !is_abbreviation(&text[word..at]),
            '"' | '\'' | '”' | '’' | '»' | '」' | '』' | '》' | '】' | ')' | '）' | ']' => {}
            _ => {
                if fits && ended && (full || unspaced(c)) {
                    ends.sentence = Some(at);
                }
                (ended, full) = (false, false);
            }
        }
    }
    ends
}

/// Whether a full stop after this belongs to the word: an initial, or one of a few abbreviations.
fn is_abbreviation(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(|c| c.is_uppercase() && c != 'I') && letters.next().is_none();
    initial || ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// The last end of a grapheme up to `end`, or `end` itself where none lies in the range.
fn grapheme_end(text: &str, shortest: usize, end: usize) -> usize {
    // One character past the end tells whether there is a boundary at it. A whole text in one
    // grapheme would otherwise be walked through for every piece.
    let past = text[end..].chars().next().map_or(0, char::len_utf8);
    let from = text.char_indices().nth(shortest).map_or(end, |(at, _)| at);
    let boundaries = text[..end + past].grapheme_indices(true).map(|(at, _)| at);
    boundaries.take_while(|&at| at <= end).filter(|&at| at >= from).last().unwrap_or(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn mbti(name: &str) -> Type {
        name.parse().unwrap()
    }

    fn solid(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn a_text_is_cut_at_the_last_sentence_that_fits() {
        assert_eq!(
            cut("One two. Three four! Five six seven.", 22),
            ["One two. Three four!", "Five six seven."]
        );
        assert_eq!(cut("No? \"Yes.\" He said so.", 12), ["No? \"Yes.\"", "He said so."]);
        assert_eq!(cut("a line\nanother line, and on", 16), ["a line", "another line,", "and on"]);
        assert_eq!(cut("Wait... what? Ok…  fine.", 14), ["Wait... what?", "Ok…  fine."]);
        assert_eq!(cut("  short \n", 14), ["short"]);
        assert!(cut(" \n ", 5).is_empty());
    }

    #[test]
    fn chinese_is_cut_after_its_signs_and_their_closing_marks() {
        assert_eq!(
            cut("我喜欢你。你呢？他说：“好！”然后走了。", 9),
            ["我喜欢你。你呢？", "他说：“好！”", "然后走了。"]
        );
        assert_eq!(cut("真的吗?我不信!!算了……好吧", 10), ["真的吗?我不信!!", "算了……好吧"]);
    }

    #[test]
    fn decimals_initials_and_abbreviations_end_no_sentence() {
        assert_eq!(
            cut("It is 3.5 of it, e.g. this one here", 25),
            ["It is 3.5 of it, e.g.", "this one here"]
        );
        assert_eq!(cut("Yes. Some, e.g. this", 16), ["Yes.", "Some, e.g. this"]);
        assert_eq!(cut("Yes. By J. Smith it is", 12), ["Yes.", "By J. Smith", "it is"]);
        assert_eq!(cut("So am I. And you know", 15), ["So am I.", "And you know"]);
    }

    #[test]
    fn without_sentence_or_space_graphemes_stay_whole() {
        assert_eq!(cut("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        // Each is a letter with two accents.
        assert_eq!(cut("e\u{301}\u{323}e\u{301}\u{323}", 5), ["e\u{301}\u{323}", "e\u{301}\u{323}"]);
        assert_eq!(cut("e\u{301}\u{323}", 2), ["e\u{301}", "\u{323}"]);
        assert_eq!(cut("👨‍👩‍👧👨‍👩‍👧", 6), ["👨‍👩‍👧", "👨‍👩‍👧"]);
        assert_eq!(cut("ab", 0), ["a", "b"]);
    }

    #[test]
    fn posts_are_joined_until_long_enough_for_each_author_and_type_apart() {
        let mut joiner = Joiner::new(10, 20, '\n');
        let (infp, estj) = (mbti("INFP"), mbti("ESTJ"));
        assert!(joiner.push(1, infp, "Hello.").is_empty());
        assert!(joiner.push(2, infp, "Other.").is_empty());
        assert!(joiner.push(1, estj, "Third.").is_empty());
        assert_eq!(joiner.push(1, infp, "World. "), ["Hello.\nWorld."]);
        assert!(joiner.push(1, infp, " ").is_empty());
        assert_eq!(
            joiner.push(2, infp, "One two. Three four. Five six."),
            ["Other.\nOne two.", "Three four."]
        );
        let left = |author, mbti, text: &str| Joined { author, mbti, text: text.into() };
        let expected = vec![left(1, estj, "Third."), left(2, infp, "Five six.")];
        assert_eq!(joiner.finish(true), Leftovers { texts: expected, dropped: 0 });
    }

    #[test]
    fn texts_that_stay_short_are_dropped_and_counted_where_that_is_wished() {
        let mut joiner = Joiner::new(700, 1000, ' ');
        assert!(joiner.push(3, mbti("INFP"), "short").is_empty());
        assert!(joiner.push(4, mbti("INFP"), "short").is_empty());
        assert_eq!(joiner.push(4, mbti("INFP"), &"word ".repeat(200)).len(), 1);
        assert_eq!(joiner.finish(false), Leftovers { texts: vec![], dropped: 2 });
    }

    #[test]
    fn long_texts_take_time_in_proportion() {
        for unit in ["a.", "e\u{301}", "\u{301}", "我。", " ", "\n ", "\""] {
            let text = unit.repeat(200_000);
            let begun = std::time::Instant::now();
            assert_eq!(solid(&cut(&text, 1000).concat()), solid(&text));
            assert!(begun.elapsed().as_secs() < 5, "{unit:?}");
        }
    }

    /// Texts with much of what matters to cuts.
    fn awkward() -> impl Strategy<Value = String> {
        "([a-zI]|[.!?…。！？]|[ \n\t]| |[我你]|\u{301}|👨‍👩‍👧|e\\.g\\. |3\\.5|\\PC|\"){0,60}"
    }

    proptest! {
        #[test]
        fn a_cut_loses_nothing_but_white_space_and_keeps_to_the_limit(text in awkward(), longest in 0usize..30) {
            let pieces = cut(&text, longest);
            let mut rest = text.as_str();
            for piece in &pieces {
                prop_assert!(!piece.is_empty() && piece.trim() == *piece);
                prop_assert!(piece.chars().count() <= longest.max(1));
                rest = rest.trim_start().strip_prefix(piece).unwrap();
            }
            prop_assert!(rest.trim().is_empty());
        }

        #[test]
        fn a_text_that_fits_is_one_piece(text in awkward()) {
            prop_assert_eq!(cut(&text, 600), if text.trim().is_empty() { vec![] } else { vec![text.trim()] });
        }

        #[test]
        fn joining_neither_loses_nor_repeats_a_text_and_keeps_to_the_limits(
            texts in proptest::collection::vec((0u32..3, 0usize..2, awkward()), 0..30),
            shortest in 1usize..30, more in 1usize..30,
        ) {
            let longest = shortest + more;
            let mut joiner = Joiner::new(shortest, longest, ' ');
            let (mut given, mut made) = (BTreeMap::new(), BTreeMap::new());
            for (author, index, text) in &texts {
                let mbti = Type::all().nth(*index).unwrap();
                given.entry((*author, *index)).or_insert_with(String::new).push_str(&solid(text));
                for text in joiner.push(*author, mbti, text) {
                    prop_assert!((shortest..=longest).contains(&text.chars().count()), "{}", text);
                    made.entry((*author, *index)).or_insert_with(String::new).push_str(&solid(&text));
                }
            }
            let left = joiner.finish(true);
            prop_assert_eq!(left.dropped, 0);
            for joined in left.texts {
                prop_assert!(!joined.text.is_empty() && joined.text.chars().count() < shortest);
                made.entry((joined.author, joined.mbti.index())).or_default().push_str(&solid(&joined.text));
            }
            given.retain(|_, text| !text.is_empty());
            prop_assert_eq!(made, given);
        }

        #[test]
        fn a_joiner_bears_limits_that_contradict_each_other(
            text in awkward(), shortest in 0usize..6, longest in 0usize..6,
        ) {
            let mut joiner = Joiner::new(shortest, longest, '\n');
            for _ in 0..3 {
                for text in joiner.push(0, mbti("INFP"), &text) {
                    prop_assert!(text.chars().count() <= longest.max(2));
                }
            }
        }
    }
}
