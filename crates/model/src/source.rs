use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Component, Path, PathBuf},
};

use candle_core::{DType, Tensor};
use files::{Enclosure, JSON_LIMIT};
use serde::Deserialize;

use crate::{
    Error,
    error::Result,
    safetensors_file::{read_header, read_tensor},
};

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// What training programs put before all names: PyTorch's data parallelism and its compiler.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The weights of a model folder: one safetensors file or several shards.
pub(crate) struct Source {
    /// The file, or the folder of the shards, for messages.
    pub(crate) path: PathBuf,
    files: Vec<File>,
    names: BTreeMap<String, Place>,
}

/// Where a weight lies.
struct Place {
    /// Which of the files has it.
    file: usize,
    begin: u64,
    shape: Vec<usize>,
    dtype: safetensors::Dtype,
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
        let mut source = Source { path, files: Vec::with_capacity(found.len()), names: BTreeMap::new() };
        for path in found {
            source.take_in(&path)?;
        }
        Ok(source)
    }

    fn take_in(&mut self, path: &Path) -> Result<()> {
        let wrong = |reason: String| Error::Weights { path: path.to_owned(), reason };
        let mut file = files::open_regular(path).map_err(|error| Error::read(path, error))?;
        let (begin, header) = read_header(&mut file).map_err(wrong)?;
        for (name, info) in header.tensors() {
            let plain = without_wrappers(&name);
            let place = Place {
                file: self.files.len(),
                begin: begin + info.data_offsets.0 as u64,
                shape: info.shape.clone(),
                dtype: info.dtype,
            };
            self.names.insert(plain.to_owned(), place);
        }
        self.files.push(file);
        Ok(())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    fn place(&self, name: &str) -> Result<&Place> {
        let missing = || Error::MissingWeight { path: self.path.clone(), name: name.to_owned() };
        self.names.get(name).ok_or_else(missing)
    }

    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.place(name)?.shape.clone())
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

    /// Refuses a weight of a type that no weight of a model is of.
    pub(crate) fn check_dtype(&self, name: &str) -> Result<()> {
        self.read_dtype(name).map(|_| ())
    }

    fn read_dtype(&self, name: &str) -> Result<DType> {
        let stored = self.place(name)?.dtype;
        match DType::try_from(stored) {
            Ok(dtype @ (DType::F32 | DType::F16 | DType::BF16 | DType::F64)) => Ok(dtype),
            _ => {
                let reason = format!("the weight {name} is of type {stored:?}; read are F32, F16 and BF16");
                Err(Error::Weights { path: self.path.clone(), reason })
            }
        }
    }

    /// The precision in which a weight is stored, where it is one that candle knows.
    pub(crate) fn dtype(&self, name: &str) -> Option<DType> {
        DType::try_from(self.names.get(name)?.dtype).ok()
    }

    /// The weight of this name in this precision, whatever it is stored in.
    pub(crate) fn load(&self, name: &str, dtype: DType) -> Result<Tensor> {
        let (place, stored) = (self.place(name)?, self.read_dtype(name)?);
        let tensor = read_tensor(&self.files[place.file], place.begin, stored, &place.shape);
        Ok(tensor.map_err(|error| self.wrong(&error))?.to_dtype(dtype)?)
    }

    fn wrong(&self, error: &candle_core::Error) -> Error {
        Error::Weights { path: self.path.clone(), reason: error.to_string() }
    }
}

pub(crate) fn enclosed(folder: &Path) -> Result<Enclosure> {
    Enclosure::of(folder).map_err(|error| Error::read(folder, error))
}

/// A weight's name without what a training program has put before it.
fn without_wrappers(name: &str) -> &str {
    let mut plain = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| plain.strip_prefix(wrapper)) {
        plain = rest;
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::Device;
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

    #[test]
    fn names_are_read_without_what_training_programs_put_before_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS);
        for wrapped in ["module.a.weight", "_orig_mod.a.weight", "module._orig_mod.a.weight", "a.weight"] {
            write(&path, wrapped, 3.0);
            let source = Source::of_folder(folder.path()).unwrap();
            assert_eq!(source.names().collect::<Vec<_>>(), ["a.weight"]);
            assert_eq!(source.load("a.weight", DType::F32).unwrap().to_vec1::<f32>().unwrap(), [3.0]);
        }
        assert_eq!(without_wrappers("modules.a"), "modules.a");
    }

    #[test]
    fn every_type_that_weights_are_stored_in_is_read_and_others_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS);
        let values = Tensor::new(&[[1.5f32, -2.0, 0.25], [4.0, 0.0, -1.0]], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::BF16, DType::F16, DType::F64] {
            let both = [
                ("a", values.to_dtype(dtype).unwrap()),
                ("b", (values.to_dtype(dtype).unwrap() * 2.0).unwrap()),
            ];
            candle_core::safetensors::save(&HashMap::from(both), &path).unwrap();
            let source = Source::of_folder(folder.path()).unwrap();
            for (name, factor) in [("a", 1.0), ("b", 2.0)] {
                let found = source.load(name, DType::F32).unwrap().to_vec2::<f32>().unwrap();
                assert_eq!(found, (&values * factor).unwrap().to_vec2::<f32>().unwrap(), "{dtype:?}");
                assert_eq!((source.dtype(name), source.check_dtype(name).is_ok()), (Some(dtype), true));
            }
        }
        let codes = HashMap::from([("a", values.to_dtype(DType::U8).unwrap())]);
        candle_core::safetensors::save(&codes, &path).unwrap();
        let source = Source::of_folder(folder.path()).unwrap();
        let error = source.load("a", DType::F32).unwrap_err();
        assert!(error.to_string().contains("the weight a is of type U8"), "{error}");
        assert!(source.check_dtype("a").is_err());
    }

    #[test]
    fn a_file_that_is_cut_short_or_lies_about_its_header_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS);
        write(&path, "a", 1.0);
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 7, 8, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = Source::of_folder(folder.path()).err().unwrap();
            assert!(matches!(error, Error::Weights { .. }), "{cut}: {error}");
        }
        let mut lying = whole;
        lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(&path, lying).unwrap();
        assert!(Source::of_folder(folder.path()).is_err());
    }
}
