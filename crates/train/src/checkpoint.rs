//! Checkpoints: everything that a run needs to go on as if it had never been interrupted.
//!
//! A checkpoint is a folder `checkpoints/step-NNNNNNNN`: `model/`, which can be predicted with,
//! `optimizer.safetensors`, `state.json`, and `manifest.json`, which is written last and has the
//! length and the SHA-256 of all others. The folder is filled under another name, synced and
//! renamed, so that one under its own name is whole unless the disk itself has lost something;
//! then the manifest tells, and the one before it is taken.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use compute::Backend;
use record::{Evaluation, TokensPerPass};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Error, collapse::Watch, error::Result, learner::Learner, load_state, save_state};

const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const MODEL: &str = "model";

/// Where a run stands, beside its weights and its optimizer. The order of the texts and all
/// randomness follow from the seed and the step, so that the step is the sampler's position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) step: u32,
    pub(crate) halvings: u32,
    /// The best evaluation so far: its step and how good it was.
    pub(crate) best: Option<(u32, f64)>,
    pub(crate) evaluations_without_improvement: u32,
    pub(crate) last_evaluation: Option<Evaluation>,
    /// Losses of the steps since the last one that was told.
    pub(crate) loss_sum: f64,
    pub(crate) loss_count: u32,
    pub(crate) train_seconds: f64,
    pub(crate) samples: u64,
    pub(crate) tokens: u64,
    /// Whether linear layers multiply in bf16, which is decided once, so that a run that goes on does what
    /// it would have done.
    #[serde(default)]
    pub(crate) products_in_bf16: bool,
    /// How many tokens of a step go through the network at once: a number that was set or chosen on a GPU, `none` where that
    /// was set, as in the checkpoints of older versions, and `auto` where each batch is a pass because nothing was to be
    /// chosen, as on a processor. Kept, since other passes round differently.
    #[serde(default = "each_batch")]
    pub(crate) tokens_per_pass: TokensPerPass,
    /// What has been seen of a collapse.
    #[serde(default)]
    pub(crate) watch: Watch,
    /// Of all token ids and types: that the texts are still the same.
    pub(crate) texts: String,
}

fn each_batch() -> TokensPerPass {
    TokensPerPass::None
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

fn folder_of(run_folder: &Path) -> PathBuf {
    run_folder.join("checkpoints")
}

pub(crate) fn path(run_folder: &Path, step: u32) -> PathBuf {
    folder_of(run_folder).join(format!("step-{step:08}"))
}

/// The model folder inside the checkpoint of this step.
pub(crate) fn model_path(run_folder: &Path, step: u32) -> PathBuf {
    path(run_folder, step).join(MODEL)
}

/// Writes a checkpoint; when that fails, as on a full disk, nothing is left of it.
pub(crate) fn save<B: Backend>(
    learner: &Learner<B>,
    run_folder: &Path,
    state: &State,
    notes: Map<String, Value>,
) -> Result<()> {
    let folder = folder_of(run_folder);
    let (place, new) = (path(run_folder, state.step), folder.join(format!("step-{:08}.new", state.step)));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::WriteState { path, source }
    };
    std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
    remove(&new);
    let fill = || -> Result<()> {
        let model = new.join(MODEL);
        std::fs::create_dir_all(&model).map_err(failed(&model))?;
        model::write(&learner.network, &model, notes)?;
        save_state(&learner.optimizer, &learner.network.weights, &new.join(OPTIMIZER))?;
        write_json(&new.join(STATE), state)?;
        let mut files = BTreeMap::new();
        for name in files_below(&new).map_err(failed(&new))? {
            let path = new.join(&name);
            files.insert(name, entry(&path).map_err(failed(&path))?);
        }
        write_json(&new.join(MANIFEST), &Manifest { version: 1, files })?;
        for folder in [&model, &new] {
            sync(folder).map_err(failed(folder))?;
        }
        // A torn checkpoint of the same step, which was passed over, makes room.
        remove(&place);
        std::fs::rename(&new, &place).map_err(failed(&place))?;
        sync(&folder).map_err(failed(&folder))
    };
    let done = fill();
    if done.is_err() {
        remove(&new);
    }
    done
}

