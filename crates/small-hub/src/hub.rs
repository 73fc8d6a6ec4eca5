use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Uri;

use crate::api::refusal::Refusal;
use crate::error::Result;
use crate::faults::Faults;
use crate::log::Log;
use crate::options::Options;
use crate::people::Token;
use crate::repos::{Change, Kind, NewCommit, NotCommitted, Repo, Repos};
use crate::storage::Storage;
use crate::uploads::Uploads;
use crate::{attributes, keep, signed, storage_paths};

/// What both listeners share.
pub(crate) struct Hub {
    pub(crate) options: Options,
    /// Where the Hub answers: "http://127.0.0.1:1234".
    pub(crate) url: String,
    /// Where its storage answers.
    pub(crate) storage_url: String,
    pub(crate) storage: Storage,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) secret: String,
    folder: PathBuf,
    repos: Mutex<Repos>,
    uploads: Mutex<Uploads>,
    /// Held while a large file is put together of its parts.
    pub(crate) completing: Arc<tokio::sync::Mutex<()>>,
    people: Mutex<Vec<Token>>,
    requests: AtomicU64,
}

impl Hub {
    pub(crate) fn open(options: Options, folder: PathBuf, url: String, storage_url: String) -> Result<Hub> {
        let people = options.tokens.clone();
        // It need not be secret, only another one for each small Hub.
        let secret = format!("{url} {}", signed::now());
        Ok(Hub {
            storage: Storage::open(&folder)?,
            repos: Mutex::new(keep::load(&folder)?),
            folder,
            options,
            url,
            storage_url,
            faults: Faults::default(),
            log: Log::default(),
            secret,
            uploads: Mutex::new(Uploads::default()),
            completing: Arc::default(),
            people: Mutex::new(people),
            requests: AtomicU64::new(1),
        })
    }

    pub(crate) fn repos(&self) -> MutexGuard<'_, Repos> {
        self.repos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn people(&self) -> MutexGuard<'_, Vec<Token>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Changes the repositories and keeps what came of it. What is refused changes nothing.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Repos) -> std::result::Result<T, Refusal>,
    ) -> std::result::Result<T, Refusal> {
        let mut repos = self.repos();
        let outcome = change(&mut repos)?;
        keep::save(&self.folder, &repos).map_err(Refusal::broken)?;
        Ok(outcome)
    }

    /// A new repository with the first commit that the Hub makes, of .gitattributes.
    pub(crate) fn create(
        &self,
        kind: Kind,
        id: &str,
        author: &str,
        private: bool,
    ) -> std::result::Result<(), Refusal> {
        let text = attributes::first(kind);
        let oid = self.storage.keep_blob(text.as_bytes()).map_err(Refusal::broken)?;
        let seconds = signed::now();
        self.change(|repos| {
            if repos.find(kind, id).is_some() {
                let there = Refusal::conflict(&format!("You already created this {} repo", kind.singular()));
                return Err(there.with_url(format!("{}/{}{id}", self.url, kind.prefix())));
            }
            let mut repo = Repo::new(kind, id, seconds);
            repo.private = private;
            let new = NewCommit {
                author: author.to_owned(),
                title: "initial commit".to_owned(),
                description: String::new(),
                parent: None,
            };
            let put =
                Change::Put { path: ".gitattributes".to_owned(), oid, size: text.len() as u64, lfs: None };
            repo.commit("main", new, vec![put], seconds).map_err(|reason| refuse_commit(reason, "main"))?;
            repos.insert(repo);
            Ok(())
        })
    }

    pub(crate) fn commit(
        &self,
        kind: Kind,
        id: &str,
        revision: &str,
        new: NewCommit,
        changes: Vec<Change>,
    ) -> std::result::Result<String, Refusal> {
        self.change(|repos| {
            let repo = repos.find_mut(kind, id).ok_or_else(Refusal::no_such_repo)?;
            repo.commit(revision, new, changes, signed::now())
                .map_err(|reason| refuse_commit(reason, revision))
        })
    }

    /// The content of a small file of a revision, for .gitattributes, .gitignore and cards.
    pub(crate) fn small_text(&self, repo: &Repo, revision: &str, path: &str) -> Option<String> {
        let entry = repo.commit_at(revision)?.files.get(path)?;
        if entry.lfs.is_some() {
            return None;
        }
        let bytes = std::fs::read(self.storage.blob(&entry.oid)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The size of the file that a signed address leads to.
    pub(crate) fn size_behind(&self, uri: &Uri) -> Option<u64> {
        self.storage.has_large(uri.path().strip_prefix(storage_paths::OBJECTS)?)
    }
}

fn refuse_commit(reason: NotCommitted, revision: &str) -> Refusal {
    match reason {
        NotCommitted::NoSuchRevision => Refusal::no_such_revision(revision),
        NotCommitted::NoSuchEntry(path) => {
            Refusal::no_such_entry(None).saying(&format!("A file with the name \"{path}\" does not exist"))
        }
        NotCommitted::Stale => {
            Refusal::new(412, "A commit has happened since. Please refresh and try again.")
        }
    }
}
