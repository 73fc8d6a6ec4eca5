use record::Problem;

pub type Result<T> = std::result::Result<T, Error>;

/// Anything that ends a command; each already says what happened, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error(transparent)]
    Predict(#[from] predict::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error("Run {run} is another engine's, or has ended. `mbti runs show {run}` tells.")]
    NotOurs { run: i64 },
    #[error("{} is there already. Name a folder that is not.", .path.display())]
    FolderExists { path: std::path::PathBuf },
    #[error("Standard input or output failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("A record cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub fn problem(&self) -> Problem {
        match self {
            Error::App(error) => error.problem(),
            Error::Store(error) => error.problem(),
            Error::Data(error) => error.problem(),
            Error::Train(error) => error.problem(),
            Error::Predict(error) => error.problem(),
            Error::Model(error) => error.problem(),
            Error::NotOurs { run } => {
                Problem::new(record::ProblemCode::RunHasEnded, self).with("run", run).with("status", "–")
            }
            Error::FolderExists { path } => {
                Problem::new(record::ProblemCode::NameTaken, self).with("name", path.display())
            }
            Error::Io(_) | Error::Json(_) => Problem::new(record::ProblemCode::Internal, self),
        }
    }
}
