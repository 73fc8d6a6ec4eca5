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

/// Files that are needed beside the weights: the config and what the tokenizer is made of.
pub(crate) const FILES: [&str; 11] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
];
/// The licence, which has to go along, and the card that tells of the model.
pub(crate) const NOTES: [&str; 5] = ["README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE"];

/// Takes a model folder into the program's own storage as `models/name`, so that the source may
/// go.
pub fn install(source: &Path, models: &Path, name: &str) -> Result<ModelFolder> {
    let found = check(source)?;
    place(models, name, |new| {
        for file in &found.weights {
            take(&found.folder.join(file), &new.join(file))?;
        }
        for file in FILES {
            take(&found.folder.join(file), &new.join(file))?;
        }
        for file in NOTES {
            // In a subfolder of the layout with modules, they mostly lie above the model.
            let inner = found.folder.join(file);
            let from = if inner.exists() { inner } else { source.join(file) };
            take(&from, &new.join(file))?;
        }
        Ok(())
    })
}

/// Takes one file over, if it is there. It is copied and not linked, so that nothing that is done
/// to the source later, in place, can change the model or what was trained on it.
fn take(from: &Path, to: &Path) -> Result<()> {
    // Links into a cache such as huggingface_hub's are followed to the file itself.
    match from.canonicalize() {
        // Two shards whose names differ only in case are one file where the disk makes no
        // difference between them.
        Ok(from) if from.is_file() && !to.exists() => {
            std::fs::copy(from, to).map(|_| ()).map_err(|error| Error::write(to, error))
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::folder::{
        samples::{self, CONFIG, EMBEDDINGS, SHARDS},
        weights::{INDEX, SINGLE},
    };

    fn names(folder: &Path) -> Vec<String> {
        let mut names = crate::folder::format::names_in(folder);
        names.sort();
        names
    }

    #[test]
    fn what_belongs_to_the_model_is_taken_and_nothing_else() {
        let source = samples::folder(CONFIG, 3);
        let kept = [
            "LICENSE.txt",
            "NOTICE",
            "README.md",
            "merges.txt",
            "spiece.model",
            "tokenizer.model",
            "vocab.json",
        ];
        for name in kept {
            std::fs::write(source.path().join(name), name).unwrap();
        }
        for name in ["training_args.bin", "pytorch_model.bin", "chat_template.jinja", "run.py"] {
            std::fs::write(source.path().join(name), "").unwrap();
        }
        let models = tempfile::tempdir().unwrap();
        let found = install(source.path(), models.path(), "mine").unwrap();
        assert_eq!((found.folder, found.parameters), (models.path().join("mine"), Some(6)));
        let mut expected = [&kept[..], &["config.json", SINGLE, "tokenizer.json"][..]].concat();
        expected.sort();
        assert_eq!(names(&models.path().join("mine")), expected);
        drop(source);
        assert!(check(&models.path().join("mine")).is_ok(), "the source may go");
        assert_eq!(names(models.path()), ["mine"], "nothing half is left behind");
    }

    #[test]
    fn shards_are_taken_with_their_index() {
        let source = samples::folder(CONFIG, 3);
        samples::shard(source.path());
        let models = tempfile::tempdir().unwrap();
        let found = install(source.path(), models.path(), "mine").unwrap();
        assert_eq!(found.parameters, Some(14));
        let expected = ["config.json", SHARDS[0], SHARDS[1], INDEX, "tokenizer.json"];
        assert_eq!(names(&found.folder), expected);
    }

    #[test]
    fn the_language_model_is_taken_out_of_the_folder_of_sentence_transformers() {
        let source = tempfile::tempdir().unwrap();
        std::fs::write(source.path().join("modules.json"), samples::MODULES).unwrap();
        std::fs::write(source.path().join("README.md"), "card").unwrap();
        std::fs::write(source.path().join("LICENSE"), "outer").unwrap();
        let inner = source.path().join("0_Transformer");
        std::fs::create_dir(&inner).unwrap();
        samples::fill(&inner, CONFIG, EMBEDDINGS, 3);
        std::fs::write(inner.join("LICENSE"), "inner").unwrap();
        let models = tempfile::tempdir().unwrap();
        let found = install(source.path(), models.path(), "mine").unwrap();
        assert_eq!(names(&found.folder), ["LICENSE", "README.md", "config.json", SINGLE, "tokenizer.json"]);
        assert_eq!(std::fs::read_to_string(found.folder.join("LICENSE")).unwrap(), "inner");
    }

    #[test]
    fn a_trained_bag_of_words_keeps_its_weights() {
        let source = tempfile::tempdir().unwrap();
        samples::weights(&source.path().join(SINGLE), "words.weight", 3);
        std::fs::write(source.path().join("config.json"), r#"{"model_type": "words"}"#).unwrap();
        let models = tempfile::tempdir().unwrap();
        let found = install(source.path(), models.path(), "mine").unwrap();
        assert_eq!(names(&found.folder), ["config.json", SINGLE]);
        let built_in = install_words(models.path()).unwrap();
        assert_eq!(names(&built_in.folder), ["config.json"]);
    }

    #[test]
    fn a_folder_that_is_refused_leaves_nothing_behind() {
        let source = samples::folder(CONFIG, 3);
        std::fs::remove_file(source.path().join("tokenizer.json")).unwrap();
        let models = tempfile::tempdir().unwrap();
        assert!(matches!(install(source.path(), models.path(), "mine"), Err(Error::NoTokenizer { .. })));
        assert_eq!(names(models.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_copied_and_links_into_a_cache_followed() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let cache = samples::folder(CONFIG, 3);
        let source = tempfile::tempdir().unwrap();
        for name in names(cache.path()) {
            symlink(cache.path().join(&name), source.path().join(&name)).unwrap();
        }
        let models = tempfile::tempdir().unwrap();
        let found = install(source.path(), models.path(), "mine").unwrap();
        let inode = |path: &Path| std::fs::symlink_metadata(path).unwrap().ino();
        for name in [SINGLE, "config.json"] {
            let (from, to) = (cache.path().join(name), found.folder.join(name));
            assert!(std::fs::symlink_metadata(&to).unwrap().is_file());
            assert_ne!(inode(&from), inode(&to), "{name}");
        }
        let again = take(&cache.path().join(SINGLE), &found.folder.join(SINGLE));
        assert!(again.is_ok() && check(cache.path()).is_ok(), "a file taken twice stays whole");
    }
}
