//! Where a secret stands, for the tests that look that it stands nowhere else.
#![allow(clippy::unwrap_used)]

use std::path::Path;

/// All files below a folder that hold these bytes.
pub fn holders(folder: &Path, secret: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            holders(&path, secret, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}
