//! A data set out of the cache, without a network: the same files as with one.
//!
//! What is needed of a data set was chosen when it was fetched, by the repository's listing and card, of which only the
//! chosen files are in the cache. So the choice is written down beside them, where `huggingface_hub` looks for nothing:
//! `datasets--owner--name/.mbti/COMMIT.json`. A snapshot that others have fetched is chosen from as a repository is:
//! by its card where it is there, else by the words in the paths.

use std::path::{Path, PathBuf};

use record::{DownloadPlan, RemoteFile, RepoKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cache::{RepoCache, snapshots_offline},
    choose::{self, DataWish, data_files},
    listing::licence,
};
use crate::{
    card_head,
    error::{Error, Needed, Result},
};

const FOLDER: &str = ".mbti";
const CARD: &str = "README.md";
/// Files and folders of a snapshot that are looked at, and how deep.
const FILES: usize = 100_000;
const DEPTH: usize = 16;

/// What was chosen once.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Choice {
    config: Option<String>,
    split: String,
    files: Vec<String>,
    licence: Option<String>,
}

/// A data set as it lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineData {
    pub commit: String,
    pub files: Vec<PathBuf>,
    pub licence: Option<String>,
}

/// Writes down which files a plan has chosen. Where that cannot be, nothing is lost but the choice.
pub fn remember_choice(cache: &Path, plan: &DownloadPlan, wish: &DataWish) {
    let repo = RepoCache::new(cache, plan.kind, &plan.repo);
    let Some(place) = place_of(&repo, &plan.commit) else { return };
    let new = Choice {
        config: wish.config.map(str::to_owned),
        split: wish.split.to_owned(),
        files: plan.files.iter().map(|file| file.path.clone()).collect(),
        licence: plan.licence.clone(),
    };
    let mut choices = choices(&place);
    choices.retain(|choice| (&choice.config, &choice.split) != (&new.config, &new.split));
    choices.push(new);
    let Some(folder) = place.parent() else { return };
    if let Ok(bytes) = serde_json::to_vec(&choices)
        && std::fs::create_dir_all(folder).is_ok()
    {
        files::replace(&place, &bytes, files::Access::Usual).ok();
    }
}

/// The files of one split of a data set that were fetched before.
pub fn data_set_offline(
    cache: &Path,
    repo: &str,
    revision: Option<&str>,
    wish: &DataWish,
) -> Result<OfflineData> {
    let absent = || Error::Offline { what: repo.to_owned() };
    let snapshots = snapshots_offline(cache, RepoKind::Dataset, repo, revision);
    let of = RepoCache::new(cache, RepoKind::Dataset, repo);
    let chosen_in = |commit: &str| {
        let choices = place_of(&of, commit).map(|place| choices(&place)).unwrap_or_default();
        let is_wanted =
            |choice: &Choice| choice.config.as_deref() == wish.config && choice.split == wish.split;
        choices.into_iter().find(is_wanted)
    };
    // The one of which this part was fetched: the repository's own files, or the Hub's conversion of them.
    let fetched = snapshots.iter().find_map(|found| Some((found, Some(chosen_in(&found.0)?))));
    let either = fetched.or_else(|| Some((snapshots.first()?, None)));
    let ((commit, snapshot), chosen) = either.ok_or_else(absent)?;
    let (paths, licence) = match chosen {
        Some(choice) => (choice.files, choice.licence),
        None => {
            let card = card(snapshot)
                .ok_or_else(|| Error::NothingUsable { repo: repo.to_owned(), needed: Needed::Texts })?;
            let found = data_files(&listing(snapshot), &card, wish)
                .map_err(|known| choose::absent(repo, wish, &known))?;
            (found.into_iter().map(|file| file.path).collect(), licence(&card))
        }
    };
    if paths.is_empty() {
        return Err(absent());
    }
    // A snapshot has links to the repository's own blobs, and to nothing else.
    let blobs = folder_of(&of, commit).ok_or_else(absent)?.join("blobs");
    let inside = |path: &String| -> Result<PathBuf> {
        let file = snapshot.join(path);
        match files::resolve_within(&file, &[snapshot, &blobs]) {
            Ok(_) => Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(absent()),
            Err(error) => Err(Error::read(&file, error)),
        }
    };
    let files = paths.iter().map(inside).collect::<Result<_>>()?;
    Ok(OfflineData { commit: commit.clone(), files, licence })
}

/// The folder of the repository in the cache.
fn folder_of(repo: &RepoCache, commit: &str) -> Option<PathBuf> {
    Some(repo.snapshot(commit).parent()?.parent()?.to_owned())
}

/// Where the choices of a commit are kept.
fn place_of(repo: &RepoCache, commit: &str) -> Option<PathBuf> {
    Some(folder_of(repo, commit)?.join(FOLDER).join(format!("{commit}.json")))
}

