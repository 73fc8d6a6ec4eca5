use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use ts_rs::TS;

use crate::memory;

/// The oldest NVIDIA driver that runs CUDA 13.
pub const LEAST_DRIVER: &str = "580";

/// Something that a run could compute on, or that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DeviceInfo {
    /// What the setting `device` names it by: `cpu`, `cuda:0`.
    pub device: String,
    /// What its maker calls it. Empty for a GPU that nothing has shown yet: a driver or a folder of libraries alone says
    /// that there may be one.
    pub name: String,
    /// All of its memory, and what of it is free, in MiB, where that is known.
    pub memory_mib: Option<f64>,
    pub free_mib: Option<f64>,
    /// Why it cannot be used; none where it can.
    pub unusable: Option<Unusable>,
}

/// Why a GPU cannot be used. In JSON it is an object: `kind` says which reason it is, and its parameters stand beside
/// it, as in `{"kind":"old_driver","found":"535.183.01","needed":"580"}`. A kind that another version of the program has
/// written and this one does not know is read as [`Unusable::Failed`], with the kind as the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case", remote = "Self")]
#[ts(export)]
pub enum Unusable {
    /// The engine for GPUs, `mbti-cuda`, is not installed.
    NoEngine,
    /// The system has no NVIDIA driver.
    NoDriver,
    /// The driver is too old. `found` is its version or, where that is not known, the CUDA version that it supports, such
    /// as `CUDA 12.2`.
    OldDriver { found: String, needed: String },
    /// No folder has cuBLAS and cuRAND of CUDA 13.
    NoLibraries,
    /// The engine was not started for want of a library, which Linux' loader names.
    LibraryMissing { library: String },
    /// The engine may not be executed.
    NotExecutable { path: String },
    /// The card is older than Ampere. `capability` is its compute capability, such as 7.5.
    OldCard { capability: String },
    /// The machine has no NVIDIA GPU.
    NoCard,
    /// `MBTI_CUDA_LIBRARIES` names a folder that is not there.
    FolderMissing { folder: String },
    /// `MBTI_CUDA_LIBRARIES` names a folder by a path that is not absolute.
    FolderNotAbsolute { folder: String },
    /// `MBTI_CUDA_LIBRARIES` names a folder without a library that is needed. `library` may be several, with commas.
    FolderLacks { folder: String, library: String },
    /// A folder of libraries has a colon, a semicolon or a dollar sign in its path, which the loader takes for something else.
    FolderName { folder: String },
    /// A library, the engine, a folder of them, or the way there could be changed by other users of the machine. It was not
    /// loaded.
    Unsafe { path: String },
    /// The run needs more memory than is free on the card. `needed` and `free` are MiB.
    TooLittleMemory { needed: String, free: String },
    /// The driver lists no GPU of this number, as where `CUDA_VISIBLE_DEVICES` hides it.
    NotListed,
    /// The model is the bag of words, which is computed on the processor.
    WordsModel,
    /// The driver or the engine failed when it was asked. `reason` is what it said, in English.
    Failed { reason: String },
}

impl Serialize for Unusable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Unusable::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Unusable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unusable, D::Error> {
        let told = Value::deserialize(deserializer)?;
        Unusable::deserialize(&told).or_else(|error| match told.get("kind") {
            Some(Value::String(kind)) => Ok(Unusable::Failed { reason: kind.clone() }),
            _ => Err(D::Error::custom(error)),
        })
    }
}

impl Unusable {
    /// The name of the reason, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Unusable::NoEngine => "no_engine",
            Unusable::NoDriver => "no_driver",
            Unusable::OldDriver { .. } => "old_driver",
            Unusable::NoLibraries => "no_libraries",
            Unusable::LibraryMissing { .. } => "library_missing",
            Unusable::NotExecutable { .. } => "not_executable",
            Unusable::OldCard { .. } => "old_card",
            Unusable::NoCard => "no_card",
            Unusable::NotListed => "not_listed",
            Unusable::FolderMissing { .. } => "folder_missing",
            Unusable::FolderNotAbsolute { .. } => "folder_not_absolute",
            Unusable::FolderLacks { .. } => "folder_lacks",
            Unusable::FolderName { .. } => "folder_name",
            Unusable::Unsafe { .. } => "unsafe",
            Unusable::TooLittleMemory { .. } => "too_little_memory",
            Unusable::WordsModel => "words_model",
            Unusable::Failed { .. } => "failed",
        }
    }

    /// The parameters of the reason, by their names in JSON.
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        match self {
            Unusable::OldDriver { found, needed } => vec![("found", found), ("needed", needed)],
            Unusable::OldCard { capability } => vec![("capability", capability)],
            Unusable::FolderMissing { folder }
            | Unusable::FolderNotAbsolute { folder }
            | Unusable::FolderName { folder } => vec![("folder", folder)],
            Unusable::FolderLacks { folder, library } => vec![("folder", folder), ("library", library)],
            Unusable::LibraryMissing { library } => vec![("library", library)],
            Unusable::Unsafe { path } | Unusable::NotExecutable { path } => vec![("path", path)],
            Unusable::TooLittleMemory { needed, free } => vec![("needed", needed), ("free", free)],
            Unusable::Failed { reason } => vec![("reason", reason)],
            _ => Vec::new(),
        }
    }
}

