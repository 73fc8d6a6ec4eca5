use std::path::{Path, PathBuf};

use model::Network;
use serde_json::{Map, Value};

use crate::error::Result;

/// Saves the weights of this step under `checkpoints/` of the run's folder, as a model folder
/// that can be predicted with.
pub(crate) fn save(
    network: &Network,
    run_folder: &Path,
    step: u32,
    notes: Map<String, Value>,
) -> Result<PathBuf> {
    let folder = run_folder.join("checkpoints");
    std::fs::create_dir_all(&folder)
        .map_err(|source| model::Error::Write { path: folder.clone(), source })?;
    let new = folder.join(format!("step-{step:08}"));
    model::save(network, &new, notes)?;
    Ok(new)
}

/// Removes all checkpoints but this one, once nobody is told of the others any more. One that
/// cannot be removed only takes room; the run need not end for it.
pub(crate) fn remove_others(run_folder: &Path, kept: Option<&Path>) {
    let others = std::fs::read_dir(run_folder.join("checkpoints")).into_iter().flatten().flatten();
    for other in others.map(|entry| entry.path()).filter(|other| Some(other.as_path()) != kept) {
        std::fs::remove_dir_all(other).ok();
    }
}
