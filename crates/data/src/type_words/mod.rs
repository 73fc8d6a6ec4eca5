//! Finds the words of a text that name or give away a type, so that they can be masked, the text
//! left out, or the leak measured.
//!
//! A text is read once, word by word and, where it is Chinese, phrase by phrase. Words that have no
//! other use (`INFP`, `introvert`, `内向`) are found wherever they stand. Words that have one are
//! found only in company: some by the words next to them (`mediator personality`, `my Ni`,
//! `sensing type`), others only near a word that is certain (`Needs`). Masking takes every certain
//! word away, so that nothing in a masked text has such company any more.

mod chinese;
mod context;
mod english;
mod letters;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use context::{char_at, fold, is_word, word_end};

/// A word that names or gives away a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    pub kind: Kind,
    /// The full type that it names, where it does.
    pub names: Option<mbti::Type>,
}

/// What a found word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One of the sixteen types, with its endings: `INFP`, `infps`, `INFP-T`.
    Type,
    /// A part of a type: `xNFP`, `NT`, `IN(T/F)P`.
    Partial,
    /// A type's name in a book or on a site: `Mediator`, `调停者`.
    Nickname,
    /// One end of an axis: `introvert`, `feeler`, `i人`.
    Axis,
    /// A cognitive function: `Ni-dom`.
    Function,
    /// The indicator itself: `MBTI`, `16personalities`.
    Topic,
}

/// What else must stand near a word before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Any certain word of any kind.
    Jargon,
    /// A certain word that is used of types only, as `introvert` is not.
    Typology,
    /// The same, but only a few characters away.
    TypologyBeside,
}

struct Candidate {
    found: Found,
    needs: Needs,
}

/// A word as it is looked at: a run of letters and digits.
struct Word<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    /// The word in plain letters, in its own case.
    plain: &'a str,
    /// Whether it is part of a web address, where two capital letters mean nothing.
    in_address: bool,
}

impl Word<'_> {
    fn candidate(&self, end: usize, kind: Kind, needs: Needs) -> Candidate {
        Candidate { found: Found { range: self.start..end, kind, names: None }, needs }
    }
}

/// All words that name or give away a type: sorted, and none overlaps another.
pub fn find(text: &str) -> Vec<Found> {
    let candidates = scan(text);
    let counts: Vec<bool> = (0..candidates.len()).map(|place| is_met(&candidates, place)).collect();
    candidates.into_iter().zip(counts).filter(|&(_, counts)| counts).map(|(one, _)| one.found).collect()
}

/// The text with `token` in place of every found word, or `None` where there is none. Words that
/// only a hyphen, a slash or the like separates become one token.
pub fn mask(text: &str, token: &str) -> Option<String> {
    let found = find(text);
    let mut masked = String::with_capacity(text.len());
    let mut end = None;
    for one in &found {
        let between = text.get(end.unwrap_or(0)..one.range.start).unwrap_or_default();
        if end.is_none() || !between.chars().all(joins) {
            masked.push_str(between);
            masked.push_str(token);
        }
        end = Some(one.range.end);
    }
    masked.push_str(text.get(end?..).unwrap_or_default());
    Some(masked)
}

/// Whether the text names this type in full, as its author's own type would be.
pub fn names_type(text: &str, mbti: mbti::Type) -> bool {
    find(text).iter().any(|one| one.names == Some(mbti))
}

