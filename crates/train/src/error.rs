use mbti::{Axis, Letter};
use record::{Problem, ProblemCode};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "All {texts} training texts have the letter {letter} on the axis {axis}, so there is nothing to tell apart. \
         Leave the axis out, or import texts with the other letter too."
    )]
    OneClassOnly { axis: Axis, letter: Letter, texts: usize },
    #[error(
        "The loss of step {step} is not a number any more, so the run was ended. \
         Try a lower learning rate."
    )]
    LossNotFinite { step: u32 },
    #[error("The device {device} is not there. This build computes on the CPU: choose auto or cpu.")]
    NoSuchDevice { device: record::Device },
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error("Arithmetic failed: {0}")]
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
            Error::LossNotFinite { step } => Problem::new(Code::LossNotFinite, self).with("step", step),
            Error::NoSuchDevice { device } => Problem::new(Code::NoSuchDevice, self).with("device", device),
            Error::Data(error) => error.problem(),
            Error::Model(error) => error.problem(),
            Error::Candle(_) => Problem::new(Code::Internal, self),
            Error::Progress(problem) => problem.clone(),
        }
    }
}
