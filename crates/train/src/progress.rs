use std::path::Path;

use model::LoadReport;
use record::{Event, Notice, Problem};

/// What a run tells the one function that it is given.
pub enum Progress<'a> {
    /// The model is in memory: what became of its weights, and how many single ones learn.
    Loaded {
        report: &'a LoadReport,
        trainable: usize,
    },
    /// Texts are made into tokens: so many of so many.
    Tokenizing {
        done: usize,
        total: usize,
    },
    /// The bag of words learns from the same texts: optimizer steps done, of so many.
    Baseline {
        done: u32,
        total: u32,
    },
    /// Training is about to begin, or to go on after `first_step` steps, with so many optimizer
    /// steps in all and this learning rate.
    Begin {
        total_steps: u32,
        first_step: u32,
        learning_rate: f64,
    },
    Event(&'a Event),
    /// A checkpoint is about to be written, from which the run can be resumed: what was told up to here has to be
    /// kept before, since it will not be told again.
    Saving,
    /// A model folder that can be predicted with has been written.
    Saved(&'a Path),
    /// The run waits, with its work saved, until the answer is no longer to wait; or goes on.
    Paused(bool),
    /// Nothing new; only the question how to go on.
    Working,
}

/// How a run is to go on, the answer to everything that it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    GoOn,
    /// Save and wait.
    Pause,
    /// Save and end.
    StopAndSave,
    /// End at once, with what was saved before.
    StopNow,
}

impl Wish {
    /// Whether work that cannot be saved in its midst goes on; a run waits only after it.
    pub(crate) fn goes_on(self) -> bool {
        matches!(self, Wish::GoOn | Wish::Pause)
    }
}

/// The function that hears what a run tells. What it cannot do ends the run.
pub type Listener<'a> = dyn FnMut(Progress) -> Result<Wish, Problem> + 'a;

/// The same as the parts of a run have it, with this crate's error.
pub(crate) type Tell<'a> = dyn FnMut(Progress) -> crate::error::Result<Wish> + 'a;

/// Tells of something that does not end the run.
pub(crate) fn notice(tell: &mut Tell, step: u32, problem: Problem) -> crate::error::Result<Wish> {
    tell(Progress::Event(&Event::Notice(Notice { step, problem })))
}
