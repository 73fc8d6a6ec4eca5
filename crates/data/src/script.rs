//! Which characters are written without spaces between words.

/// Characters of Chinese, Japanese, Thai, Lao, Tibetan, Burmese and Khmer, in which white space
/// does not part words. Korean does part them, and is not among these.
pub(crate) fn unspaced(c: char) -> bool {
    // Most characters of most texts are below the first of these blocks.
    c >= '\u{0e00}'
        && matches!(c, '\u{0e00}'..='\u{0fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_japanese_and_thai_are_unspaced_and_latin_russian_and_korean_are_not() {
        assert!("我かカไทยខ".chars().all(unspaced));
        assert!(!"aж한é1。 !".chars().any(unspaced));
    }
}
