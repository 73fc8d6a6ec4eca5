//! SentencePiece's map of characters: a double array of units, by which the bytes of a character lead to a place in a
//! list of replacements that end with a NUL byte. The library that uses it trusts every place in it.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Bytes of a map; those in use have some 0.3 MB.
const LIMIT: usize = 4 << 20;
/// Bytes of what is looked up at once: a character, or several that are one to a reader.
const LONGEST: usize = 5;

/// How many times longer the map can make a text; an error where it leads out of itself for any text.
pub(super) fn growth(base64: &str) -> Result<f64, String> {
    let bytes =
        STANDARD.decode(base64).map_err(|error| format!("its map of characters is no base64: {error}"))?;
    let outside = || "its map of characters leads out of itself".to_owned();
    let (size, rest) = bytes.split_first_chunk().ok_or_else(outside)?;
    let size = u32::from_le_bytes(*size) as usize / 4 * 4;
    if bytes.len() > LIMIT || size == 0 || size > rest.len() {
        return Err(outside());
    }
    let (units, list) = rest.split_at(size);
    let units: Vec<usize> =
        units.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    let list = std::str::from_utf8(list).map_err(|_| outside())?;
    let mut most: f64 = 1.0;
    let mut seen = vec![false; units.len()];
    let mut row = vec![offset(units[0])];
    for depth in 1..=LONGEST {
        let mut next_row = Vec::new();
        for place in row {
            match seen.get_mut(place) {
                None => return Err(outside()),
                Some(true) => continue,
                Some(seen) => *seen = true,
            }
            // No other bytes are in any text.
            for byte in (1..=0xf4).filter(|byte| ![0xc0, 0xc1].contains(byte)) {
                let unit = *units.get(place ^ byte).ok_or_else(outside)?;
                if unit & (1 << 31 | 0xff) != byte {
                    continue;
                }
                let next = place ^ byte ^ offset(unit);
                if unit >> 8 & 1 == 1 {
                    let start = units.get(next).ok_or_else(outside)? & ((1 << 31) - 1);
                    let replacement = list.get(start..).ok_or_else(outside)?;
                    let end = replacement.find('\0').unwrap_or(replacement.len());
                    most = most.max(end as f64 / depth as f64);
                }
                next_row.push(next);
            }
        }
        row = next_row;
    }
    Ok(most)
}

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A map of one character, of one byte, and its replacement.
    pub(crate) fn map(byte: u8, replacement: &str) -> String {
        let mut units = vec![0u32; 512];
        // The root leads to the block at 256, the byte there to its leaf in the same block.
        units[0] = 256 << 10;
        units[256 + usize::from(byte)] = u32::from(byte) | 1 << 8 | u32::from(byte) << 10;
        units[256] = 0;
        let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
        units.iter().for_each(|unit| bytes.extend(unit.to_le_bytes()));
        bytes.extend(replacement.bytes());
        bytes.push(0);
        STANDARD.encode(bytes)
    }

    #[test]
    fn the_longest_replacement_of_the_shortest_text_is_the_growth() {
        assert_eq!(growth(&map(b'a', "abcd")).unwrap(), 4.0);
        assert_eq!(growth(&map(b'a', "")).unwrap(), 1.0);
    }

    #[test]
    fn a_map_that_leads_out_of_itself_is_refused() {
        let sound = STANDARD.decode(map(b'a', "abcd")).unwrap();
        let mut cut = sound.clone();
        cut[..4].copy_from_slice(&(300u32 * 4).to_le_bytes());
        let with = |place: usize, unit: u32| {
            let mut bytes = sound.clone();
            bytes[4 + place * 4..8 + place * 4].copy_from_slice(&unit.to_le_bytes());
            bytes
        };
        let elsewhere = [
            Vec::new(),
            vec![0; 4],
            vec![255; 4],
            cut,
            with(0, 1000 << 10),
            with(256 + 97, 97 | 1 << 8 | 5000 << 10),
            // A place past the list's end.
            with(256, 100),
            [&sound[..], &[0xff]].concat(),
        ];
        for bytes in elsewhere {
            assert!(growth(&STANDARD.encode(&bytes)).is_err(), "{:?}", &bytes[..bytes.len().min(8)]);
        }
        assert!(growth("no base64").is_err());
    }
}
