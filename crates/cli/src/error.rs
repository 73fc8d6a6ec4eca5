use record::Problem;

pub type Result<T> = std::result::Result<T, Error>;

/// Anything that ends a command; each already says what happened, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("--{name} {value} is no part of the whole. Give a number between 0 and 1.")]
    NoPart { name: &'static str, value: f64 },
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
    #[error("Run {run} is finished and has nothing to resume. To train more, start a new run.")]
    Finished { run: i64 },
    #[error("--{name} is missing. Name it, or give it in the file of --config.")]
    Missing { name: &'static str },
    #[error("The settings in {} cannot be used: {reason}", .path.display())]
    ConfigFile { path: std::path::PathBuf, reason: String },
    #[error("The settings cannot be written as TOML: {0}")]
    Toml(String),
    /// A setting that is not allowed.
    #[error("{}", .0.message)]
    Problem(Problem),
    #[error("--sweep {given} is not of the form name=value,value. An example: --sweep seed=0,1,2")]
    Sweep { given: String },
    #[error("{} `mbti runs list` tells which.", of_the_sweep(*.failed, *.interrupted, *.runs))]
    SweepFailed { failed: usize, interrupted: usize, runs: usize },
    #[error(
        "Fold {fold}, run {fold_run}, of the cross-validation {run} is {}. `mbti train --resume {run}` goes on with it.",
        .status.name()
    )]
    FoldEnded { run: i64, fold: u32, fold_run: i64, status: record::RunStatus },
    #[error(
        "The answers of fold {fold}, run {run}, are missing or damaged. Remove that run, and resume the cross-validation: it \
         trains this fold again."
    )]
    NoAnswers { run: i64, fold: u32 },
    #[error(
        "The folds of the cross-validation {run} do not part one and the same data set, and are not judged together. Start \
         a new cross-validation."
    )]
    FoldsDiffer { run: i64 },
    #[error("The name \"{name}\" is taken. Give another with {option}, or remove the old one first.")]
    NameTaken { name: String, option: &'static str },
    #[error("Run {run} cannot be compared with itself. Name two runs: --compare RUN RUN")]
    SameRun { run: i64 },
    #[error("Nothing to compare: {why}. Evaluate both on texts that neither knows.")]
    NothingToCompare { why: String },
    #[error("{} is there already. Name a folder that is not.", .path.display())]
    FolderExists { path: std::path::PathBuf },
    #[error("The text has more than 16 MiB. Give a shorter one: a model reads no more than its first pages.")]
    LongText,
    #[error("--{name} takes {allowed}, and {given} were given. Give fewer.")]
    TooMany { name: &'static str, allowed: String, given: String },
    #[error(
        "{device} cannot be used: {why}. `mbti devices` lists what can be; --device cpu computes on the processor."
    )]
    Unusable { device: record::Device, why: record::Unusable },
    #[error("The engine for GPUs, {}, cannot be started: {source}. --device cpu computes on the processor.", .path.display())]
    NoEngine { path: std::path::PathBuf, source: std::io::Error },
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
            Error::Finished { run } => Problem::new(record::ProblemCode::RunHasEnded, self)
                .with("run", run)
                .with("status", record::RunStatus::Finished.name()),
            Error::Missing { name } => Problem::new(record::ProblemCode::BadSetting, self)
                .with("name", name)
                .with("value", "–")
                .with("allowed", "a name"),
            Error::SameRun { run } => Problem::new(record::ProblemCode::BadSetting, self)
                .with("name", "compare")
                .with("value", format!("{run} {run}"))
                .with("allowed", "two runs"),
            Error::LongText => Problem::new(record::ProblemCode::BadSetting, self)
                .with("name", "text")
                .with("value", "> 16 MiB")
                .with("allowed", "≤ 16 MiB"),
            Error::TooMany { name, allowed, given } => Problem::new(record::ProblemCode::BadSetting, self)
                .with("name", name)
                .with("value", given)
                .with("allowed", allowed),
            Error::NoPart { name, value } => Problem::new(record::ProblemCode::BadSetting, self)
                .with("name", name)
                .with("value", value)
                .with("allowed", "0 – 1"),
            Error::ConfigFile { path, reason } => Problem::new(record::ProblemCode::BadConfigFile, self)
                .with("path", path.display())
                .with("reason", reason),
            Error::Problem(problem) => problem.clone(),
            Error::Unusable { device, why } => why.parameters().into_iter().fold(
                Problem::new(record::ProblemCode::DeviceUnusable, self)
                    .with("device", device)
                    .with("kind", why.kind()),
                |problem, (name, value)| problem.with(name, value),
            ),
            Error::NoEngine { path, source } => Problem::new(record::ProblemCode::EngineNotStarted, self)
                .with("path", path.display())
                .with("reason", source),
            Error::FoldEnded { run, fold, fold_run, status } => {
                Problem::new(record::ProblemCode::FoldEnded, self)
                    .with("run", run)
                    .with("fold", fold)
                    .with("fold_run", fold_run)
                    .with("status", status.name())
            }
            Error::NoAnswers { run, fold } => {
                Problem::new(record::ProblemCode::NoAnswers, self).with("run", run).with("fold", fold)
            }
            Error::FoldsDiffer { run } => {
                Problem::new(record::ProblemCode::FoldsDiffer, self).with("run", run)
            }
            Error::NameTaken { name, .. } => {
                Problem::new(record::ProblemCode::NameTaken, self).with("name", name)
            }
            Error::FolderExists { path } => {
                Problem::new(record::ProblemCode::NameTaken, self).with("name", path.display())
            }
            Error::Io(_)
            | Error::Json(_)
            | Error::Toml(_)
            | Error::NothingToCompare { .. }
            | Error::Sweep { .. }
            | Error::SweepFailed { .. } => Problem::new(record::ProblemCode::Internal, self),
        }
    }
}

fn of_the_sweep(failed: usize, interrupted: usize, runs: usize) -> String {
    match (failed, interrupted) {
        (failed, 0) => format!("{failed} of {runs} runs of the sweep failed."),
        (0, interrupted) => format!("{interrupted} of {runs} runs of the sweep were interrupted."),
        _ => format!("{failed} of {runs} runs of the sweep failed, and {interrupted} were interrupted."),
    }
}

/// Tells of a name that is taken with the option by which a command takes another.
pub fn named_by<E: Into<Error>>(option: &'static str) -> impl Fn(E) -> Error {
    move |error| match error.into() {
        Error::App(app::Error::Store(store::Error::NameTaken { name })) => Error::NameTaken { name, option },
        other => other,
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(problem)
    }
}