fn choices(place: &Path) -> Vec<Choice> {
    let bytes = files::read_limited(place, files::JSON_LIMIT).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// What the head of the card says, as far as files are chosen by it; null without a card, none where it cannot be
/// understood.
fn card(snapshot: &Path) -> Option<Value> {
    let text = match files::read_text_limited(&snapshot.join(CARD), files::JSON_LIMIT) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Value::Null),
        Err(_) => return None,
    };
    card_head::head(&text, &["configs", "license"])
}

/// The files of a snapshot, as a listing of the Hub has them, of which only the paths count here.
fn listing(snapshot: &Path) -> Vec<RemoteFile> {
    let mut found = Vec::new();
    let mut open = vec![(snapshot.to_owned(), String::new(), 0)];
    let mut seen = 0;
    while let Some((folder, prefix, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            seen += 1;
            if seen > FILES {
                return found;
            }
            let path = format!("{prefix}{name}");
            if kind.is_dir() && depth < DEPTH {
                open.push((entry.path(), format!("{path}/"), depth + 1));
            } else if !kind.is_dir() {
                found.push(RemoteFile { path, bytes: 0, hash: String::new(), lfs: false });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn wish(split: &str) -> DataWish<'_> {
        DataWish { config: None, split, endings: &["csv", "parquet"] }
    }

    fn cache(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let cache = tempfile::tempdir().unwrap();
        let repo = cache.path().join("datasets--a--b");
        let snapshot = repo.join("snapshots").join(COMMIT);
        for (path, text) in files {
            let path = snapshot.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir_all(repo.join("refs")).unwrap();
        std::fs::create_dir_all(repo.join("blobs")).unwrap();
        std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
        (cache, snapshot)
    }

    fn names(found: &OfflineData, snapshot: &Path) -> Vec<String> {
        let name = |file: &PathBuf| file.strip_prefix(snapshot).unwrap().display().to_string();
        found.files.iter().map(name).collect()
    }

    #[test]
    fn of_a_snapshot_only_the_wanted_split_is_taken_by_its_card_or_by_the_words_in_its_paths() {
        let card = "---\nlicense: mit\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    \
                    path: one.csv\n  - split: test\n    path: [two.csv]\n---\n# B\n";
        for (card, train) in [(None, "train-0.csv"), (Some(card), "one.csv")] {
            let mut files =
                vec![("one.csv", ""), ("two.csv", ""), ("train-0.csv", ""), ("data/test.csv", "")];
            files.extend(card.map(|card| ("README.md", card)));
            let (cache, snapshot) = cache(&files);
            let found = data_set_offline(cache.path(), "a/b", None, &wish("train")).unwrap();
            assert_eq!(names(&found, &snapshot), [train]);
            assert_eq!(found.commit, COMMIT);
            assert_eq!(found.licence.as_deref(), card.map(|_| "mit"));
            let error = data_set_offline(cache.path(), "a/b", None, &wish("other")).unwrap_err();
            assert!(matches!(error, Error::NoSplit { .. }), "{error}");
        }
        let (cache, _) = cache(&[("a.csv", ""), ("README.md", "---\nconfigs: &x {\n---\n")]);
        let error = data_set_offline(cache.path(), "a/b", None, &wish("train")).unwrap_err();
        assert!(matches!(error, Error::NothingUsable { .. }), "{error}");
        let error =
            data_set_offline(cache.path().join("x").as_path(), "a/b", None, &wish("train")).unwrap_err();
        assert!(matches!(error, Error::Offline { .. }), "{error}");
    }

    #[test]
    fn a_choice_that_was_made_with_a_network_holds_without_one() {
        let (cache, snapshot) = cache(&[("x/1.csv", ""), ("x/2.csv", "")]);
        let plan = |path: &str| DownloadPlan {
            renamed: None,
            kind: RepoKind::Dataset,
            repo: "a/b".into(),
            revision: None,
            commit: COMMIT.into(),
            bytes: 0,
            bytes_here: 0,
            files: vec![RemoteFile { path: path.into(), bytes: 0, hash: String::new(), lfs: false }],
            licence: Some("mit".into()),
            gated: false,
        };
        remember_choice(cache.path(), &plan("x/1.csv"), &wish("train"));
        remember_choice(cache.path(), &plan("x/2.csv"), &wish("test"));
        for (split, file) in [("train", "x/1.csv"), ("test", "x/2.csv")] {
            let found = data_set_offline(cache.path(), "a/b", None, &wish(split)).unwrap();
            assert_eq!(
                (names(&found, &snapshot), found.licence.as_deref()),
                (vec![file.into()], Some("mit"))
            );
        }
        // A file that went, or one that leads elsewhere.
        std::fs::remove_file(snapshot.join("x/1.csv")).unwrap();
        let error = data_set_offline(cache.path(), "a/b", None, &wish("train")).unwrap_err();
        assert!(matches!(error, Error::Offline { .. }), "{error}");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/proc/self/environ", snapshot.join("x/1.csv")).unwrap();
            let error = data_set_offline(cache.path(), "a/b", None, &wish("train")).unwrap_err();
            assert!(matches!(&error, Error::Read { .. }), "{error}");
        }
    }
}
