//! The plain records that cross borders: from the window to the engine, from the engine to
//! SQLite, from Rust to TypeScript. No computation and no input or output happens here.

mod class_weighting;
mod config;
mod data_set;
mod dtype;
mod event;
mod metrics;
mod model;
mod prediction;
mod problem;
mod run;
mod text;
mod trainable;

pub use class_weighting::ClassWeighting;
pub use config::{Device, TrainConfig};
pub use data_set::{DataSet, DataSetDetail, ImportReport, SampleText, SkipReason, SkippedRow};
pub use dtype::Dtype;
pub use event::{Evaluation, Event, Finished, Step};
pub use metrics::AxisMetrics;
pub use model::Model;
pub use prediction::{AxisPrediction, Prediction};
pub use problem::{Problem, ProblemCode};
pub use run::{Run, RunProgress, RunStatus, SplitMethod, SplitSummary};
pub use trainable::Trainable;
