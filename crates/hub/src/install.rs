use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{
    ModelFolder, check,
    error::{Error, Result},
};

/// Name of the built-in bag of words.
pub const WORDS: &str = "words";

/// Files of a model folder that are needed, with the licence and the card that tells of it.
const FILES: [&str; 13] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "README.md",
    "LICENSE",
];

/// Takes a model folder into the program's own storage as `models/name`, so that the source may
/// go. On the same disk the weights are linked rather than copied.
pub fn install(source: &Path, models: &Path, name: &str) -> Result<ModelFolder> {
    check(source)?;
    place(models, name, |new| {
        for file in FILES {
            let (from, to) = (source.join(file), new.join(file));
            // Links into a cache such as huggingface_hub's are followed to the file itself.
            let Ok(from) = from.canonicalize() else { continue };
            if file != "model.safetensors" || std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to).map_err(|error| Error::write(&to, error))?;
            }
        }
        Ok(())
    })
}

/// Makes the folder of the built-in bag of words, unless it is there.
pub fn install_words(models: &Path) -> Result<ModelFolder> {
    let folder = models.join(WORDS);
    if let Ok(found) = check(&folder) {
        return Ok(found);
    }
    place(models, WORDS, |new| {
        let path = new.join("config.json");
        let mut file = File::create(&path).map_err(|error| Error::write(&path, error))?;
        file.write_all(b"{\n  \"model_type\": \"words\"\n}\n")
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::write(&path, error))
    })
}

/// Fills a folder beside its place and renames it there.
fn place(models: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<ModelFolder> {
    let (folder, new): (PathBuf, PathBuf) = (models.join(name), models.join(format!(".new-{name}")));
    for leftover in [&new, &folder] {
        // Only what the history knows nothing of can lie here: the rest of a broken-off adding.
        match std::fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::write(leftover, error));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(&new).map_err(|error| Error::write(&new, error))?;
    let done = fill(&new)
        .and_then(|()| std::fs::rename(&new, &folder).map_err(|error| Error::write(&folder, error)))
        .and_then(|()| check(&folder));
    if done.is_err() {
        std::fs::remove_dir_all(&new).ok();
    }
    done
}
