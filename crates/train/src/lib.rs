//! Training: loss, optimizer, schedule, metrics, checkpoints. [`run`] is the whole of it.

mod adamw;
mod checkpoint;
mod class_weights;
mod error;
mod evaluate;
mod gradients;
mod loss;
mod metrics;
mod peak_memory;
mod run;
mod schedule;

pub use adamw::{AdamW, Hyperparameters, State};
pub use class_weights::{ClassWeights, class_weights};
pub use error::Error;
pub use evaluate::evaluate;
pub use gradients::Gradients;
pub use loss::loss;
pub use metrics::axis_metrics;
pub use peak_memory::peak_rss_mib;
pub use run::{Inputs, Outcome, Progress, run};
pub use schedule::linear_schedule;
