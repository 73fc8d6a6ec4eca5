//! Types by their letters: the sixteen, with wildcards and alternatives, and parts of them.

use mbti::{Axis, Type};

use super::context::{after, before, char_at, fold, is_mid_sentence, is_word, word_end};
use super::{Candidate, Found, Kind, Needs, Word};

/// What may be joined to a type without making another word of it. Other endings are left alone,
/// or a mistyped `entprise` would be a type.
const ENDINGS: &str = "s es ish y ness ism like dom land hood type types girl girls guy guys boy boys life \
     love lover problem problems meme memes forum forums thoughts things traits club \
     world community personality male female";

/// The letters of one place in a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One letter, by its class.
    One(bool),
    /// Both, as in `INT/FP`.
    Either,
    /// Any, as in `xNFP`.
    Any,
}

/// Four places in a row.
struct Pattern {
    places: [Place; 4],
    end: usize,
    /// Whether every letter but the x is a capital.
    capitals: bool,
}

/// A type written in full, or with wildcards or alternatives, from the word's beginning on, or as a
/// part of the word that capitals or digits set off.
pub(super) fn full_type(word: &Word) -> Option<Candidate> {
    let first = word.plain.bytes().next()?.to_ascii_lowercase();
    let whole = if matches!(first, b'e' | b'i' | b'x') { from(word.text, word.start) } else { None };
    whole.or_else(|| {
        let names = pieces(word.plain).find_map(exactly)?;
        let mut candidate = word.candidate(closing(word.text, word.end), Kind::Type, Needs::Nothing);
        candidate.found.names = Some(names);
        Some(candidate)
    })
}

/// A type whose first letter is in brackets: `(E)NTP`.
pub(super) fn in_brackets(text: &str, at: usize) -> Option<Candidate> {
    from(text, at)
}

/// The type that a word of four letters is.
pub(super) fn exactly(plain: &str) -> Option<Type> {
    if plain.len() == 4 { plain.parse().ok() } else { None }
}

fn from(text: &str, start: usize) -> Option<Candidate> {
    let pattern = pattern(text, start)?;
    let any = pattern.places.iter().filter(|&&place| place == Place::Any).count();
    let end = ending(text, pattern.end)?;
    let mut names = None;
    let mut kind = Kind::Partial;
    if let [Place::One(a), Place::One(b), Place::One(c), Place::One(d)] = pattern.places {
        kind = Kind::Type;
        names = Some(Type::from_classes([a, b, c, d]));
    } else if any == 0 {
        // `INFJ/P` and `I/ENFP` have a whole type in them.
        let last = pattern.end.checked_sub(4).and_then(|last| text.get(last..pattern.end));
        names = text.get(start..start + 4).and_then(exactly).or_else(|| last.and_then(exactly));
        kind = if names.is_some() { Kind::Type } else { Kind::Partial };
    } else if !matches!(text.get(pattern.end..word_end(text, pattern.end)), Some("" | "s" | "S")) {
        return None;
    }
    // The more is open, the more it takes for the rest to be no word: `intx` is a type of C.
    let needs = match any {
        0 => Needs::Nothing,
        1 if pattern.capitals || pattern.places[3] != Place::Any => Needs::Nothing,
        2 if pattern.capitals => Needs::Nothing,
        1 | 2 => Needs::Typology,
        3 if pattern.capitals => Needs::Typology,
        _ => return None,
    };
    Some(Candidate { found: Found { range: start..end, kind, names }, needs })
}

fn pattern(text: &str, start: usize) -> Option<Pattern> {
    let mut places = [Place::Any; 4];
    let mut capitals = true;
    let mut at = start;
    for axis in Axis::ALL {
        let is_last = axis.index() == 3;
        let open = bracket(text, &mut at, b'(');
        let first = letter(text, &mut at)?;
        places[axis.index()] = if first.eq_ignore_ascii_case(&b'x') {
            Place::Any
        } else {
            capitals &= first.is_ascii_uppercase();
            let class = class(axis, first)?;
            let mut next = at;
            let other = bracket(text, &mut next, b'/') && {
                letter(text, &mut next).and_then(|other| self::class(axis, other)) == Some(!class)
            };
            // In `INFJ/Paul` the slash is the end.
            let other = other && (open || !is_last || !char_at(text, next).is_some_and(is_word));
            if other {
                at = next;
            }
            if other { Place::Either } else { Place::One(class) }
        };
        if open && !bracket(text, &mut at, b')') {
            return None;
        }
    }
    Some(Pattern { places, end: at, capitals })
}

