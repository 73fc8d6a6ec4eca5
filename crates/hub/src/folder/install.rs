use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use files::{Access, Enclosure, JSON_LIMIT};

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

/// What goes along unchanged with a model that was trained: all but its config, its weights and its card.
pub fn companions() -> impl Iterator<Item = &'static str> {
    let own = ["config.json", "README.md"];
    FILES.into_iter().chain(NOTES).filter(move |name| !own.contains(name))
}

/// The most that a file of the tokenizer's may hold. The largest that are in use have some 60 MB.
const VOCABULARY_LIMIT: u64 = 128 << 20;
/// The most that a card or a licence may hold.
const NOTE_LIMIT: u64 = 16 << 20;
/// What is copied before it is asked whether to go on.
const PIECE: u64 = 16 << 20;

/// Copies what belongs to the model of a folder that was [checked](check) into the folder `new`, which is empty, so
/// that the source may go. `goes_on` hears after each piece how many bytes it had and how many there are in all, and
/// ends the copying by answering `false`. Gives what the copy holds, which is checked again: the source may have
/// changed meanwhile.
///
/// # Errors
/// [`Error::NotAFile`] where one of the files is a link that leads out of the folder, a pipe or the like, and
/// [`Error::Stopped`].
pub async fn install(
    source: &Path,
    found: &ModelFolder,
    new: &Path,
    mut goes_on: impl FnMut(u64, u64) -> bool,
) -> Result<ModelFolder> {
    let files = collect(source, found)?;
    let needed = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.bytes));
    let free = fs4::available_space(new).map_err(|error| Error::read(new, error))?;
    if needed > free {
        let reason = format!("it needs {} MiB, and {} MiB are free", needed >> 20, free >> 20);
        return Err(Error::write(new, std::io::Error::new(ErrorKind::StorageFull, reason)));
    }
    for file in files {
        copy(file, new, &mut |copied| goes_on(copied, needed)).await?;
    }
    check(new)
}

/// A file that is taken over, opened, so that it stays the one that was looked at.
struct Taken {
    name: String,
    from: PathBuf,
    file: File,
    bytes: u64,
}

/// Opens all files that are to be copied: a link that must not be followed is told before anything is.
fn collect(source: &Path, found: &ModelFolder) -> Result<Vec<Taken>> {
    let failed = |error| Error::read(source, error);
    let outer = Enclosure::of(source).map_err(failed)?;
    // Both are of one folder, also where another is put into its place just now.
    let model = match found.folder.strip_prefix(source).ok().and_then(Path::to_str) {
        Some("") => outer.clone(),
        None => Enclosure::of(&found.folder).map_err(|error| Error::read(&found.folder, error))?,
        Some(inner) => outer.inner(inner).map_err(failed)?,
    };
    let mut taken = Vec::new();
    for name in &found.weights {
        let limit = if name.ends_with(".json") { JSON_LIMIT } else { u64::MAX };
        taken.extend(open(&model, name, limit)?);
    }
    for name in FILES {
        let limit = match name {
            "config.json" | "tokenizer_config.json" | "special_tokens_map.json" | "added_tokens.json" => {
                JSON_LIMIT
            }
            _ => VOCABULARY_LIMIT,
        };
        taken.extend(open(&model, name, limit)?);
    }
    for name in NOTES {
        // In a subfolder of the layout with modules, they mostly lie above the model.
        let place = if model.has(name) { &model } else { &outer };
        taken.extend(open(place, name, NOTE_LIMIT)?);
    }
    outer.check_in_its_place().map_err(failed)?;
    Ok(taken)
}

