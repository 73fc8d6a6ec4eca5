use crate::{Error, error::Result};

/// Whether a text can name a data set or a model, and so a folder on any system.
pub(crate) fn check(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '(' | ')' | '+');
    let good = !name.is_empty()
        && name.chars().count() <= 80
        && name.chars().all(allowed)
        && !name.starts_with('.')
        && name.trim() == name
        && !name.ends_with('.');
    if good { Ok(()) } else { Err(Error::BadName { name: name.chars().take(100).collect() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        for name in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", " x", "x\n", "a:b", "x."] {
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["train", "mbtibench-train", "微博 2024", "v1.2 (old)"] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }
}