/// A clause that goes on after "…, but": what is wrong, and what is needed.
impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NoEngine => f.write_str(
                "the GPU engine mbti-cuda is not installed: install the package mbti-tuner-cuda, or run `make cuda`",
            ),
            Unusable::NoDriver => {
                write!(f, "the system has no NVIDIA driver: install {LEAST_DRIVER} or newer")
            }
            Unusable::OldDriver { found, needed } if found.starts_with("CUDA ") => {
                write!(f, "its driver supports only {found}: driver {needed} or newer, for CUDA 13, is needed")
            }
            Unusable::OldDriver { found, needed } => {
                write!(f, "its driver is {found}: {needed} or newer is needed")
            }
            Unusable::NoLibraries => f.write_str(
                "cuBLAS and cuRAND of CUDA 13 were not found: install the package mbti-tuner-cuda, or CUDA 13",
            ),
            Unusable::LibraryMissing { library } => write!(
                f,
                "mbti-cuda needs {library}, which was not found: install the package mbti-tuner-cuda, or all of CUDA 13"
            ),
            Unusable::NotExecutable { path } => write!(
                f,
                "{path} may not be executed: install the package mbti-tuner-cuda again, or make the file executable"
            ),
            Unusable::OldCard { capability } => {
                write!(f, "its compute capability is {capability}: 8.0 or newer is needed (Ampere, 2020)")
            }
            Unusable::NoCard => f.write_str("no NVIDIA GPU was found in this machine"),
            Unusable::FolderMissing { folder } => {
                write!(f, "MBTI_CUDA_LIBRARIES names {folder}, and there is no such folder")
            }
            Unusable::FolderNotAbsolute { folder } => write!(
                f,
                "MBTI_CUDA_LIBRARIES names {folder}, which is not an absolute path: it must begin with /"
            ),
            Unusable::FolderLacks { folder, library } => write!(
                f,
                "MBTI_CUDA_LIBRARIES names {folder}, which does not have {library}: cuBLAS and cuRAND of CUDA 13 must lie \
                 in one folder, as the package mbti-tuner-cuda has them"
            ),
            Unusable::FolderName { folder } => write!(
                f,
                "no library can be loaded from {folder}, as its path has a colon, a semicolon or a dollar sign: rename or \
                 move the folder"
            ),
            Unusable::Unsafe { path } => write!(
                f,
                "{path} was not loaded, since other users can change it: it must belong to you or to root, and not be \
                 writable for everybody"
            ),
            Unusable::TooLittleMemory { needed, free } => {
                let [needed, free] = [needed, free].map(|mib| mib.parse().map_or_else(|_| mib.clone(), memory));
                write!(f, "this run needs at least {needed} and {free} of its memory are free")
            }
            Unusable::NotListed => f.write_str(
                "the driver does not list it: CUDA_VISIBLE_DEVICES may hide it, and `nvidia-smi` shows what there is",
            ),
            Unusable::WordsModel => f.write_str("the bag of words is computed on the processor"),
            Unusable::Failed { reason } => write!(f, "it does not work: {reason}"),
        }
    }
}

/// What a run computes on, and why not on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct UsedDevice {
    /// `cpu`, or a GPU by its number, such as `cuda:0`.
    pub device: String,
    /// What its maker calls it.
    pub name: String,
    /// The name of a GPU that was found and not used.
    pub gpu: Option<String>,
    /// Why no GPU was used; none where nothing speaks for one or where the settings asked for the processor. Without the
    /// name of a GPU, nothing has shown that there is one.
    pub why_not_gpu: Option<Unusable>,
}

