//! Training: loss, optimizer, schedule, evaluation, checkpoints. [`run`] is the whole of it.

mod adamw;
mod baseline;
mod batching;
mod checkpoint;
mod class_weights;
mod collapse;
mod device;
mod error;
mod estimate;
mod evaluate;
mod fits;
mod fold_answers;
mod inputs;
mod learner;
mod loss;
mod memory;
mod memory_plan;
mod memory_problem;
mod out_of_memory;
mod passes;
mod prepare;
mod progress;
mod run;
mod schedule;
mod training_loop;
mod unreadable;

#[cfg(test)]
#[path = "../../../tests/tiny_models/mod.rs"]
mod tiny_models;

pub use adamw::{AdamW, Blocks, ByPieces, Hyperparameters, Kept, Moments, State, load_state, save_state};
pub use baseline::{words_alone, words_answers};
pub use checkpoint::{Checkpoint, newest_checkpoint};
pub use class_weights::{ClassWeights, class_weights};
pub use error::Error;
pub use evaluate::{Answers, ValidationSet, answer_all, evaluate};
pub use fits::{check_room, least_mib, least_of_a_gpu_mib};
pub use fold_answers::{AnswersOf, fold_answers_path};
pub use inputs::{Inputs, Outcome};
pub use loss::targets;
pub use memory::{held_mib, limit_mib, peak_rss_mib};
pub use memory_plan::{MemoryPlan, planned, shapes, texts_of};
pub use memory_problem::{CannotFit, MemoryOf, RanOut, Remedies, When};
pub use model::Gradients;
pub use progress::{Listener, Progress, Wish};
pub use run::{estimate, run};
pub use schedule::schedule;