/// Steps over a letter.
fn letter(text: &str, at: &mut usize) -> Option<u8> {
    let c = char_at(text, *at)?;
    let letter = fold(c).filter(u8::is_ascii_alphabetic)?;
    *at += c.len_utf8();
    Some(letter)
}

/// Steps over a bracket or a slash, if it is there.
fn bracket(text: &str, at: &mut usize, sign: u8) -> bool {
    let c = char_at(text, *at).filter(|&c| fold(c) == Some(sign));
    *at += c.map_or(0, char::len_utf8);
    c.is_some()
}

fn class(axis: Axis, letter: u8) -> Option<bool> {
    let [first, second] = axis.letters().map(|one| one.as_char().eq_ignore_ascii_case(&char::from(letter)));
    (first || second).then_some(second)
}

/// Where a type ends together with what is joined to it, or nothing where that makes another word.
fn ending(text: &str, at: usize) -> Option<usize> {
    let end = word_end(text, at);
    let rest = text.get(at..end)?;
    let joins = rest.bytes().all(|byte| byte.is_ascii_digit())
        || ENDINGS.split(' ').any(|ending| ending.eq_ignore_ascii_case(rest))
        || rest.chars().all(|c| fold(c).is_some_and(|letter| letter.eq_ignore_ascii_case(&b's')));
    joins.then(|| closing(text, end))
}

/// Where a word ends with a possessive s, or the T or A of 16personalities, behind it.
fn closing(text: &str, end: usize) -> usize {
    let closing = |signs: &[char], letters: [u8; 2]| {
        let sign = char_at(text, end).filter(|sign| signs.contains(sign))?;
        let mut at = end + sign.len_utf8();
        let is_one =
            letter(text, &mut at).is_some_and(|letter| letters.contains(&letter.to_ascii_lowercase()));
        (is_one && !char_at(text, at).is_some_and(is_word)).then_some(at)
    };
    closing(&['-', '\u{2010}', '\u{2011}', '–', '—', '－'], [b't', b'a'])
        .or_else(|| closing(&['\'', '’', 'ʼ', '`', '´'], [b's', b's']))
        .unwrap_or(end)
}

/// The pieces of a word that capitals or digits set off: `My`, `INFJ`, `Guy`, `7`.
fn pieces(plain: &str) -> impl Iterator<Item = &str> {
    let bytes = plain.as_bytes();
    let has_pieces =
        bytes.len() > 4 && bytes[1..].iter().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let mut start = 0;
    let ends = if has_pieces { 1..bytes.len() + 1 } else { 0..0 };
    ends.filter(|&at| {
        let [last, this, next] = [at - 1, at, at + 1].map(|at| bytes.get(at).copied().unwrap_or(b'1'));
        at == bytes.len()
            || last.is_ascii_digit() != this.is_ascii_digit()
            || this.is_ascii_uppercase() && (!last.is_ascii_uppercase() || next.is_ascii_lowercase())
    })
    .filter_map(move |end| plain.get(std::mem::replace(&mut start, end)..end))
}

/// Letters that are less than a type: temperaments and pairs (`NT`, `SJs`), three letters (`NFP`), and
/// single ones. They count in capitals only.
pub(super) fn part_of_type(word: &Word) -> Option<Candidate> {
    if word.plain.len() > 4 || word.in_address || !word.plain.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    if word.plain.len() == 1 {
        return spelled(word).or_else(|| single(word));
    }
    let letters = word.plain.strip_suffix('s').unwrap_or(word.plain);
    let end = closing(word.text, word.end);
    let is_beside_letters = [char_before(word), char_at(word.text, word.end)]
        .into_iter()
        .flatten()
        .any(|c| c.is_alphabetic() && !is_word(c));
    match letters {
        // One of the Enneagram's instincts, sx, so and sp.
        "SP" if [before(word.text, word.start), after(word.text, word.end)]
            .into_iter()
            .flatten()
            .any(|other| matches!(other.gap, "/" | "-") && other.is_any("sx so")) =>
        {
            None
        }
        // NT is also an insult in Chinese, and SP and others are of many trades.
        "NT" | "NF" | "SJ" | "SP" => {
            let needs = match () {
                () if is_beside_letters => Needs::Jargon,
                () if has_other_sense(word) => Needs::Typology,
                () => Needs::Nothing,
            };
            Some(word.candidate(end, Kind::Partial, needs))
        }
        _ if is_beside_letters => None,
        "EJ" | "IJ" | "EP" | "IP" | "NJ" | "NP" | "SF" | "ST" | "TJ" | "TP" | "FJ" | "FP"
            if !is_first_name(word) =>
        {
            Some(word.candidate(end, Kind::Partial, Needs::Typology))
        }
        "N" | "S" | "F" | "T" | "J" | "P" if is_mid_sentence(word.text, word.start) => {
            Some(word.candidate(end, Kind::Axis, Needs::Typology))
        }
        // Time zones.
        "EST" | "IST" => None,
        _ if letters.len() == 3
            && [&Axis::ALL[..3], &Axis::ALL[1..]].iter().any(|axes| are_on(axes, letters)) =>
        {
            Some(word.candidate(end, Kind::Partial, Needs::Typology))
        }
        _ => None,
    }
}

