//! The counts that stand inside a page of the delta encodings. The format's crate takes memory by them.

use super::thrift::Outcome;

/// Texts of such a page. Writers put some twenty thousand into one.
const VALUES: u64 = 4 << 20;
/// What all writers use is 128 numbers in 4 pieces.
const BLOCK: u64 = 1 << 16;

/// Numbers, each as its difference from the one before.
pub(super) const NUMBERS: i32 = 5;
/// Texts behind one another, their lengths as such numbers.
pub(super) const LENGTHS: i32 = 6;
/// Texts without what they share with the one before; two lists of lengths.
pub(super) const PREFIXES: i32 = 7;

/// Checks the values of a page, for which its header says there are `most` at most.
pub(super) fn check(bytes: &[u8], most: u64, encoding: i32) -> Outcome<()> {
    let most = if encoding == NUMBERS { most } else { most.min(VALUES) };
    let end = numbers(bytes, most)?;
    if encoding == PREFIXES {
        numbers(bytes.get(end..).unwrap_or_default(), most)?;
    }
    Ok(())
}

/// Where a list of numbers ends, without unpacking them.
fn numbers(bytes: &[u8], most: u64) -> Outcome<usize> {
    let mut at = 0;
    let [block, pieces, mut left] =
        [varint(bytes, &mut at)?, varint(bytes, &mut at)?, varint(bytes, &mut at)?];
    varint(bytes, &mut at)?;
    if pieces == 0 || block == 0 || block > BLOCK || block % pieces != 0 || (block / pieces) % 32 != 0 {
        return Err("a page packs its numbers as no writer does".to_owned());
    }
    if left > most {
        return Err("a page has more values than it says".to_owned());
    }
    left = left.saturating_sub(1);
    let piece = block / pieces;
    while left > 0 {
        varint(bytes, &mut at)?;
        let widths = bytes.get(at..at + pieces as usize).ok_or("a page is cut off")?;
        at += widths.len();
        for width in widths {
            if left > 0 {
                at += (u64::from(*width) * piece / 8) as usize;
                left = left.saturating_sub(piece);
            }
        }
    }
    Ok(at)
}

fn varint(bytes: &[u8], at: &mut usize) -> Outcome<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or("a page is cut off")?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number in a page has no end".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_whose_inner_counts_exceed_its_header_is_refused() {
        // 128 in 4 pieces, one value; the second list the same.
        let one = [0x80, 1, 4, 1, 6];
        assert_eq!(numbers(&one, 1).unwrap(), 5);
        assert!(check(&[one, one].concat(), 1, PREFIXES).is_ok());
        // 2⁶³ of them.
        let many = [&[0x80, 1, 4][..], &[0xff; 8], &[0x7f, 6]].concat();
        for encoding in [NUMBERS, LENGTHS] {
            assert!(check(&many, 1 << 31, encoding).is_err());
        }
        assert!(check(&[&one[..], &many].concat(), 1 << 31, PREFIXES).is_err());
        // Forty values of width 0 end behind the widths of one block.
        let packed = [&[0x80, 1, 4, 40, 6][..], &[2, 0, 0, 0, 0]].concat();
        assert_eq!(numbers(&packed, 40).unwrap(), 10);
        // Blocks of a size that would take memory for itself.
        assert!(numbers(&[0x80, 0x80, 0x80, 0x80, 1, 1, 1, 0], 9).is_err());
        assert!(numbers(&one[..3], 9).is_err());
    }
}
