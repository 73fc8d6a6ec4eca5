//! Characters and words, and what stands beside a word.

/// The character that begins at a byte.
#[inline]
pub(super) fn char_at(text: &str, at: usize) -> Option<char> {
    match text.as_bytes().get(at) {
        Some(&byte) if byte.is_ascii() => Some(char::from(byte)),
        _ => text.get(at..)?.chars().next(),
    }
}

/// Whether a character belongs to a word: letters that have a case, digits, and accents. Letters
/// without case are those of other scripts, which may stand directly beside a Latin word: `我是infp`,
/// `INFP입니다`.
#[inline]
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_lowercase() || c.is_uppercase() || matches!(c, '\u{300}'..='\u{36f}' | '０'..='９')
    }
}

/// Where the word ends that `at` is in or directly behind.
#[inline]
pub(super) fn word_end(text: &str, mut at: usize) -> usize {
    loop {
        while text.as_bytes().get(at).is_some_and(u8::is_ascii_alphanumeric) {
            at += 1;
        }
        match text.as_bytes().get(at) {
            Some(byte) if !byte.is_ascii() => match char_at(text, at) {
                Some(c) if is_word(c) => at += c.len_utf8(),
                _ => return at,
            },
            _ => return at,
        }
    }
}

/// The plain letter, digit or sign that a character is a form of: itself, or full-width (Ｉ), bold
/// and the like (𝐈), circled (Ⓘ) or squared (🅸).
pub(super) fn fold(c: char) -> Option<u8> {
    let code = u32::from(c);
    let letter = |first: u32, of: u8, letters: u32| of + ((code - first) % letters) as u8;
    Some(match code {
        0..=0x7f => code as u8,
        0xff01..=0xff5e => (code - 0xfee0) as u8,
        0x24b6..=0x24cf => letter(0x24b6, b'A', 26),
        0x24d0..=0x24e9 => letter(0x24d0, b'a', 26),
        0x1d400..=0x1d6a3 => {
            let place = (code - 0x1d400) % 52;
            if place < 26 { b'A' + place as u8 } else { b'a' + (place - 26) as u8 }
        }
        0x1f130..=0x1f149 => letter(0x1f130, b'A', 26),
        0x1f150..=0x1f169 => letter(0x1f150, b'A', 26),
        0x1f170..=0x1f189 => letter(0x1f170, b'A', 26),
        _ => return None,
    })
}

/// The word before or after a place, and what is between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour<'a> {
    pub(super) gap: &'a str,
    pub(super) word: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// No gap is longer, in characters, and no word that is asked for, so that a look aside takes no
/// time that hangs on the text.
const LONGEST_GAP: usize = 4;
const LONGEST_WORD: usize = 20;

/// The word after a place, unless something other than a word stands between.
pub(super) fn after(text: &str, at: usize) -> Option<Neighbour<'_>> {
    let mut start = at;
    for _ in 0..=LONGEST_GAP {
        let c = char_at(text, start)?;
        if is_word(c) {
            let length = text.get(start..)?.chars().take(LONGEST_WORD).take_while(|&c| is_word(c));
            let end = start + length.map(char::len_utf8).sum::<usize>();
            return Some(Neighbour { gap: text.get(at..start)?, word: text.get(start..end)?, start, end });
        }
        if c.is_alphabetic() {
            return None;
        }
        start += c.len_utf8();
    }
    None
}

/// The word before a place, unless something other than a word stands between.
pub(super) fn before(text: &str, at: usize) -> Option<Neighbour<'_>> {
    let front = text.get(..at)?;
    let mut end = at;
    for c in front.chars().rev().take(LONGEST_GAP + 1) {
        if is_word(c) {
            let length = text.get(..end)?.chars().rev().take(LONGEST_WORD).take_while(|&c| is_word(c));
            let start = end - length.map(char::len_utf8).sum::<usize>();
            return Some(Neighbour { gap: text.get(end..at)?, word: text.get(start..end)?, start, end });
        }
        if c.is_alphabetic() {
            return None;
        }
        end -= c.len_utf8();
    }
    None
}

impl Neighbour<'_> {
    /// Whether it is one of these words, in either case.
    pub(super) fn is_any(&self, words: &str) -> bool {
        words.split(' ').any(|word| self.word.eq_ignore_ascii_case(word))
    }

    /// Whether a single space or hyphen is all that is between.
    pub(super) fn is_joined(&self) -> bool {
        self.is_spaced() || self.gap == "-"
    }

    /// Whether a single space or line break is all that is between.
    pub(super) fn is_spaced(&self) -> bool {
        let mut chars = self.gap.chars();
        chars.next().is_some_and(char::is_whitespace) && chars.next().is_none()
    }

    /// Whether it begins with a capital letter.
    pub(super) fn is_capital(&self) -> bool {
        self.word.starts_with(char::is_uppercase)
    }
}

/// Whether one of these words follows after a space or a hyphen.
pub(super) fn followed(text: &str, end: usize, words: &str) -> bool {
    after(text, end).is_some_and(|next| next.is_joined() && next.is_any(words))
}

/// Whether one of these words stands before, with a space or a hyphen between.
pub(super) fn preceded(text: &str, start: usize, words: &str) -> bool {
    before(text, start).is_some_and(|last| last.is_joined() && last.is_any(words))
}

/// Whether the sentence has begun before this place, so that a capital letter here means something.
pub(super) fn is_mid_sentence(text: &str, start: usize) -> bool {
    before(text, start).is_some_and(|last| !last.gap.contains(['.', '!', '?', '|', '\n', ':', '…', '。']))
}
