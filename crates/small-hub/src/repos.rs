use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::git::{self, Entry};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Model,
    Dataset,
}

impl Kind {
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Dataset => "dataset",
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        }
    }

    /// What stands before the name in the addresses of pages and files.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Kind::Model => "",
            Kind::Dataset => "datasets/",
        }
    }

    pub(crate) fn of_plural(text: &str) -> Option<Kind> {
        [Kind::Model, Kind::Dataset].into_iter().find(|kind| kind.plural() == text)
    }
}

/// Whether files are only for those who were let in, and who lets them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gated {
    No,
    Auto,
    Manual,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub id: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub author: String,
    pub title: String,
    pub description: String,
    pub seconds: i64,
    pub files: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Repo {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) private: bool,
    pub(crate) gated: Gated,
    /// Who was let in.
    pub(crate) granted: BTreeSet<String>,
    pub(crate) disabled: bool,
    pub(crate) created: i64,
    /// Commits by the full names of what points to them: "refs/heads/main", "refs/convert/parquet".
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) commits: BTreeMap<String, Commit>,
}

/// What a commit does to one path.
pub(crate) enum Change {
    Put { path: String, oid: String, size: u64, lfs: Option<String> },
    Delete { path: String },
    DeleteFolder { path: String },
}

pub(crate) struct NewCommit {
    pub(crate) author: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// The commit that the client believes to be the newest.
    pub(crate) parent: Option<String>,
}

pub(crate) enum NotCommitted {
    NoSuchRevision,
    NoSuchEntry(String),
    /// Somebody else has committed in between.
    Stale,
}

impl Repo {
    pub(crate) fn new(kind: Kind, id: &str, seconds: i64) -> Repo {
        Repo {
            kind,
            id: id.to_owned(),
            private: false,
            gated: Gated::No,
            granted: BTreeSet::new(),
            disabled: false,
            created: seconds,
            refs: BTreeMap::new(),
            commits: BTreeMap::new(),
        }
    }

    /// The full name of the branch, tag or conversion that a client calls by a short one.
    pub(crate) fn full_name(&self, revision: &str) -> Option<String> {
        let names = [revision.to_owned(), format!("refs/heads/{revision}"), format!("refs/tags/{revision}")];
        names.into_iter().find(|name| self.refs.contains_key(name))
    }

    /// The commit of a branch, a tag or a full id.
    pub(crate) fn commit_at(&self, revision: &str) -> Option<&Commit> {
        let id = match self.full_name(revision) {
            Some(name) => self.refs.get(&name)?,
            None => revision,
        };
        self.commits.get(id)
    }

    pub(crate) fn newest(&self) -> Option<&Commit> {
        self.commit_at("main")
    }

    /// Makes a commit and moves the branch to it: all of the changes or none.
    pub(crate) fn commit(
        &mut self,
        revision: &str,
        new: NewCommit,
        changes: Vec<Change>,
        seconds: i64,
    ) -> Result<String, NotCommitted> {
        let name = match self.full_name(revision) {
            Some(name) if !name.starts_with("refs/tags/") => name,
            // The first commit makes its branch.
            None if self.commits.is_empty() => format!("refs/heads/{revision}"),
            // A conversion has a history of its own, which begins with its first commit.
            None if revision.starts_with("refs/convert/") => revision.to_owned(),
            _ => return Err(NotCommitted::NoSuchRevision),
        };
        let parent = self.refs.get(&name).cloned();
        if new.parent.is_some() && new.parent != parent {
            return Err(NotCommitted::Stale);
        }
        let mut files = parent
            .as_ref()
            .and_then(|id| self.commits.get(id))
            .map(|commit| commit.files.clone())
            .unwrap_or_default();
        let mut fresh = Vec::new();
        for change in changes {
            match change {
                Change::Put { path, oid, size, lfs } => {
                    // A file with the content that it had keeps the commit that last changed it.
                    if files.get(&path).is_none_or(|old| old.oid != oid) {
                        fresh.push(path.clone());
                        files.insert(path, Entry { oid, size, lfs, commit: String::new() });
                    }
                }
                Change::Delete { path } => {
                    if files.remove(&path).is_none() {
                        return Err(NotCommitted::NoSuchEntry(path));
                    }
                }
                Change::DeleteFolder { path } => {
                    let inside = format!("{}/", path.trim_end_matches('/'));
                    let before = files.len();
                    files.retain(|path, _| !path.starts_with(&inside));
                    if files.len() == before {
                        return Err(NotCommitted::NoSuchEntry(path));
                    }
                }
            }
        }
        let tree = git::tree_ids(&files).remove("").unwrap_or_default();
        let parents: Vec<String> = parent.into_iter().collect();
        let message = match new.description.as_str() {
            "" => new.title.clone(),
            description => format!("{}\n\n{description}", new.title),
        };
        let id = git::commit_id(&tree, &parents, &new.author, seconds, &message);
        for path in fresh {
            if let Some(entry) = files.get_mut(&path) {
                entry.commit = id.clone();
            }
        }
        let NewCommit { author, title, description, .. } = new;
        let commit = Commit { id: id.clone(), tree, parents, author, title, description, seconds, files };
        self.commits.insert(id.clone(), commit);
        self.refs.insert(name, id.clone());
        Ok(id)
    }

    /// From the newest to the first.
    pub(crate) fn history(&self, revision: &str) -> Vec<&Commit> {
        let mut history = Vec::new();
        let mut next = self.commit_at(revision);
        while let Some(commit) = next {
            history.push(commit);
            next = commit.parents.first().and_then(|parent| self.commits.get(parent));
        }
        history
    }
}

/// All repositories. Names that differ only in case are one, as on the Hub.
#[derive(Default)]
pub(crate) struct Repos(BTreeMap<(Kind, String), Repo>);

impl Repos {
    pub(crate) fn from_list(list: Vec<Repo>) -> Repos {
        Repos(list.into_iter().map(|repo| ((repo.kind, repo.id.to_lowercase()), repo)).collect())
    }

    pub(crate) fn find(&self, kind: Kind, id: &str) -> Option<&Repo> {
        self.0.get(&(kind, id.to_lowercase()))
    }

    pub(crate) fn find_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Repo> {
        self.0.get_mut(&(kind, id.to_lowercase()))
    }

    pub(crate) fn insert(&mut self, repo: Repo) {
        self.0.insert((repo.kind, repo.id.to_lowercase()), repo);
    }

    pub(crate) fn remove(&mut self, kind: Kind, id: &str) {
        self.0.remove(&(kind, id.to_lowercase()));
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Repo> {
        self.0.values()
    }
}

/// A large file stands in git as its pointer.
pub(crate) fn put_pointer(path: &str, sha256: String, size: u64) -> Change {
    let oid = git::blob_id(git::lfs_pointer(&sha256, size).as_bytes());
    Change::Put { path: path.to_owned(), oid, size, lfs: Some(sha256) }
}
