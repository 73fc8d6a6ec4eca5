use std::path::PathBuf;

use mbti::{Axis, Letter};
use record::{Problem, ProblemCode, memory};

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
        "Memory ran out in step {step} with one text at a time. Choose a smaller max_length, gradient_checkpointing, \
         or trainable = lora; what was saved before can be gone on with."
    )]
    OutOfMemory { step: u32 },
    #[error(
        "Memory ran out in the middle of step {step}, after the optimizer had moved some of the weights, so the step \
         cannot be repeated with fewer texts at once. Choose a smaller per_device_train_batch_size or max_length, or \
         gradient_checkpointing, and resume from the last checkpoint."
    )]
    OutOfMemoryInStep { step: u32 },
    #[error(
        "Memory ran out in an evaluation with one text at a time. Choose a smaller max_length, or a smaller model; \
         what was saved before can be resumed."
    )]
    OutOfMemoryInEvaluation,
    #[error(
        "This run needs at least {} of memory and {} can be had. {}",
        memory(*.needed),
        memory(*.available),
        if .settings.is_empty() {
            "Choose a smaller model.".to_owned()
        } else {
            format!("These settings would fit: {}.", .settings)
        }
    )]
    CannotFit { needed: f64, available: f64, settings: String },
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
        "{device} failed in the middle of the run: {reason}. Resume the run from its last checkpoint when the GPU works \
         again, or on the processor with --device cpu. A run without a checkpoint has to be started again."
    )]
    DeviceLost { device: String, reason: String },
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
            Error::CannotFit { needed, available, settings } => Problem::new(Code::CannotFit, self)
                .with("needed", needed)
                .with("available", available)
                .with("settings", settings),
            Error::OtherTexts { path } => Problem::new(Code::CheckpointMismatch, self)
                .with("path", path.display())
                .with("reason", "the data set has changed"),
            Error::NothingToResume { run } => Problem::new(Code::NothingToResume, self).with("run", run),
            #[cfg(feature = "cuda")]
            Error::DeviceNotOpened { device, .. } => {
                Problem::new(Code::NoSuchDevice, self).with("device", device)
            }
            Error::DeviceLost { device, reason } => {
                Problem::new(Code::DeviceLost, self).with("device", device).with("reason", reason)
            }
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

/// Numbers with commas between, the first twenty of them.
fn listed(rows: &[u32]) -> String {
    let shown: Vec<String> = rows.iter().take(20).map(u32::to_string).collect();
    shown.join(", ") + if rows.len() > 20 { ", …" } else { "" }
}