/// Removes the oldest checkpoints but the newest `limit`, and never the best or the newest. One
/// that cannot be removed only takes room; the run need not end for it.
pub(crate) fn prune(run_folder: &Path, limit: u32, best: Option<u32>) {
    if limit == 0 {
        return;
    }
    let steps = steps(run_folder);
    let best = best.filter(|best| steps.contains(best));
    let newest = steps.last().copied();
    let protected = [best, newest].into_iter().flatten().collect::<std::collections::BTreeSet<_>>();
    let mut room = (limit as usize).saturating_sub(protected.len());
    for &step in steps.iter().rev() {
        if protected.contains(&step) {
            continue;
        }
        if room > 0 {
            room -= 1;
        } else {
            remove(&path(run_folder, step));
        }
    }
}

pub(crate) fn remove_all(run_folder: &Path) {
    remove(&folder_of(run_folder));
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).ok();
}

/// The steps that have a checkpoint under its own name, whole or not, in order.
fn steps(run_folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(folder_of(run_folder)).into_iter().flatten().flatten();
    let step = |name: &str| name.strip_prefix("step-")?.parse().ok();
    let mut steps: Vec<u32> = entries.filter_map(|entry| step(entry.file_name().to_str()?)).collect();
    steps.sort_unstable();
    steps
}

/// The newest whole checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub step: u32,
    /// Newer ones that are not whole, each with what is wrong with it.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// Finds the newest whole checkpoint of a run, which takes reading it all.
pub fn newest_checkpoint(run: i64, run_folder: &Path) -> Result<Checkpoint> {
    let mut passed_over = Vec::new();
    for step in steps(run_folder).into_iter().rev() {
        let folder = path(run_folder, step);
        match damage(&folder) {
            None => return Ok(Checkpoint { step, passed_over }),
            Some(reason) => passed_over.push((folder, reason)),
        }
    }
    Err(Error::NothingToResume { run })
}

/// What is wrong with a checkpoint, if anything is.
fn damage(folder: &Path) -> Option<String> {
    let manifest: Manifest = match read_json(&folder.join(MANIFEST)) {
        Ok(manifest) => manifest,
        Err(error) => return Some(format!("its manifest cannot be read ({error})")),
    };
    if ![STATE, OPTIMIZER].iter().all(|&name| manifest.files.contains_key(name)) {
        return Some("its manifest lacks a file".to_owned());
    }
    manifest.files.iter().find_map(|(name, expected)| match entry(&folder.join(name)) {
        Ok(found) if found == *expected => None,
        Ok(_) => Some(format!("{name} is not what was written")),
        Err(error) => Some(format!("{name}: {error}")),
    })
}

/// Where a run stood after this step.
pub(crate) fn state(run_folder: &Path, step: u32) -> Result<State> {
    let at = path(run_folder, step).join(STATE);
    read_json(&at).map_err(|error| Error::BadState { path: at, reason: error.to_string() })
}

/// Gives the learner the weights and the optimizer's state of this step, and tells where it stood.
pub(crate) fn load<B: Backend>(learner: &mut Learner<B>, run_folder: &Path, step: u32) -> Result<State> {
    let folder = path(run_folder, step);
    let state = state(run_folder, step)?;
    model::restore(&learner.network, &folder.join(MODEL))?;
    load_state(&mut learner.optimizer, &learner.network.weights, &folder.join(OPTIMIZER))?;
    if learner.optimizer.step != state.step {
        let reason = "its parts are of different steps".to_owned();
        return Err(Error::BadState { path: folder, reason });
    }
    learner.halvings = state.halvings;
    Ok(state)
}

/// All files below a folder, by their names from there with `/` between.
fn files_below(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            names.extend(files_below(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    Ok(names)
}

fn entry(path: &Path) -> std::io::Result<Entry> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Entry { bytes, sha256: hex(&hash.finalize()) }),
            read => {
                hash.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let failed = |source| Error::WriteState { path: path.to_owned(), source };
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let mut file = File::create(path).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> std::io::Result<T> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