/// Opens one file, if it is there. A folder of its name is no file of the model's.
fn open(folder: &Enclosure, name: &str, limit: u64) -> Result<Option<Taken>> {
    let from = folder.path(name);
    if std::fs::symlink_metadata(&from).map_or(true, |about| about.is_dir()) {
        return Ok(None);
    }
    let file = match folder.open(name) {
        Ok(file) => file,
        // A link into a cache whose blob is gone.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::of_file(&from, error)),
    };
    let bytes = file.metadata().map_err(|error| Error::read(&from, error))?.len();
    if bytes > limit {
        let reason = format!("it has {bytes} bytes, more than the {limit} that are expected");
        return Err(Error::Read { path: from, source: std::io::Error::new(ErrorKind::FileTooLarge, reason) });
    }
    Ok(Some(Taken { name: name.to_owned(), from, file, bytes }))
}

/// Copies one file and syncs it. It is copied and not linked, so that nothing that is done to the source later, in
/// place, can change the model or what was trained on it.
async fn copy(taken: Taken, new: &Path, goes_on: &mut impl FnMut(u64) -> bool) -> Result<()> {
    let to = new.join(&taken.name);
    let mut place = match File::create_new(&to) {
        Ok(place) => place,
        // Two shards whose names differ only in case are one file where the disk makes no
        // difference between them.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(Error::write(&to, error)),
    };
    // Not further than it was long: somebody may be writing to it.
    let mut left = taken.bytes;
    while left > 0 {
        let mut piece = (&taken.file).take(left.min(PIECE));
        let copied = std::io::copy(&mut piece, &mut place).map_err(|error| Error::write(&to, error))?;
        if copied == 0 {
            let reason = std::io::Error::new(ErrorKind::UnexpectedEof, "it became shorter while it was read");
            return Err(Error::read(&taken.from, reason));
        }
        left -= copied;
        // Whoever watches this on the same thread sees to a wish to stop meanwhile.
        tokio::task::yield_now().await;
        if !goes_on(copied) {
            return Err(Error::Stopped);
        }
    }
    place.sync_all().map_err(|error| Error::write(&to, error))
}

/// Makes the folder of the built-in bag of words, unless it is there.
pub fn install_words(models: &Path) -> Result<ModelFolder> {
    let folder = models.join(WORDS);
    if let Ok(found) = check(&folder) {
        return Ok(found);
    }
    // Two programs that start at once both write the same.
    write_words(&folder)?;
    check(&folder).or_else(|_| {
        files::remove_folder(&folder).map_err(|error| Error::write(&folder, error))?;
        write_words(&folder)?;
        check(&folder)
    })
}

