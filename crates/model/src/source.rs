use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use candle_core::{DType, Device, Tensor, safetensors::MmapedSafetensors};
use files::{Enclosure, JSON_LIMIT};
use serde::Deserialize;

use crate::{Error, error::Result};

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The weights of a model folder, mapped into memory: one safetensors file or several shards.
pub(crate) struct Source {
    /// The file, or the folder of the shards, for messages.
    pub(crate) path: PathBuf,
    files: MmapedSafetensors,
    names: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Source {
    /// The weights of a folder as the Hub lays it out.
    pub(crate) fn of_folder(folder: &Path) -> Result<Source> {
        let single = folder.join(WEIGHTS);
        let index = folder.join(INDEX);
        if single.exists() || !index.exists() {
            return Source::of_files(single.clone(), &[single]);
        }
        let text = enclosed(folder)?.read(INDEX, JSON_LIMIT).map_err(|error| Error::read(&index, error))?;
        let wrong = |reason: String| Error::Config { path: index.clone(), reason };
        let parsed: Index = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let shards: BTreeSet<&String> = parsed.weight_map.values().collect();
        let mut files = Vec::with_capacity(shards.len());
        for shard in shards {
            let mut parts = Path::new(shard).components();
            // A shard lies in the folder itself; an index must not lead out of it.
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(wrong(format!("it names the shard \"{shard}\", which is no plain file name")));
            }
            files.push(folder.join(shard));
        }
        Source::of_files(folder.to_owned(), &files)
    }

    /// The weights of these files, of which each is a regular one, or a link to one in its own folder or to the blobs
    /// of the cache that the folder belongs to.
    pub(crate) fn of_files(path: PathBuf, files: &[PathBuf]) -> Result<Source> {
        let mut found = Vec::with_capacity(files.len());
        for file in files {
            let folder = file.parent().unwrap_or(file);
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            found.push(enclosed(folder)?.resolve(&name).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::Incomplete { path: folder.to_owned(), missing: name.into_owned() }
                }
                _ => Error::read(file, error),
            })?);
        }
        let files =
            map(&found).map_err(|error| Error::Weights { path: path.clone(), reason: error.to_string() })?;
        let names = files.tensors().into_iter().map(|(name, _)| name).collect();
        Ok(Source { path, files, names })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.files.get(name).map_err(|error| self.wrong(&error))?.shape().to_vec())
    }

    /// Refuses a weight of another shape than is wanted.
    pub(crate) fn check_shape(&self, name: &str, expected: &[usize]) -> Result<()> {
        let found = self.shape(name)?;
        if found != expected {
            let (path, name, expected) = (self.path.clone(), name.to_owned(), expected.to_vec());
            return Err(Error::Shape { path, name, found, expected });
        }
        Ok(())
    }

    /// The precision in which a weight is stored, where it is one that candle knows.
    pub(crate) fn dtype(&self, name: &str) -> Option<DType> {
        DType::try_from(self.files.get(name).ok()?.dtype()).ok()
    }

    /// The weight of this name in this precision, whatever it is stored in.
    pub(crate) fn load(&self, name: &str, dtype: DType) -> Result<Tensor> {
        let tensor = self.files.load(name, &Device::Cpu).map_err(|error| self.wrong(&error))?;
        let stored = tensor.dtype();
        if !matches!(stored, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            let reason = format!("the weight {name} is of type {stored:?}; read are F32, F16 and BF16");
            return Err(Error::Weights { path: self.path.clone(), reason });
        }
        Ok(tensor.to_dtype(dtype)?)
    }

    fn wrong(&self, error: &candle_core::Error) -> Error {
        Error::Weights { path: self.path.clone(), reason: error.to_string() }
    }
}

pub(crate) fn enclosed(folder: &Path) -> Result<Enclosure> {
    Enclosure::of(folder).map_err(|error| Error::read(folder, error))
}

/// Maps safetensors files into memory.
#[allow(unsafe_code)]
fn map(files: &[PathBuf]) -> candle_core::Result<MmapedSafetensors> {
    // SAFETY: a map is sound as long as nobody changes the files underneath. These files lie in
    // the program's own storage, are written under another name and renamed into place, and are
    // never written again; or, while a model is being added, in a folder that the user has just
    // named, of which no more than the headers is read. All are regular files. The map lives only while a network is built.
    unsafe { MmapedSafetensors::multi(files) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashMap;

    fn write(path: &Path, name: &str, value: f32) {
        let tensor = Tensor::new(&[value], &Device::Cpu).unwrap();
        candle_core::safetensors::save(&HashMap::from([(name, tensor)]), path).unwrap();
    }

    fn folder_with_index(index: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(INDEX), index).unwrap();
        folder
    }

    #[test]
    fn shards_are_read_as_one() {
        let folder = folder_with_index(r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#);
        write(&folder.path().join("1.safetensors"), "a", 1.0);
        let error = Source::of_folder(folder.path()).err().unwrap();
        assert!(matches!(&error, Error::Incomplete { missing, .. } if missing == "2.safetensors"), "{error}");
        write(&folder.path().join("2.safetensors"), "b", 2.0);
        let source = Source::of_folder(folder.path()).unwrap();
        for (name, value) in [("a", 1.0), ("b", 2.0)] {
            assert_eq!(source.load(name, DType::F32).unwrap().to_vec1::<f32>().unwrap(), [value]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn weights_and_index_are_regular_files_of_their_own_folder() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        write(&outside.path().join("key"), "a", 1.0);
        std::fs::write(outside.path().join(INDEX), r#"{"weight_map": {"a": "1.safetensors"}}"#).unwrap();
        for (name, target) in [
            (WEIGHTS, outside.path().join("key")),
            (WEIGHTS, "/dev/zero".into()),
            (INDEX, outside.path().join(INDEX)),
            (INDEX, "/dev/zero".into()),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("1.safetensors"), "a", 1.0);
            symlink(&target, folder.path().join(name)).unwrap();
            let error = Source::of_folder(folder.path()).err().unwrap();
            assert!(matches!(&error, Error::Read { path, .. } if path.ends_with(name)), "{name}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("1.safetensors"), "a", 1.0);
        symlink("1.safetensors", folder.path().join(WEIGHTS)).unwrap();
        assert!(Source::of_folder(folder.path()).unwrap().has("a"), "a link within the folder");
    }

    #[test]
    fn an_index_that_leads_out_of_its_folder_or_is_none_is_refused() {
        for index in [
            r#"{"weight_map": {"a": "../1.safetensors"}}"#,
            r#"{"weight_map": {"a": "/etc/passwd"}}"#,
            r#"{"weight_map": {"a": ""}}"#,
            r#"{"weight_map": []}"#,
            "",
        ] {
            let folder = folder_with_index(index);
            assert!(matches!(Source::of_folder(folder.path()), Err(Error::Config { .. })), "{index}");
        }
    }
}
