use std::path::PathBuf;

use mbti::{Axis, Letter};
use record::{Problem, ProblemCode};

use crate::memory_problem::{CannotFit, RanOut, Remedies};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "All {texts} training texts have the letter {letter} on the axis {axis}, so there is nothing to tell apart. \
         Leave the axis out, or import texts with the other letter too."
    )]
    OneClassOnly { axis: Axis, letter: Letter, texts: usize },
    #[error(
        "The loss or the gradient of step {step} is not a finite number, so the run was ended. \
         Its texts are those of the rows {} of the data set. {} \
         Try a lower learning rate, a warmup or a smaller max_grad_norm; with bf16 try f32.",
        listed(.rows),
        .checkpoint.map_or("No checkpoint had been made.".to_owned(), |step| format!("The last good checkpoint is that of step {step}."))
    )]
    LossNotFinite {
        step: u32,
        /// Places of the texts in the data set, from 1.
        rows: Vec<u32>,
        /// The step of the newest checkpoint.
        checkpoint: Option<u32>,
    },
    #[error(
        "{device} failed during the estimate: {reason}. Estimate again when the GPU works again, or on the processor with \
         --device cpu."
    )]
    DeviceLostInEstimate { device: String, reason: String },
    /// What a part of a run says when its device has no memory left; the run makes [`Error::RanOut`] of it.
    #[error("Memory ran out in step {step} with one text at a time.")]
    OutOfMemory { step: u32 },
    /// The same, after the optimizer had moved some of the weights, so that the step cannot be repeated.
    #[error("Memory ran out in the middle of step {step}.")]
    OutOfMemoryInStep { step: u32 },
    #[error("Memory ran out in an evaluation with one text at a time.")]
    OutOfMemoryInEvaluation,
    #[error("{0}")]
    RanOut(Box<RanOut>),
    #[error("{0}")]
    CannotFit(Box<CannotFit>),
    #[error(
        "The checkpoint in {} was made of other texts: the data set has changed. Start the run anew.",
        .path.display()
    )]
    OtherTexts { path: PathBuf },
    #[error("Run {run} has no whole checkpoint to go on from. Start it anew.")]
    NothingToResume { run: i64 },
    #[error("The device {device} is not there. This build computes on the CPU: choose auto or cpu.")]
    NoSuchDevice { device: record::Device },
    #[cfg(feature = "cuda")]
    #[error(
        "The device {device} cannot be used: {}. `mbti devices` lists those that can; cpu always can.",
        compute::message(.source)
    )]
    DeviceNotOpened { device: record::Device, source: candle_core::Error },
    #[error(
        "{device} failed in the middle of the run: {reason}. {}",
        .checkpoint.map_or_else(
            || "It had no checkpoint yet: start it again when the GPU works again, or on the processor with --device cpu.".to_owned(),
            |step| format!(
                "Resume the run from its last checkpoint, of step {step}, when the GPU works again, or on the processor \
                 with --device cpu."
            )
        )
    )]
    DeviceLost {
        device: String,
        reason: String,
        /// The step of the newest checkpoint.
        checkpoint: Option<u32>,
    },
    #[error(
        "The optimizer's state in {} cannot be used: {reason}. Start the run anew from its model.",
        .path.display()
    )]
    BadState { path: PathBuf, reason: String },
    #[error("{} cannot be written: {source}. Make room on the disk or choose another home folder.", .path.display())]
    WriteState { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error("Arithmetic failed: {}", compute::message(.0))]
    Candle(#[from] candle_core::Error),
    /// What the caller's own progress function could not do, such as writing to the history.
    #[error("{}", .0.message)]
    Progress(Problem),
}

impl Error {
    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        match self {
            Error::OneClassOnly { axis, letter, texts } => Problem::new(Code::OneClassOnly, self)
                .with("axis", axis)
                .with("letter", letter)
                .with("texts", texts),
            Error::LossNotFinite { step, rows, checkpoint } => Problem::new(Code::LossNotFinite, self)
                .with("step", step)
                .with("rows", listed(rows))
                .with("checkpoint", checkpoint.unwrap_or(0)),
            Error::OutOfMemory { step } | Error::OutOfMemoryInStep { step } => {
                Problem::new(Code::OutOfMemory, self).with("step", step)
            }
            Error::OutOfMemoryInEvaluation => Problem::new(Code::OutOfMemory, self).with("step", 0),
            Error::RanOut(ran_out) => {
                let Remedies { of, settings, processor } = &ran_out.remedies;
                let processor = processor.then_some("device=cpu");
                let settings: Vec<&str> = settings.iter().map(String::as_str).chain(processor).collect();
                Problem::new(Code::OutOfMemory, self)
                    .with("step", ran_out.when.step())
                    .with("card", of.name())
                    .with("settings", settings.join(","))
            }
            Error::CannotFit(found) => {
                let Remedies { of, processor, .. } = &found.remedies;
                let processor = if *processor { "device=cpu" } else { "" };
                let settings = Some(found.remedies.settings()).filter(|settings| !settings.is_empty());
                Problem::new(Code::CannotFit, self)
                    .with("needed", found.needed)
                    .with("available", found.available)
                    .with("settings", settings.as_deref().unwrap_or(processor))
                    .with("processor", processor)
                    .with("card", of.name())
            }
            Error::OtherTexts { path } => Problem::new(Code::CheckpointMismatch, self)
                .with("path", path.display())
                .with("reason", "the data set has changed"),
            Error::NothingToResume { run } => Problem::new(Code::NothingToResume, self).with("run", run),
            #[cfg(feature = "cuda")]
            Error::DeviceNotOpened { device, .. } => {
                Problem::new(Code::NoSuchDevice, self).with("device", device)
            }
            Error::DeviceLostInEstimate { device, reason } => Problem::new(Code::DeviceLost, self)
                .with("device", device)
                .with("reason", reason)
                .with("during", "estimate"),
            Error::DeviceLost { device, reason, checkpoint } => Problem::new(Code::DeviceLost, self)
                .with("device", device)
                .with("reason", reason)
                .with("checkpoint", checkpoint.unwrap_or(0)),
            Error::NoSuchDevice { device } => Problem::new(Code::NoSuchDevice, self).with("device", device),
            Error::BadState { path, reason } => {
                Problem::new(Code::CannotRead, self).with("path", path.display()).with("reason", reason)
            }
            Error::WriteState { path, source } => {
                Problem::new(Code::CannotWrite, self).with("path", path.display()).with("reason", source)
            }
            Error::Data(error) => error.problem(),
            Error::Model(error) => error.problem(),
            Error::Candle(_) => Problem::new(Code::Internal, self),
            Error::Progress(problem) => problem.clone(),
        }
    }
}

impl From<CannotFit> for Error {
    fn from(found: CannotFit) -> Error {
        Error::CannotFit(Box::new(found))
    }
}

/// Numbers with commas between, the first twenty of them.
fn listed(rows: &[u32]) -> String {
    let shown: Vec<String> = rows.iter().take(20).map(u32::to_string).collect();
    shown.join(", ") + if rows.len() > 20 { ", …" } else { "" }
}