fn write_words(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    let path = folder.join("config.json");
    files::replace(&path, b"{\n  \"model_type\": \"words\"\n}\n", Access::Usual)
        .map_err(|error| Error::write(&path, error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::folder::{
        samples::{self, CONFIG, EMBEDDINGS, SHARDS},
        weights::{INDEX, SINGLE},
    };

    /// Copies the model of `source` into a new folder of `models`.
    fn install(source: &Path, models: &Path, name: &str) -> Result<ModelFolder> {
        let found = check(source)?;
        let new = models.join(name);
        std::fs::create_dir(&new).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(super::install(source, &found, &new, |_, _| true))
    }

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
    fn copying_stops_when_that_is_wished() {
        let source = samples::folder(CONFIG, 3);
        let found = check(source.path()).unwrap();
        let new = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut heard = 0;
        let done = runtime.block_on(super::install(source.path(), &found, new.path(), |bytes, all| {
            assert!(bytes < all);
            heard += bytes;
            false
        }));
        assert!(matches!(done, Err(Error::Stopped)), "{done:?}");
        assert_eq!((names(new.path()), heard > 0), (vec![SINGLE.to_owned()], true));
    }

    #[test]
    fn what_is_larger_than_its_kind_ever_is_is_refused_before_anything_is_copied() {
        for (name, bytes) in [("LICENSE", NOTE_LIMIT + 1), ("vocab.txt", VOCABULARY_LIMIT + 1)] {
            let source = samples::folder(CONFIG, 3);
            File::create(source.path().join(name)).unwrap().set_len(bytes).unwrap();
            let models = tempfile::tempdir().unwrap();
            let error = install(source.path(), models.path(), "mine").unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(names(&models.path().join("mine")), [""; 0]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_are_copied_and_links_followed_to_the_blobs_of_a_cache() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let root = tempfile::tempdir().unwrap();
        let cache = root.path().join("models--me--mine");
        let (blobs, source) = (cache.join("blobs"), cache.join("snapshots/c0ffee"));
        for folder in [&blobs, &source] {
            std::fs::create_dir_all(folder).unwrap();
        }
        samples::fill(&blobs, CONFIG, EMBEDDINGS, 3);
        for name in names(&blobs) {
            symlink(Path::new("../../blobs").join(&name), source.join(&name)).unwrap();
        }
        symlink("../../blobs/gone", source.join("LICENSE")).unwrap();
        let models = tempfile::tempdir().unwrap();
        let found = install(&source, models.path(), "mine").unwrap();
        let inode = |path: &Path| std::fs::symlink_metadata(path).unwrap().ino();
        assert_eq!(names(&found.folder), ["config.json", SINGLE, "tokenizer.json"]);
        for name in [SINGLE, "config.json"] {
            let (from, to) = (blobs.join(name), found.folder.join(name));
            assert!(std::fs::symlink_metadata(&to).unwrap().is_file());
            assert_ne!(inode(&from), inode(&to), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_refused_by_name_whichever_file_it_stands_for() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        let whole = samples::folder(CONFIG, 3);
        samples::shard(whole.path());
        for name in names(whole.path()) {
            std::fs::copy(whole.path().join(&name), outside.path().join(&name)).unwrap();
        }
        std::fs::write(outside.path().join("key"), "secret").unwrap();
        let key = outside.path().join("key");
        for name in FILES.iter().chain(&NOTES).chain(&SHARDS).chain(&[INDEX]) {
            let source = samples::folder(CONFIG, 3);
            samples::shard(source.path());
            let same = outside.path().join(name);
            let target = if same.exists() { same } else { key.clone() };
            std::fs::remove_file(source.path().join(name)).ok();
            symlink(&target, source.path().join(name)).unwrap();
            let models = tempfile::tempdir().unwrap();
            let error = install(source.path(), models.path(), "mine").unwrap_err();
            assert!(
                matches!(&error, Error::NotAFile { path, .. } if path.ends_with(name)),
                "{name}: {error}"
            );
            assert_eq!(names(&models.path().join("mine")), [""; 0], "{name}");
        }
        // The folder of the language model itself, and the list that names it.
        let source = tempfile::tempdir().unwrap();
        symlink(whole.path(), source.path().join("0_Transformer")).unwrap();
        std::fs::write(source.path().join("modules.json"), samples::MODULES).unwrap();
        assert!(
            matches!(check(source.path()), Err(Error::NotAFile { path, .. }) if path.ends_with("0_Transformer"))
        );
        std::fs::rename(source.path().join("modules.json"), outside.path().join("modules.json")).unwrap();
        symlink(outside.path().join("modules.json"), source.path().join("modules.json")).unwrap();
        assert!(
            matches!(check(source.path()), Err(Error::NotAFile { path, .. }) if path.ends_with("modules.json"))
        );
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_without_waiting_or_reading() {
        use std::os::unix::fs::symlink;
        for name in FILES.iter().chain(&NOTES).chain(&[SINGLE, "modules.json"]) {
            for pipe in [true, false] {
                let source = samples::folder(CONFIG, 3);
                let path = source.path().join(name);
                std::fs::remove_file(&path).ok();
                if *name == "modules.json" {
                    std::fs::remove_file(source.path().join("config.json")).unwrap();
                }
                if pipe {
                    let done = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                    assert!(done.success());
                } else {
                    symlink("/dev/zero", &path).unwrap();
                }
                let models = tempfile::tempdir().unwrap();
                let error = install(source.path(), models.path(), "mine").unwrap_err();
                assert!(
                    matches!(&error, Error::NotAFile { path, .. } if path.ends_with(name)),
                    "{name}: {error}"
                );
            }
        }
    }
}
