//! The plain records that cross borders: from the window to the engine, from the engine to
//! SQLite, from Rust to TypeScript. No computation and no input or output happens here.

mod assessment;
mod choices;
mod class_weighting;
mod cleaning;
mod config;
mod cross_validation;
mod data_set;
mod device_info;
mod dtype;
mod estimate;
mod event;
mod gradient_checkpointing;
mod hub;
mod leaks;
mod look;
mod memory;
mod metrics;
mod model;
mod prediction;
mod preset;
mod printable;
mod problem;
mod quantization;
mod recipe;
mod run;
mod run_evaluation;
mod set;
mod source;
mod text;
mod tokens_per_pass;
mod trainable;
mod work;

pub use assessment::{
    Assessment, AxisAssessment, Baseline, Calibration, Estimated, Level, PredictionSets, RefusedTemperature,
    SetThreshold, UncertaintyBand, WhyRefused,
};
pub use choices::{LrSchedulerType, Metric, Optim, SplitBy};
pub use class_weighting::ClassWeighting;
pub use cleaning::{
    Cleaning, CleaningCount, CleaningExample, CleaningReport, CleaningStep, DuplicatesAmong, OnFind,
};
pub use config::{Device, MAX_STEPS, TrainConfig, bad_setting};
pub use cross_validation::{CrossValidation, FoldFigures, FoldJudgement, FoldSpread, Spread};
pub use data_set::{DataSet, DataSetDetail, ImportReport, SampleText, SkipReason, SkippedRow};
pub use device_info::{DeviceInfo, LEAST_DRIVER, Unusable, UsedDevice};
pub use dtype::Dtype;
pub use estimate::{Estimate, RunEstimate};
pub use event::{Evaluation, Event, Finished, Notice, Step};
pub use gradient_checkpointing::GradientCheckpointing;
pub use hub::{
    Account, CatalogueModel, Chosen, DownloadPlan, FileChoice, FoundRepo, HubAccess, HubChange, HubSettings,
    HubState, LoggedIn, LoggedOut, MASK, ModelUse, Origin, Origins, PushFile, PushPlan, Pushed, RemoteFile,
    RepoKind, TokenRole, TokenSource, TransferProgress, is_repo_name, mask_password,
};
pub use leaks::Leaks;
pub use look::{DataSetLook, TellingWord};
pub use memory::{free_mib, memory, needed_mib};
pub use metrics::AxisMetrics;
pub use model::Model;
pub use prediction::{AnswerSets, AxisPrediction, Prediction};
pub use preset::{Preset, PresetConfig};
pub use printable::{is_unprintable, one_line, printable};
pub use problem::{Problem, ProblemCode};
pub use quantization::Quantization;
pub use recipe::{Recipe, RecipeStep};
pub use run::{FoldProgress, Run, RunProgress, RunStatus, SplitMethod, SplitSummary};
pub use run_evaluation::{Better, Comparison, JudgedTexts, Judgement, Overlap, RunComparison, RunEvaluation};
pub use source::{AxisColumn, ColumnMapping, ExportFormat, ImportPreview, SourceFormat};
pub use tokens_per_pass::TokensPerPass;
pub use trainable::Trainable;
pub use work::WorkProgress;
