use std::path::{Path, PathBuf};

use data::Part;
use record::{Finished, TrainConfig};

use crate::checkpoint::Checkpoint;

/// What a run needs beside its settings.
pub struct Inputs<'a> {
    /// The number of the run in the history.
    pub run: i64,
    pub config: &'a TrainConfig,
    /// Folder of the model to start from.
    pub model_folder: &'a Path,
    /// Folder of the run: `model/` and `checkpoints/` are written here.
    pub run_folder: &'a Path,
    /// Folder of the built-in bag of words, which learns from the same texts for comparison; none
    /// where the run's own model is that.
    pub words_folder: Option<&'a Path>,
    pub train: Part<'a>,
    pub valid: Part<'a>,
    /// Whether the texts are the made-up sample's, which is written into the model.
    pub made_up: bool,
    /// The checkpoint in the run's folder to go on from; none to begin.
    pub resume: Option<Checkpoint>,
}

/// How a run ended that did not fail.
#[derive(Debug)]
pub struct Outcome {
    pub finished: Finished,
    /// Where the trained model lies; none when the run was stopped before anything was saved.
    pub model_folder: Option<PathBuf>,
}
