//! Which files are large and which are ignored: .gitattributes and .gitignore, as far as the Hub's own use them.

use crate::glob;
use crate::repos::Kind;

/// The endings that a new repository keeps as large files, as the Hub's first commit has them.
const ENDINGS: [&str; 34] = [
    "*.7z",
    "*.arrow",
    "*.bin",
    "*.bz2",
    "*.ckpt",
    "*.ftz",
    "*.gz",
    "*.h5",
    "*.joblib",
    "*.lfs.*",
    "*.mlmodel",
    "*.model",
    "*.msgpack",
    "*.npy",
    "*.npz",
    "*.onnx",
    "*.ot",
    "*.parquet",
    "*.pb",
    "*.pickle",
    "*.pkl",
    "*.pt",
    "*.pth",
    "*.rar",
    "*.safetensors",
    "saved_model/**/*",
    "*.tar.*",
    "*.tar",
    "*.tflite",
    "*.tgz",
    "*.wasm",
    "*.xz",
    "*.zip",
    "*.zst",
];

/// The .gitattributes of a new repository.
pub(crate) fn first(kind: Kind) -> String {
    let more: &[&str] = match kind {
        Kind::Model => &["*tfevents*"],
        Kind::Dataset => &["*.lz4", "*.mds", "*.wav", "*.mp3", "*.png", "*.jpg"],
    };
    let lines = ENDINGS.iter().chain(more);
    lines.map(|pattern| format!("{pattern} filter=lfs diff=lfs merge=lfs -text\n")).collect()
}

/// Whether .gitattributes keeps this path as a large file. As in git, the last line that fits decides.
pub(crate) fn keeps_large(attributes: &str, path: &str) -> bool {
    let mut large = false;
    for line in attributes.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(pattern) = words.next() else { continue };
        if fits(pattern, path) {
            for word in words {
                match word {
                    "filter=lfs" => large = true,
                    "-filter" | "!filter" => large = false,
                    _ => {}
                }
            }
        }
    }
    large
}

/// Whether .gitignore leaves this path out. Lines that begin with "!" take paths in again.
pub(crate) fn ignores(ignore: &str, path: &str) -> bool {
    let mut ignored = false;
    for line in ignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (pattern, verdict) = line.strip_prefix('!').map_or((line, true), |rest| (rest, false));
        let pattern = pattern.trim_end_matches('/');
        // A folder that is left out takes all within it along.
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        if ends.into_iter().any(|end| fits(pattern, &path[..end])) {
            ignored = verdict;
        }
    }
    ignored
}

/// A pattern without a slash is one of names, in whichever folder.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix('/') {
        Some(rooted) => glob::matches(rooted, path, false),
        None if pattern.contains('/') => glob::matches(pattern, path, false),
        None => glob::matches(pattern, path.rsplit('/').next().unwrap_or(path), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_told_by_their_endings() {
        let attributes = first(Kind::Model);
        assert!(keeps_large(&attributes, "model.safetensors"));
        assert!(keeps_large(&attributes, "onnx/model.onnx"));
        assert!(keeps_large(&attributes, "saved_model/a/b.txt"));
        assert!(!keeps_large(&attributes, "config.json"));
        assert!(!keeps_large("*.bin filter=lfs\nsmall.bin -filter\n", "small.bin"));
    }

    #[test]
    fn ignored_folders_take_their_files_along() {
        assert!(ignores("checkpoints/\n*.log\n", "checkpoints/1/a.bin"));
        assert!(ignores("checkpoints/\n*.log\n", "a/b.log"));
        assert!(!ignores("*.log\n!keep.log\n", "keep.log"));
        assert!(!ignores("/build\n", "a/build"));
    }
}