fn are_on(axes: &[Axis], letters: &str) -> bool {
    axes.iter()
        .zip(letters.bytes())
        .all(|(&axis, letter)| letter.is_ascii_uppercase() && class(axis, letter).is_some())
}

fn char_before(word: &Word) -> Option<char> {
    word.text.get(..word.start)?.chars().next_back()
}

/// Whether letters are someone's name, with another name behind: `EJ Smith`.
fn is_first_name(word: &Word) -> bool {
    after(word.text, word.end).is_some_and(|next| {
        next.is_spaced() && next.is_capital() && next.word.chars().skip(1).any(char::is_lowercase)
    })
}

/// Whether a pair is Windows NT, SP 500, NT$, NF-κB.
fn has_other_sense(word: &Word) -> bool {
    let next = after(word.text, word.end);
    before(word.text, word.start).is_some_and(|last| last.is_any("windows win microsoft"))
        || [char_before(word), char_at(word.text, word.end)].iter().flatten().any(|c| matches!(c, '$' | '_'))
        || next.is_some_and(|next| {
            next.word.starts_with(|c: char| c.is_ascii_digit())
                || next.gap == "-" && (next.word.starts_with('κ') || next.is_any("kb kappa kappab"))
        })
}

/// A type letter by letter: `I-N-F-P`, `I N F P`.
fn spelled(word: &Word) -> Option<Candidate> {
    let between = char_at(word.text, word.end).filter(|c| matches!(c, '-' | '.' | ' ' | '·'))?;
    let mut classes = [false; 4];
    let mut at = word.start;
    for axis in Axis::ALL {
        if axis.index() > 0 {
            char_at(word.text, at).filter(|&c| c == between)?;
            at += between.len_utf8();
        }
        let letter = letter(word.text, &mut at).filter(u8::is_ascii_uppercase)?;
        classes[axis.index()] = class(axis, letter)?;
    }
    if char_at(word.text, at).is_some_and(is_word) {
        return None;
    }
    let mut candidate = word.candidate(at, Kind::Type, Needs::Nothing);
    candidate.found.names = Some(Type::from_classes(classes));
    Some(candidate)
}

/// A single letter: `N type`, `T/F`, `a strong J`.
fn single(word: &Word) -> Option<Candidate> {
    let letter = *word.plain.as_bytes().first()?;
    let axis = Axis::ALL.into_iter().find(|&axis| class(axis, letter).is_some())?;
    let next = after(word.text, word.end);
    if let Some(next) = next.filter(|next| next.is_spaced() && next.is_any("type types")) {
        // "I type" is what a hand does, and an E-type is a car.
        let needs = match letter {
            b'N' => Needs::Nothing,
            b'I' | b'E' if next.is_any("type") => return None,
            _ => Needs::Typology,
        };
        return Some(word.candidate(word.end, Kind::Axis, needs));
    }
    let is_other = |next: &str| {
        next.len() == 1
            && next
                .bytes()
                .all(|other| other != letter && other.is_ascii_uppercase() && class(axis, other).is_some())
    };
    if let Some(next) = next.filter(|next| matches!(next.gap, "/" | "-" | " / ") && is_other(next.word)) {
        return Some(word.candidate(next.end, Kind::Axis, Needs::Typology));
    }
    const STRENGTHS: &str = "a an the strong stronger weak weaker high borderline";
    const NOT_OF_I: &str = "my your being of";
    let is_noun = before(word.text, word.start).is_some_and(|last| {
        last.is_spaced() && (last.is_any(STRENGTHS) || letter != b'I' && last.is_any(NOT_OF_I))
    }) && !char_at(word.text, word.end)
        .is_some_and(|c| matches!(c, '.' | '&' | '-' | '\'' | '’'));
    is_noun.then(|| word.candidate(word.end, Kind::Axis, Needs::Typology))
}
