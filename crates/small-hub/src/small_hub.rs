use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::api;
use crate::api::refusal::Refusal;
use crate::error::{Error, Result};
use crate::faults::Faults;
use crate::git::Entry;
use crate::hub::Hub;
use crate::log::{Listener, Log};
use crate::options::Options;
use crate::people::{Token, namespace};
use crate::repos::{Change, Commit, Gated, Kind, NewCommit, Repo, put_pointer};
use crate::{attributes, serve, storage_api};

/// What [`SmallHub::commit`] does to one path.
#[derive(Debug, Clone)]
pub enum Write {
    Bytes {
        path: String,
        content: Vec<u8>,
    },
    /// Copied from a file, which need not fit into memory.
    File {
        path: String,
        from: PathBuf,
    },
    Delete {
        path: String,
    },
}

impl Write {
    pub fn bytes(path: &str, content: impl Into<Vec<u8>>) -> Write {
        Write::Bytes { path: path.to_owned(), content: content.into() }
    }

    pub fn file(path: &str, from: impl Into<PathBuf>) -> Write {
        Write::File { path: path.to_owned(), from: from.into() }
    }

    pub fn delete(path: &str) -> Write {
        Write::Delete { path: path.to_owned() }
    }
}

/// A small Hub that is running, on threads of its own. It ends when it is dropped, and all connections with it.
/// Its functions block, but only for as long as the disk takes, so that tests with and without tokio may call them.
pub struct SmallHub {
    hub: Arc<Hub>,
    runtime: Option<Runtime>,
    _folder: Option<TempDir>,
}

