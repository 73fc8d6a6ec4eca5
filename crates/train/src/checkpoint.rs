use std::path::{Path, PathBuf};

use model::Network;
use serde_json::{Map, Value};

use crate::error::Result;

/// Saves the weights of this step under `checkpoints/` of the run's folder, as a model folder
/// that can be predicted with, and then removes the one before it.
pub(crate) fn save(
    network: &Network,
    run_folder: &Path,
    step: u32,
    notes: Map<String, Value>,
) -> Result<PathBuf> {
    let folder = run_folder.join("checkpoints");
    let new = folder.join(format!("step-{step:08}"));
    std::fs::create_dir_all(&folder)
        .map_err(|source| model::Error::Write { path: folder.clone(), source })?;
    model::save(network, &new, notes)?;
    let others = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for other in others.filter(|other| *other != new) {
        // One that cannot be removed only takes room; the run need not end for it.
        std::fs::remove_dir_all(other).ok();
    }
    Ok(new)
}
