//! What the user has chosen in dialogs of the system's. The page gets a number for each, and no command takes a path
//! from it: a page that somebody else has taken over can open no file but those that were chosen, and each only for
//! what it was chosen for.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use record::{Chosen, Problem, ProblemCode};

/// What something was chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading texts from a file or folder.
    Texts,
    /// Reading a model folder.
    Model,
    /// A new file to be written, once.
    NewFile,
    /// A file that a setting names.
    Setting,
}

/// More than anybody comes to choose before the window is closed; the oldest are then forgotten.
const KEPT: usize = 1000;

#[derive(Debug, Default)]
pub struct ChosenPaths {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u32,
    paths: BTreeMap<u32, (PathBuf, Purpose)>,
}

impl ChosenPaths {
    /// Keeps a path that the user has chosen, and gives what the page may have of it.
    pub fn keep(&self, path: PathBuf, purpose: Purpose) -> Chosen {
        let shown = record::one_line(&path.display().to_string()).into_owned();
        let Kept { last, paths } = &mut *self.lock();
        *last = last.wrapping_add(1);
        paths.insert(*last, (path, purpose));
        while paths.len() > KEPT {
            paths.pop_first();
        }
        Chosen { handle: *last, shown }
    }

    /// The path that was chosen for this.
    pub fn path(&self, handle: u32, purpose: Purpose) -> Result<PathBuf, Problem> {
        let paths = &mut self.lock().paths;
        let found = paths.get(&handle).filter(|(_, kept)| *kept == purpose).map(|(path, _)| path.clone());
        if found.is_some() && purpose == Purpose::NewFile {
            paths.remove(&handle);
        }
        let message =
            "What the window names was not chosen in a dialog, or for something else. Choose it again.";
        found.ok_or_else(|| Problem::new(ProblemCode::NotChosen, message))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A path is whole whatever happened to whoever held the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_handle_opens_what_was_chosen_for_its_purpose_and_nothing_else_does() {
        let chosen = ChosenPaths::default();
        let texts = chosen.keep("/a/texts.csv".into(), Purpose::Texts);
        assert_eq!(texts.shown, "/a/texts.csv");
        for _ in 0..2 {
            // It is looked at and then imported.
            assert_eq!(chosen.path(texts.handle, Purpose::Texts).unwrap(), PathBuf::from("/a/texts.csv"));
        }
        for purpose in [Purpose::Model, Purpose::NewFile, Purpose::Setting] {
            let problem = chosen.path(texts.handle, purpose).unwrap_err();
            assert_eq!(problem.code, ProblemCode::NotChosen);
        }
        for handle in [0, texts.handle + 1, u32::MAX] {
            assert!(chosen.path(handle, Purpose::Texts).is_err(), "{handle}");
        }
    }

    #[test]
    fn a_new_file_is_written_once_and_the_oldest_choices_are_forgotten() {
        let chosen = ChosenPaths::default();
        let new = chosen.keep("/a/new.csv".into(), Purpose::NewFile);
        assert!(chosen.path(new.handle, Purpose::NewFile).is_ok());
        assert!(chosen.path(new.handle, Purpose::NewFile).is_err());
        let first = chosen.keep("/first".into(), Purpose::Texts);
        for _ in 0..KEPT {
            chosen.keep("/other".into(), Purpose::Texts);
        }
        assert!(chosen.path(first.handle, Purpose::Texts).is_err());
    }
}