impl UsedDevice {
    /// Why the run is not computed on a GPU, as a clause.
    pub fn why_not(&self) -> Option<String> {
        let why = self.why_not_gpu.as_ref()?;
        Some(match &self.gpu {
            Some(gpu) => format!("{gpu} was found, but {why}"),
            None => format!("there may be an NVIDIA GPU, but {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reason_is_an_object_with_its_kind_and_its_parameters() {
        let text = String::from;
        for (reason, expected) in [
            (Unusable::NoEngine, json!({"kind": "no_engine"})),
            (Unusable::NoDriver, json!({"kind": "no_driver"})),
            (
                Unusable::OldDriver { found: text("535.183.01"), needed: text("580") },
                json!({"kind": "old_driver", "found": "535.183.01", "needed": "580"}),
            ),
            (Unusable::NoLibraries, json!({"kind": "no_libraries"})),
            (
                Unusable::LibraryMissing { library: text("a") },
                json!({"kind": "library_missing", "library": "a"}),
            ),
            (Unusable::NotExecutable { path: text("/a") }, json!({"kind": "not_executable", "path": "/a"})),
            (Unusable::OldCard { capability: text("7.5") }, json!({"kind": "old_card", "capability": "7.5"})),
            (Unusable::NoCard, json!({"kind": "no_card"})),
            (Unusable::NotListed, json!({"kind": "not_listed"})),
            (Unusable::WordsModel, json!({"kind": "words_model"})),
            (
                Unusable::FolderMissing { folder: text("/a") },
                json!({"kind": "folder_missing", "folder": "/a"}),
            ),
            (
                Unusable::FolderNotAbsolute { folder: text("a") },
                json!({"kind": "folder_not_absolute", "folder": "a"}),
            ),
            (
                Unusable::FolderLacks { folder: text("/a"), library: text("b") },
                json!({"kind": "folder_lacks", "folder": "/a", "library": "b"}),
            ),
            (Unusable::FolderName { folder: text("/a") }, json!({"kind": "folder_name", "folder": "/a"})),
            (Unusable::Unsafe { path: text("/a") }, json!({"kind": "unsafe", "path": "/a"})),
            (
                Unusable::TooLittleMemory { needed: text("2"), free: text("1") },
                json!({"kind": "too_little_memory", "needed": "2", "free": "1"}),
            ),
            (Unusable::Failed { reason: text("x") }, json!({"kind": "failed", "reason": "x"})),
        ] {
            assert_eq!(serde_json::to_value(&reason).unwrap(), expected);
            let mut told = json!({"kind": reason.kind()});
            for (name, value) in reason.parameters() {
                told[name] = value.into();
            }
            assert_eq!(told, expected);
            assert_eq!(serde_json::from_value::<Unusable>(expected).unwrap(), reason);
        }
    }

    #[test]
    fn a_reason_of_another_version_is_read_as_a_failure_and_what_is_no_reason_is_refused() {
        let unknown = |kind: &str| Unusable::Failed { reason: kind.to_owned() };
        let read = |text: &str| serde_json::from_str::<Unusable>(text);
        assert_eq!(read(r#"{"kind":"on_fire","since":[3]}"#).unwrap(), unknown("on_fire"));
        // So is one whose parameters have changed.
        assert_eq!(read(r#"{"kind":"old_card","capability":7}"#).unwrap(), unknown("old_card"));
        for wrong in ["1", "{}", "[]", "\"no_engine\"", r#"{"kind":1}"#, r#"{"reason":"x"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let used = r#"{"device":"cpu","name":"p","gpu":"Card","why_not_gpu":{"kind":"on_fire"}}"#;
        assert_eq!(serde_json::from_str::<UsedDevice>(used).unwrap().why_not_gpu, Some(unknown("on_fire")));
    }

    #[test]
    fn a_reason_says_what_to_do() {
        let text = String::from;
        for (reason, remedy) in [
            (Unusable::NoDriver, "install 580 or newer"),
            (
                Unusable::OldDriver { found: text("CUDA 12.2"), needed: text("580") },
                "supports only CUDA 12.2: driver 580 or newer, for CUDA 13, is needed",
            ),
            (Unusable::NotListed, "CUDA_VISIBLE_DEVICES may hide it, and `nvidia-smi` shows"),
            (
                Unusable::FolderLacks { folder: text("/a"), library: text("libcublas.so.13") },
                "cuBLAS and cuRAND of CUDA 13 must lie in one folder, as the package mbti-tuner-cuda has them",
            ),
        ] {
            assert!(reason.to_string().contains(remedy), "{reason}");
        }
    }

    #[test]
    fn a_gpu_that_nothing_has_shown_is_not_said_to_be_found() {
        let used = |gpu: Option<&str>| UsedDevice {
            device: "cpu".into(),
            name: "p".into(),
            gpu: gpu.map(str::to_owned),
            why_not_gpu: Some(Unusable::TooLittleMemory { needed: "2048".into(), free: "0.5".into() }),
        };
        let why = "this run needs at least 2048 MiB and 512 KiB of its memory are free";
        assert_eq!(used(Some("Card")).why_not().unwrap(), format!("Card was found, but {why}"));
        assert_eq!(used(None).why_not().unwrap(), format!("there may be an NVIDIA GPU, but {why}"));
        assert_eq!(UsedDevice { why_not_gpu: None, ..used(None) }.why_not(), None);
    }
}
