//! Which encoding a text file has.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The encoding of a file that begins with these bytes; `None` where they are no text. `whole` tells
/// that there is nothing behind them.
///
/// A byte order mark decides; then bytes of zero at every other place, for UTF-16; then whether it is
/// UTF-8, in which single rows may be damaged; else it is guessed as Firefox does (chardetng), which
/// knows GB18030, Big5, Shift_JIS, windows-1252 (Latin-1) and others.
pub(crate) fn guess(start: &[u8], whole: bool) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return Some(encoding);
    }
    let looked_at = &start[..start.len().min(8192)];
    if looked_at.contains(&0) {
        return utf_16(looked_at);
    }
    let [sound, damaged] = lines_with_other_than_ascii(start, whole);
    if damaged == 0 || damaged < sound {
        return Some(UTF_8);
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(start, whole);
    Some(detector.guess(None, chardetng::Utf8Detection::Deny))
}

/// UTF-16 without a mark: of mostly Latin text every other byte is zero.
fn utf_16(start: &[u8]) -> Option<&'static Encoding> {
    let zeros = |first: usize| start.iter().skip(first).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), start.len() / 2);
    // A few may stand in any damaged file.
    let many = |zeros: usize| zeros >= 4 && zeros * 10 >= half;
    let few = |zeros: usize| zeros * 20 <= half;
    match (even, odd) {
        (even, odd) if few(even) && many(odd) => Some(UTF_16LE),
        (even, odd) if few(odd) && many(even) => Some(UTF_16BE),
        _ => None,
    }
}

/// How many lines have characters beyond ASCII in UTF-8, and how many have what is no UTF-8.
fn lines_with_other_than_ascii(start: &[u8], whole: bool) -> [usize; 2] {
    let mut counts = [0, 0];
    let mut lines = start.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // The last line may be cut off in the middle of a character.
        let last = lines.peek().is_none() && !whole;
        match std::str::from_utf8(line) {
            Ok(_) => counts[0] += usize::from(!line.is_ascii()),
            Err(error) if last && error.error_len().is_none() => {}
            Err(_) => counts[1] += 1,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use encoding_rs::GB18030;

    fn of(bytes: &[u8]) -> Option<&'static str> {
        guess(bytes, true).map(Encoding::name)
    }

    #[test]
    fn encodings_are_told_by_their_marks_their_zeros_and_their_letters() {
        let chinese = "posts,type\n我喜欢安静的晚上和一本书,INFP\n今天天气很好我们去公园散步吧,ESTJ\n";
        assert_eq!(of(chinese.as_bytes()), Some("UTF-8"));
        assert_eq!(of(b"\xef\xbb\xbfposts,type\n"), Some("UTF-8"));
        let (gb, _, lossy) = GB18030.encode(chinese);
        assert!(!lossy);
        assert!(matches!(of(&gb), Some("GBK" | "gb18030")), "{:?}", of(&gb));
        let french = "body,mbti\nUne soirée près de la forêt,INFP\nLe café était déjà fermé à midi,ESTJ\n";
        let latin: Vec<u8> = french.chars().map(|c| c as u8).collect();
        assert_eq!(of(&latin), Some("windows-1252"));
        for (mark, expected) in [(true, "UTF-16LE"), (false, "UTF-16LE")] {
            let start: &[u8] = if mark { &[0xff, 0xfe] } else { &[] };
            let text = french.encode_utf16().flat_map(u16::to_le_bytes);
            let bytes: Vec<u8> = start.iter().copied().chain(text).collect();
            assert_eq!(of(&bytes), Some(expected));
        }
        let big_end: Vec<u8> = french.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(of(&big_end), Some("UTF-16BE"));
        assert_eq!(of(b"\x7fELF\x00\x00\x01\x00\x02\x00\x00\x05"), None);
    }

    #[test]
    fn a_damaged_row_among_sound_ones_leaves_a_file_in_utf_8() {
        assert_eq!(of("body,mbti\né,INFP\nü,INFP\n".as_bytes()), Some("UTF-8"));
        let mixed = [b"body,mbti\n\xff\xfe\x80,INFP\n".as_slice(), "é,INFP\nü,INFP\n".as_bytes()].concat();
        assert_eq!(of(&mixed), Some("UTF-8"));
        // Cut in the middle of a character, where more is to come.
        let cut = &"body,mbti\né,INFP\n你".as_bytes()[..18];
        assert_eq!(guess(cut, false).unwrap().name(), "UTF-8");
    }
}
