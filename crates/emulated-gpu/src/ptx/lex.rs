//! PTX text to tokens.

use super::Error;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'a> {
    /// An identifier, an opcode with its modifiers or a directive: `%r1`, `ld.global.f32`, `.reg`.
    Word(&'a str),
    /// An integer, with whatever sign stands before it left apart.
    Integer(u64),
    /// The bits of a number in single precision, `0f3F800000`.
    Single(u32),
    /// The bits of a number in double precision, `0d…` or with a decimal point.
    Double(u64),
    /// A text in quotation marks.
    Text(&'a str),
    /// A sign.
    Sign(char),
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// Its line, from 1.
    pub line: usize,
}

/// Splits a text into tokens; comments go.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(text.len() / 4);
    let (mut at, mut line) = (0, 1);
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        if byte == b'\n' {
            line += 1;
            at += 1;
        } else if byte.is_ascii_whitespace() || byte == 0 {
            at += 1;
        } else if rest.starts_with(b"//") {
            at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            let length = rest.windows(2).skip(2).position(|two| two == b"*/").map_or(rest.len(), |p| p + 4);
            line += rest[..length].iter().filter(|&&b| b == b'\n').count();
            at += length;
        } else {
            let (kind, length) = token(text, at, line)?;
            found.push(Token { kind, start: at, end: at + length, line });
            at += length;
        }
    }
    Ok(found)
}

fn token(text: &str, at: usize, line: usize) -> Result<(Kind<'_>, usize), Error> {
    let bytes = &text.as_bytes()[at..];
    let syntax = |wanted| {
        let found: String = text.get(at..).unwrap_or_default().chars().take(24).collect();
        Error::Syntax { line, found, wanted }
    };
    match bytes[0] {
        b'"' => {
            let length =
                bytes[1..].iter().position(|&b| b == b'"').ok_or_else(|| syntax("the end of a string"))?;
            Ok((Kind::Text(text.get(at + 1..at + 1 + length).unwrap_or_default()), length + 2))
        }
        b'0'..=b'9' => {
            let length =
                bytes.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'.').unwrap_or(bytes.len());
            let word = text.get(at..at + length).ok_or_else(|| syntax("a number"))?;
            Ok((number(word).ok_or_else(|| syntax("a number"))?, length))
        }
        first if word_byte(first) => {
            let mut length = 1;
            while let Some(&next) = bytes.get(length) {
                // `shared::cta` and `L2::128B` are parts of an opcode; `label:` is not.
                if first == b'.' && next == b'.' {
                    // `.reg.b32` is two directives.
                    break;
                } else if next == b':' && bytes.get(length + 1) == Some(&b':') {
                    length += 2;
                } else if word_byte(next) {
                    length += 1;
                } else {
                    break;
                }
            }
            Ok((Kind::Word(text.get(at..at + length).ok_or_else(|| syntax("a name"))?), length))
        }
        sign @ (b'{' | b'}' | b'(' | b')' | b'[' | b']' | b'<' | b'>' | b',' | b';' | b':' | b'@' | b'!'
        | b'|' | b'+' | b'-' | b'=') => Ok((Kind::Sign(char::from(sign)), 1)),
        _ => Err(syntax("a token of PTX")),
    }
}

fn word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'%' | b'$' | b'_')
}

fn number(word: &str) -> Option<Kind<'static>> {
    let lower = word.to_ascii_lowercase();
    if let Some(bits) = lower.strip_prefix("0f") {
        return (bits.len() == 8).then(|| u32::from_str_radix(bits, 16).ok().map(Kind::Single)).flatten();
    }
    if let Some(bits) = lower.strip_prefix("0d") {
        return (bits.len() == 16).then(|| u64::from_str_radix(bits, 16).ok().map(Kind::Double)).flatten();
    }
    if lower.contains('.') {
        return lower.parse::<f64>().ok().map(|value| Kind::Double(value.to_bits()));
    }
    let digits = lower.strip_suffix('u').unwrap_or(&lower);
    let parsed = if let Some(hex) = digits.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    parsed.ok().map(Kind::Integer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_are_read_in_every_notation() {
        let wanted = [
            Kind::Integer(10),
            Kind::Integer(0x10),
            Kind::Integer(0o17),
            Kind::Integer(5),
            Kind::Integer(u64::MAX),
            Kind::Single(0x3f80_0000),
            Kind::Double(0x3ff0_0000_0000_0000),
            Kind::Double(1.5f64.to_bits()),
        ];
        assert_eq!(
            kinds("10 0x10U 017 0b101 18446744073709551615 0f3F800000 0d3FF0000000000000 1.5"),
            wanted
        );
    }

    #[test]
    fn opcodes_keep_their_modifiers_and_labels_their_colon() {
        let text = "$L__1: cp.async.cg.shared.global.L2::128B [%r1+4], /* a\nb */ 16; // end";
        let found = kinds(text);
        assert_eq!(found[0], Kind::Word("$L__1"));
        assert_eq!(found[1], Kind::Sign(':'));
        assert_eq!(found[2], Kind::Word("cp.async.cg.shared.global.L2::128B"));
        assert_eq!(tokens(text).unwrap().last().unwrap().line, 2);
    }

    #[test]
    fn directives_need_no_space_between_them() {
        assert_eq!(kinds(".reg.b32 x"), [Kind::Word(".reg"), Kind::Word(".b32"), Kind::Word("x")]);
    }

    #[test]
    fn what_is_no_token_is_an_error_with_its_line() {
        assert!(matches!(tokens("\n\n#"), Err(Error::Syntax { line: 3, .. })));
        assert!(matches!(tokens("0xzz"), Err(Error::Syntax { .. })));
        assert!(matches!(tokens("\"open"), Err(Error::Syntax { .. })));
        assert!(matches!(tokens("é"), Err(Error::Syntax { .. })));
    }
}
