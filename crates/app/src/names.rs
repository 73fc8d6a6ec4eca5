use crate::{Error, error::Result};

/// The most bytes of a name. A folder's may have 255 on most systems, and what is being made or removed, or is a part
/// of it, has a few more.
const BYTES: usize = 200;
const LETTERS: usize = 80;

/// Whether a text can name a data set or a model, and so a folder on any system.
pub(crate) fn check(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '(' | ')' | '+');
    let good = !name.is_empty()
        && name.chars().count() <= LETTERS
        && name.len() <= BYTES
        && name.chars().all(allowed)
        && !name.chars().any(is_unseen)
        && !name.starts_with('.')
        // It would be taken for an option of a command.
        && !name.starts_with('-')
        && name.trim() == name
        && !name.ends_with('.')
        && !is_device(name);
    if good { Ok(()) } else { Err(Error::BadName { name: name.chars().take(100).collect() }) }
}

/// Letters that look like nothing, or like a blank: the fillers of Hangul, and a blank of Khmer's.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}')
}

/// Whether Windows takes it for a device: these names, whatever stands after a dot, in letters of any case, also with
/// blanks before the dot and with superscript digits.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |stem: &str| {
        let mut letters = stem.chars();
        matches!(letters.next(), Some('0'..='9' | '¹' | '²' | '³')) && letters.next().is_none()
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
        || ["com", "lpt"].iter().any(|device| stem.strip_prefix(device).is_some_and(numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        for name in
            ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", " x", "x\n", "a:b", "x.", "-x", "--name"]
        {
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["train", "mbtibench-train", "微博 2024", "v1.2 (old)", "Qwen3-0.6B", "été"] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn names_of_devices_are_refused_in_every_spelling() {
        for name in [
            "con",
            "CON",
            "Con.txt",
            "aux.txt",
            "nul",
            "prn.tar.gz",
            "com0",
            "COM1",
            "com9.x",
            "lpt0",
            "LPT3",
            "com¹",
            "lpt².txt",
            "com³",
            "aux .txt",
            "nul  .a",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["console", "com", "com10", "lpt", "auxiliary", "my.con", "con-1", "nulls", "com⁴"] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_name_leaves_room_for_what_is_put_around_it() {
        let long = |letter: &str, count: usize| letter.repeat(count);
        assert!(check(&long("a", 80)).is_ok() && check(&long("a", 81)).is_err());
        assert!(check(&long("微", 66)).is_ok() && check(&long("微", 67)).is_err());
        assert!(check(&long("𠀀", 50)).is_ok() && check(&long("𠀀", 51)).is_err());
        let around = format!(".removed-{}-{}-fold10-train.lock", u32::MAX, long("𠀀", 50));
        assert!(around.len() <= 255);
    }

    #[test]
    fn marks_that_change_how_the_rest_is_read_are_refused() {
        for mark in [
            '\u{0}',
            '\u{7f}',
            '\u{85}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{301}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{115f}',
            '\u{3164}',
            '\u{a0}',
            '\u{2028}',
            '\u{fffd}',
        ] {
            assert!(check(&format!("a{mark}b")).is_err(), "{mark:?}");
        }
    }
}
