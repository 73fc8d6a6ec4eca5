use std::path::{Path, PathBuf};

use data::TextLogits;
use mbti::Axis;

use crate::{Inputs, error::Result};

/// Who gave the answers to the validation texts of a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswersOf {
    /// The model of the run, with the weights that were kept.
    Model,
    /// The bag of words that learned from the same texts.
    Words,
}

/// The file in a fold's run folder that has the answers, in the order of its validation texts.
pub fn fold_answers_path(run_folder: &Path, of: AnswersOf) -> PathBuf {
    run_folder.join(match of {
        AnswersOf::Model => "fold-answers.parquet",
        AnswersOf::Words => "fold-answers-words.parquet",
    })
}

/// Keeps what was said of each validation text, where the run is a fold of a cross-validation: the answers of all folds
/// are judged together. `logits` are `[texts, axes]`.
pub(crate) fn keep(inputs: &Inputs, of: AnswersOf, axes: &[Axis], logits: &[f64]) -> Result<()> {
    if inputs.config.fold.is_none() {
        return Ok(());
    }
    let valid = inputs.valid;
    let found = TextLogits {
        texts: data::fingerprint(valid, |_| true)?.unwrap_or_default(),
        labels: valid.labels(),
        overlaps: vec![false; valid.len()],
        axes: axes.to_vec(),
        logits: logits.to_vec(),
    };
    Ok(data::write_logits(&fold_answers_path(inputs.run_folder, of), &found)?)
}