impl SmallHub {
    pub fn start(options: Options) -> Result<SmallHub> {
        let (folder, temporary) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = TempDir::new().map_err(|error| Error::disk(std::env::temp_dir(), error))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::Listen)?;
        let (tcp, port) = listen(options.port)?;
        let url = format!("http://127.0.0.1:{port}");
        let (storage_tcp, storage_url) = match &options.storage_host {
            Some(host) => {
                let (tcp, port) = listen(0)?;
                (Some(tcp), format!("http://{host}:{port}"))
            }
            None => (None, url.clone()),
        };
        let hub = Arc::new(Hub::open(options, folder, url, storage_url)?);
        let _inside = runtime.enter();
        let router = match &storage_tcp {
            Some(_) => api::router(hub.clone()),
            None => api::router(hub.clone()).merge(storage_api::router(hub.clone())),
        };
        let tcp = tokio::net::TcpListener::from_std(tcp).map_err(Error::Listen)?;
        runtime.spawn(serve::accept(tcp, hub.clone(), Listener::Hub, router));
        if let Some(tcp) = storage_tcp {
            let tcp = tokio::net::TcpListener::from_std(tcp).map_err(Error::Listen)?;
            let router = storage_api::router(hub.clone());
            runtime.spawn(serve::accept(tcp, hub.clone(), Listener::Storage, router));
        }
        drop(_inside);
        Ok(SmallHub { hub, runtime: Some(runtime), _folder: temporary })
    }

    /// What `HF_ENDPOINT` is to be.
    pub fn url(&self) -> &str {
        &self.hub.url
    }

    pub fn storage_url(&self) -> &str {
        &self.hub.storage_url
    }

    pub fn faults(&self) -> &Faults {
        &self.hub.faults
    }

    pub fn log(&self) -> &Log {
        &self.hub.log
    }

    /// From now on there is this token too.
    pub fn add_token(&self, token: Token) {
        self.hub.people().push(token);
    }

    /// From now on nobody knows this token.
    pub fn revoke_token(&self, token: &str) {
        self.hub.people().retain(|known| known.token != token);
    }

    /// A public repository with the first commit that the Hub makes, of .gitattributes.
    pub fn create(&self, kind: Kind, id: &str) -> Result<()> {
        self.hub.create(kind, id, namespace(id), false).map_err(Refusal::into_error)
    }

    pub fn set_private(&self, kind: Kind, id: &str, private: bool) -> Result<()> {
        self.change(kind, id, |repo| repo.private = private)
    }

    /// Files are for the owner and those in `granted` alone.
    pub fn set_gated(&self, kind: Kind, id: &str, gated: Gated, granted: &[&str]) -> Result<()> {
        self.change(kind, id, |repo| {
            repo.gated = gated;
            repo.granted = granted.iter().map(|&name| name.to_owned()).collect();
        })
    }

    pub fn set_disabled(&self, kind: Kind, id: &str, disabled: bool) -> Result<()> {
        self.change(kind, id, |repo| repo.disabled = disabled)
    }

    fn change(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Repo)) -> Result<()> {
        let changed = self.hub.change(|repos| {
            change(repos.find_mut(kind, id).ok_or_else(Refusal::no_such_repo)?);
            Ok(())
        });
        changed.map_err(Refusal::into_error)
    }

    /// Commits past the API and its rights, and says the commit's id. "refs/convert/parquet" is made where it is
    /// missing, as the Hub's own conversion makes it.
    pub fn commit(
        &self,
        kind: Kind,
        id: &str,
        revision: &str,
        title: &str,
        writes: &[Write],
    ) -> Result<String> {
        let rules = {
            let repos = self.hub.repos();
            let repo = repos.find(kind, id).ok_or_else(|| Refusal::no_such_repo().into_error())?;
            self.hub.small_text(repo, revision, ".gitattributes").unwrap_or_else(|| attributes::first(kind))
        };
        let mut changes = Vec::new();
        for write in writes {
            changes.push(match write {
                Write::Bytes { path, content } => {
                    if self.is_large(&rules, path, content.len() as u64) {
                        let place = self.hub.storage.place();
                        std::fs::write(&place, content).map_err(|error| Error::disk(&place, error))?;
                        let change = self.put_large(path, &place)?;
                        let _ = std::fs::remove_file(&place);
                        change
                    } else {
                        self.put_small(path, content)?
                    }
                }
                Write::File { path, from } => {
                    let about = from.metadata().map_err(|error| Error::disk(from, error))?;
                    if self.is_large(&rules, path, about.len()) {
                        self.put_large(path, from)?
                    } else {
                        let content = std::fs::read(from).map_err(|error| Error::disk(from, error))?;
                        self.put_small(path, &content)?
                    }
                }
                Write::Delete { path } => Change::Delete { path: path.clone() },
            });
        }
        let new = NewCommit {
            author: namespace(id).to_owned(),
            title: title.to_owned(),
            description: String::new(),
            parent: None,
        };
        self.hub.commit(kind, id, revision, new, changes).map_err(Refusal::into_error)
    }

    fn is_large(&self, rules: &str, path: &str, size: u64) -> bool {
        // As the Hub has it: an empty file is never a large one.
        size > 0 && (size > self.hub.options.large_from || attributes::keeps_large(rules, path))
    }

    fn put_small(&self, path: &str, content: &[u8]) -> Result<Change> {
        let oid = self.hub.storage.keep_blob(content)?;
        Ok(Change::Put { path: path.to_owned(), oid, size: content.len() as u64, lfs: None })
    }

    fn put_large(&self, path: &str, from: &Path) -> Result<Change> {
        let (sha256, size) = self.hub.storage.keep_large(&[from.to_owned()], |_, _| true)?;
        Ok(put_pointer(path, sha256, size))
    }

    /// The files of a revision by their paths.
    pub fn files(&self, kind: Kind, id: &str, revision: &str) -> Result<Vec<(String, Entry)>> {
        let commit = self.commits(kind, id, revision)?.into_iter().next();
        Ok(commit.map(|commit| commit.files.into_iter().collect()).unwrap_or_default())
    }

    /// The commits of a revision from the newest to the first.
    pub fn commits(&self, kind: Kind, id: &str, revision: &str) -> Result<Vec<Commit>> {
        let repos = self.hub.repos();
        let repo = repos.find(kind, id).ok_or_else(|| Refusal::no_such_repo().into_error())?;
        Ok(repo.history(revision).into_iter().cloned().collect())
    }

    /// Where the content of a file lies, to be read or, by a hard-hearted test, to be changed.
    pub fn content_path(&self, kind: Kind, id: &str, revision: &str, path: &str) -> Result<PathBuf> {
        let files = self.files(kind, id, revision)?;
        let found = files.into_iter().find(|(name, _)| name == path);
        let (_, entry) = found.ok_or_else(|| Refusal::no_such_entry(None).into_error())?;
        Ok(match &entry.lfs {
            Some(sha256) => self.hub.storage.large(sha256),
            None => self.hub.storage.blob(&entry.oid),
        })
    }

    pub fn read(&self, kind: Kind, id: &str, revision: &str, path: &str) -> Result<Vec<u8>> {
        let path = self.content_path(kind, id, revision, path)?;
        std::fs::read(&path).map_err(|error| Error::disk(path, error))
    }
}

impl Drop for SmallHub {
    fn drop(&mut self) {
        // Stalled connections never end by themselves, and a runtime may not be waited for within another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen(port: u16) -> Result<(TcpListener, u16)> {
    let tcp = TcpListener::bind(("127.0.0.1", port)).map_err(Error::Listen)?;
    tcp.set_nonblocking(true).map_err(Error::Listen)?;
    let port = tcp.local_addr().map_err(Error::Listen)?.port();
    Ok((tcp, port))
}