/// Nothing but the found words, in plain lower-case letters with spaces between them: what a model
/// can learn from them alone is the leak.
pub fn only(text: &str) -> String {
    let words = find(text).into_iter().map(|one| {
        let word = text.get(one.range).unwrap_or_default();
        word.chars().map(|c| fold(c).map_or(c, char::from)).collect::<String>().to_lowercase()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a character between two finds leaves them one word. A bar does not: it separates posts.
fn joins(c: char) -> bool {
    matches!(c, '-' | '/' | '\\' | '&' | '+' | '~' | '·' | '\u{2010}'..='\u{2015}' | '／' | '～')
}

/// How many bytes away a certain word may be that vouches for an uncertain one: one or two
/// sentences, and about a dozen Chinese characters.
fn reach(needs: Needs) -> usize {
    match needs {
        Needs::Nothing => 0,
        Needs::Jargon | Needs::Typology => 120,
        Needs::TypologyBeside => 36,
    }
}

/// Whether a candidate has what it needs. Only certain words vouch for others, so that one doubtful
/// word never brings in the next.
fn is_met(candidates: &[Candidate], place: usize) -> bool {
    let Some((before, [this, after @ ..])) = candidates.split_at_checked(place) else { return false };
    let reach = reach(this.needs);
    let vouches = |other: &Candidate| {
        other.needs == Needs::Nothing && (this.needs == Needs::Jargon || other.found.kind != Kind::Axis)
    };
    let Range { start, end } = this.found.range;
    this.needs == Needs::Nothing
        || before.iter().rev().take_while(|other| other.found.range.end + reach >= start).any(vouches)
        || after.iter().take_while(|other| end + reach >= other.found.range.start).any(vouches)
}

/// Reads the text once and lists what may count.
fn scan(text: &str) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut in_address = false;
    let mut at = 0;
    while let Some(c) = char_at(text, at) {
        let next = at + c.len_utf8();
        let mut candidate = None;
        if is_word(c) {
            let end = word_end(text, next);
            candidate = word(text, at..end, in_address);
            in_address |= text.get(at..).is_some_and(|rest| rest.starts_with("www."));
            at = end;
        } else {
            if c.is_ascii() {
                in_address = !c.is_ascii_whitespace()
                    && (in_address || c == ':' && text.get(at..).is_some_and(|rest| rest.starts_with("://")));
                if c == '(' {
                    candidate = letters::in_brackets(text, at);
                }
                at = next;
            } else {
                in_address = false;
                (at, candidate) = chinese::phrase(text, at, c);
            }
        }
        if let Some(candidate) = candidate {
            // A find may go on past its first word; what it covers is not looked at again.
            at = at.max(candidate.found.range.end);
            candidates.push(candidate);
        }
    }
    candidates
}

/// What the word at this place may be.
fn word(text: &str, range: Range<usize>, in_address: bool) -> Option<Candidate> {
    let word = text.get(range.clone())?;
    if is_ordinary(word.as_bytes()) {
        return None;
    }
    let plain = plain(word)?;
    let word = Word { text, start: range.start, end: range.end, plain: &plain, in_address };
    letters::full_type(&word)
        .or_else(|| chinese::beside(&word))
        .or_else(|| letters::part_of_type(&word))
        .or_else(|| english::word(&word))
}

/// Whether a word can be none of those that are looked for, by its first letters: so that a text is
/// read at the speed of its ordinary words.
fn is_ordinary(word: &[u8]) -> bool {
    let [first, rest @ ..] = word else { return true };
    let ([second, third, more @ ..], true) = (rest, rest.iter().all(u8::is_ascii_lowercase)) else {
        return false;
    };
    let first = first.to_ascii_lowercase();
    if matches!(first, b'e' | b'i' | b'x') && matches!(second, b'n' | b's' | b'x') {
        return false;
    }
    let is_known = matches!(
        &[first, *second, *third],
        b"adv"
            | b"amb"
            | b"arc"
            | b"cam"
            | b"cha"
            | b"cog"
            | b"com"
            | b"con"
            | b"cou"
            | b"cra"
            | b"deb"
            | b"def"
            | b"fee"
            | b"fie"
            | b"hea"
            | b"jud"
            | b"kei"
            | b"log"
            | b"mas"
            | b"mbt"
            | b"med"
            | b"mey"
            | b"mye"
            | b"per"
            | b"pro"
            | b"sen"
            | b"six"
            | b"soc"
            | b"sup"
            | b"tea"
            | b"thi"
            | b"vir"
    );
    first.is_ascii_lowercase() && (more.is_empty() || !is_known)
}

/// A word in plain letters, or nothing where it has others than those of English.
fn plain(word: &str) -> Option<Cow<'_, str>> {
    /// No word that is looked for is longer, whatever it is joined to.
    const LONGEST: usize = 160;
    if word.len() > LONGEST {
        None
    } else if word.is_ascii() {
        Some(Cow::Borrowed(word))
    } else {
        word.chars().map(|c| fold(c).map(char::from)).collect::<Option<String>>().map(Cow::Owned)
    }
}
