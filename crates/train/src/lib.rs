//! Training: loss, optimizer, schedule, evaluation, checkpoints. [`run`] is the whole of it.

mod adamw;
mod baseline;
mod batching;
mod checkpoint;
mod checkpointing;
mod class_weights;
mod device;
mod error;
mod estimate;
mod evaluate;
mod fits;
mod inputs;
mod learner;
mod loss;
mod memory;
mod memory_plan;
mod prepare;
mod progress;
mod run;
mod schedule;
mod training_loop;

pub use adamw::{AdamW, Blocks, ByPieces, Hyperparameters, Kept, Moments, State, load_state, save_state};
pub use baseline::words_alone;
pub use checkpoint::{Checkpoint, newest_checkpoint};
pub use class_weights::{ClassWeights, class_weights};
pub use error::Error;
pub use evaluate::{Answers, ValidationSet, evaluate};
pub use fits::least_mib;
pub use inputs::{Inputs, Outcome};
pub use loss::loss;
pub use memory::{held_mib, limit_mib, peak_rss_mib};
pub use memory_plan::{MemoryPlan, planned, shapes, texts_of};
pub use model::Gradients;
pub use progress::{Listener, Progress, Wish};
pub use run::{estimate, run};
pub use schedule::schedule;
