//! Where contents lie: small files by git's id, large ones by their SHA-256, and what is on its way in.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::git;

pub(crate) struct Storage {
    folder: PathBuf,
    incoming: AtomicU64,
}

impl Storage {
    pub(crate) fn open(folder: &Path) -> Result<Storage> {
        for name in ["blobs", "large", "incoming"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(|error| Error::disk(path, error))?;
        }
        Ok(Storage { folder: folder.to_owned(), incoming: AtomicU64::new(0) })
    }

    /// A small file by its git id.
    pub(crate) fn blob(&self, oid: &str) -> PathBuf {
        self.folder.join("blobs").join(oid)
    }

    /// A large file by its SHA-256.
    pub(crate) fn large(&self, sha256: &str) -> PathBuf {
        self.folder.join("large").join(sha256)
    }

    pub(crate) fn has_large(&self, sha256: &str) -> Option<u64> {
        let looks_right = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if looks_right { self.large(sha256).metadata().ok().map(|about| about.len()) } else { None }
    }

    /// A new place for something that is on its way in.
    pub(crate) fn place(&self) -> PathBuf {
        let number = self.incoming.fetch_add(1, Ordering::Relaxed);
        self.folder.join("incoming").join(format!("{}-{number}", std::process::id()))
    }

    /// Keeps a small file and says its id.
    pub(crate) fn keep_blob(&self, content: &[u8]) -> Result<String> {
        let oid = git::blob_id(content);
        let path = self.blob(&oid);
        if !path.exists() {
            let place = self.place();
            fs::write(&place, content).map_err(|error| Error::disk(&place, error))?;
            fs::rename(&place, &path).map_err(|error| Error::disk(&path, error))?;
        }
        Ok(oid)
    }

    /// Puts files one behind the other into one large file, and says its SHA-256 and size. It becomes visible
    /// only if `right` says yes.
    pub(crate) fn keep_large(
        &self,
        pieces: &[PathBuf],
        right: impl FnOnce(&str, u64) -> bool,
    ) -> Result<(String, u64)> {
        let place = self.place();
        let mut whole = fs::File::create(&place).map_err(|error| Error::disk(&place, error))?;
        let mut hash = Sha256::new();
        let (mut size, mut buffer) = (0, vec![0; 1 << 20]);
        for piece in pieces {
            let mut file = fs::File::open(piece).map_err(|error| Error::disk(piece, error))?;
            loop {
                let count = file.read(&mut buffer).map_err(|error| Error::disk(piece, error))?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
                whole.write_all(&buffer[..count]).map_err(|error| Error::disk(&place, error))?;
                size += count as u64;
            }
        }
        let sha256 = git::hex(&hash.finalize());
        if right(&sha256, size) {
            fs::rename(&place, self.large(&sha256)).map_err(|error| Error::disk(&place, error))?;
        } else {
            let _ = fs::remove_file(&place);
        }
        Ok((sha256, size))
    }
}
